import importlib.util
import logging
import os
import sqlite3
import subprocess
import sys

import pytest

from olmix.config import LaunchConfig
from olmix.errors import MissingPackageError
from olmix.records import trackers
from olmix.records.log_readers import read_tensorboard
from olmix.records.run import RunFolder
from olmix.records.run_config import open_run_trackers
from olmix.records.trackers import Trackers
from olmix.runlog import start
from olmix.text.yaml import write_yaml


def _config(**wanted):
    return LaunchConfig.from_dict(
        {
            "name": "r0",
            "group_id": "g1",
            "training": {"trainer": "command", "command": "true", "max_tokens": 1},
            "data": {"sources": [{"name": "a", "paths": ["a"]}]},
            "eval": {"type": "validation", "paths": {"a": ["a"]}},
            "mix": {"a": 1.0},
            "trackers": wanted,
        }
    )


class _Broken:
    name = "broken"

    def log(self, step, metrics):
        raise ConnectionError("the service is down")

    def finish(self, summary, *, ok):
        raise AssertionError("a tracker that failed is left alone")


class _Working:
    name = "working"

    def __init__(self):
        self.steps = []

    def log(self, step, metrics):
        self.steps.append(step)

    def finish(self, summary, *, ok):
        self.steps.append("end")


def test_a_tracker_that_fails_is_left_out_and_the_others_go_on(caplog):
    good = _Working()
    both = Trackers([_Broken(), good])
    with caplog.at_level(logging.WARNING):
        both.log(1, {"loss": 1.0})
        both.log(2, {"loss": 1.0})
        both.finish({}, ok=True)
    assert good.steps == [1, 2, "end"]
    (record,) = caplog.records
    assert "broken failed and is dropped for this run: the service is down" in record.message


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("wandb", {"project": "p"}), ("trackio", {"project": "p"}), ("tensorboard", True)],
)
def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    name, wanted, tmp_path, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=rf"pip install '\.\[{name}\]'"):
        open_run_trackers(RunFolder(tmp_path), _config(**{name: wanted}))


def test_a_tracker_that_does_not_start_is_left_out(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise TimeoutError("no answer")

    monkeypatch.setattr(trackers, "require", lambda *_: None)
    monkeypatch.setattr(trackers, "_Wandb", fail)
    open_run_trackers(RunFolder(tmp_path), _config(wandb={"project": "p"})).log(1, {"loss": 1.0})
    assert "wandb could not be started and is left out: no answer" in caplog.text


def test_no_trackers_cost_nothing(tmp_path):
    assert open_run_trackers(RunFolder(tmp_path), _config()) is None


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("trackers: {tensorboard: true}", True),
        ("'trackers' : {tensorboard: true}", True),
        ("trackers: {}", False),
        ("# trackers: {tensorboard: true}", False),
        ("description: 'no\n\n  trackers: here'", False),
    ],
)
def test_a_key_of_the_config_is_a_key_by_the_rules_of_yaml(tmp_path, line, wanted):
    pytest.importorskip("tensorboardX")
    run = RunFolder(tmp_path / "r0")
    plain = _config().to_plain()
    write_yaml(
        run.config, {key: plain[key] for key in plain if key not in ("trackers", "description")}
    )
    run.config.write_text(f"{run.config.read_text()}{line}\n")
    with start(run.path) as reported:
        reported.log(1, loss=2.0)
    assert (run.path / "tensorboard").is_dir() == wanted


def test_tensorboard_gets_every_number_under_one_name(tmp_path):
    pytest.importorskip("tensorboardX")
    pytest.importorskip("tensorboard")
    run = RunFolder(tmp_path / "r0")
    write_yaml(run.config, _config(tensorboard=True).to_plain())
    with start(run.path) as reported:
        reported.log(1, {"eval": {"x_bpb": 0.5}, "reward": {"mean": 0.25}}, tokens=64)
    curves = read_tensorboard((run.path / "tensorboard").glob("events*"))
    assert curves == {"x_bpb": {1: 0.5}, "reward/mean": {1: 0.25}, "tokens": {1: 64.0}}


PROGRAM = """
from olmix.runlog import start
with start() as run:
    for step in range(3):
        run.log(step, loss=3.0 - step)
"""


def test_trackio_keeps_the_metrics_in_its_database(tmp_path):
    pytest.importorskip("trackio", reason="the extra trackio is not installed")
    run = RunFolder(tmp_path / "r0")
    write_yaml(run.config, _config(trackio={"project": "swarm"}).to_plain())
    # trackio takes its folder from the environment when it is imported.
    environment = {
        **os.environ,
        "TRACKIO_DIR": str(tmp_path / "trackio"),
        "HF_HUB_OFFLINE": "1",
        "OLMIX_RUN_DIR": str(run.path),
    }
    subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, env=environment
    )
    (database,) = (tmp_path / "trackio").rglob("swarm*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select step, metrics from metrics order by step").fetchall()
    connection.close()
    assert [step for step, _ in rows] == [0, 1, 2]
