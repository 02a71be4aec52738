"""The real W&B client: against a service on loopback, and offline runs from their files."""

import csv

import pytest

from fake_wandb import wandb_service
from olmix.collect import Options, collect, collect_wandb
from olmix.collect.wandb_files import find_wandb_files, read_wandb_files
from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.records.run import RunFolder
from olmix.runlog import start
from olmix.text.csv import read_table
from olmix.text.yaml import write_yaml
from patience import wait_for

pytest.importorskip("wandb", reason="the extra wandb is not installed")
# The client's own code, in this version, on this Python.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::pytest.PytestWarning"
)

METRIC = "eval/downstream/arc_easy (BPB v2)"
EVAL = {"type": "inloop", "tasks": {"qa": {"arc_easy": METRIC}}}


@pytest.fixture
def service(monkeypatch, tmp_path):
    """A W&B service that the client of this process talks to."""
    with wandb_service() as found:
        monkeypatch.setenv("WANDB_BASE_URL", found.url)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_DIR", str(tmp_path))
        monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
        yield found


def _mix(weight):
    return {"a": {"weight": weight}, "b": {"weight": 1 - weight}}


def _add(service, name, weight=0.5, value=1.0, **more):
    config = {"mix": _mix(weight), "eval": EVAL}
    service.add(name, config=config, summary={METRIC: value, "_runtime": 9.0}, **more)


def test_a_group_comes_with_its_summaries_in_one_query_a_page(service, tmp_path):
    for index in range(230):
        _add(service, f"r{index}", index / 230, 1 + index)
    _add(service, "other", group="g2")
    found = collect_wandb("ent/proj", "g1", tmp_path)
    assert len(found.runs) == 230
    assert service.asked.count("Runs") == 2, "200 runs a page"
    assert set(service.asked) <= {"Viewer", "GetDefaultEntity", "Runs"}, "no query for each run"
    assert read_table(found.ratios).values[23].tolist() == pytest.approx([0.1, 0.9])


def test_in_loop_metrics_become_task_ids_and_the_fit_config_names_them(service, tmp_path):
    _add(service, "r0")
    write_yaml(tmp_path / "priors.yaml", {"token_counts": {"a": 5, "b": 6}})
    options = Options(priors=tmp_path / "priors.yaml")
    found = collect_wandb("ent/proj", "g1", tmp_path / "out", options)
    assert found.metric_names == ("arc_easy",)
    config = FitConfig.from_yaml(found.fit_config)
    assert config.eval.tasks == {"qa": ("arc_easy",)}


def test_crashed_and_running_runs_are_marked_and_not_tabled(service, tmp_path):
    _add(service, "good")
    _add(service, "gone", state="crashed")
    _add(service, "busy", state="running")
    found = collect_wandb("ent/proj", "g1", tmp_path)
    assert found.runs == ("good",)
    assert found.incomplete["gone"].startswith("crashed on W&B")
    with (tmp_path / "runs.csv").open() as lines:
        states = {row["run"]: row["state"] for row in csv.DictReader(lines)}
    assert states == {"good": "finished", "gone": "crashed", "busy": "running"}


def test_of_two_runs_of_a_name_the_finished_one_counts(service, tmp_path):
    _add(service, "r0", value=2.0, state="crashed")
    _add(service, "r0", value=1.0)
    found = collect_wandb("ent/proj", "g1", tmp_path)
    assert read_table(found.metrics).values.tolist() == [[1.0]]
    assert found.incomplete == {"r0#1": "crashed; a later run with this name is used"}


def test_the_best_value_and_checkpoints_come_from_the_whole_history(service, tmp_path):
    history = [{"_step": step, METRIC: abs(step - 60) / 100 + 1} for step in range(100)]
    _add(service, "r0", history=history)
    options = Options(value="best", per_checkpoint=True)
    found = collect_wandb("ent/proj", "g1", tmp_path, options)
    assert read_table(found.metrics).values.tolist() == [[1.0]]
    with (tmp_path / "checkpoints.csv").open() as lines:
        assert len(list(csv.DictReader(lines))) == 100


def test_a_metric_that_is_nan_on_wandb_is_named(service, tmp_path):
    _add(service, "r0")
    _add(service, "r1", value="NaN")
    found = collect_wandb("ent/proj", "g1", tmp_path)
    assert found.runs == ("r0",)
    assert found.incomplete == {"r1": "arc_easy was not measured or is not finite"}


def test_a_group_that_is_not_there_is_refused(service, tmp_path):
    with pytest.raises(DataError, match="there is no group g9"):
        collect_wandb("ent/proj", "g9", tmp_path)


def _launch(name, weight, trackers):
    return {
        "name": name,
        "group_id": "g1",
        "training": {"trainer": "command", "command": "true", "max_tokens": 100},
        "data": {"sources": [{"name": "a", "paths": ["a"]}, {"name": "b", "paths": ["b"]}]},
        "eval": EVAL,
        "mix": _mix(weight),
        "trackers": trackers,
    }


def _wait_for_end(folder):
    """The client's own process writes the last records a moment after `finish` has returned."""
    (file,) = find_wandb_files(folder)
    wait_for(lambda: "no end" not in read_wandb_files([file])[0].why, "end of the records")
    return file


def test_offline_runs_are_read_from_their_files(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    tracker = {"wandb": {"project": "p", "mode": "offline"}}
    for name, weight in (("r0", 0.25), ("r1", 0.75)):
        folder = RunFolder(tmp_path / "runs" / name)
        write_yaml(folder.config, _launch(name, weight, tracker))
        run = start(folder.path)
        for step in range(3):
            run.log(step, {METRIC: 3.0 - step})
        if name == "r0":
            run.finish(token_shares={"a": 0.26, "b": 0.74})
        else:
            run.fail("no space left")
        _wait_for_end(folder.path)
    found = collect(sorted((tmp_path / "runs").glob("*/wandb")), tmp_path / "out")
    assert found.runs == ("r0",)
    assert found.incomplete == {"r1": "exit code 1"}
    assert read_table(found.metrics).values.tolist() == [[1.0]]
    assert read_table(found.ratios).values.tolist() == [[0.26, 0.74]], "as trained"


def test_a_file_that_is_cut_off_gives_what_it_holds(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "r0")
    write_yaml(folder.config, _launch("r0", 0.5, {"wandb": {"project": "p", "mode": "offline"}}))
    run = start(folder.path)
    for step in range(200):
        run.log(step, {METRIC: 3.0})
    run.finish()
    file = _wait_for_end(folder.path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (record,) = read_wandb_files([file])
    assert record.state == "crashed"
    assert 0 < len(record.curves()[METRIC]) < 200
