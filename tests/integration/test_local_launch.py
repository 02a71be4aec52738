"""The local engine with real workers: it trains, survives kills, and repeats nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from olmix.collect import collect
from olmix.config import GenerationConfig, LaunchConfig
from olmix.errors import LaunchError
from olmix.generate import generate
from olmix.launch import Group, cancel, find_group, launch_local, load_group, read_group
from olmix.records.run import RunFolder, lock
from olmix.text.csv import read_table
from patience import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def variants(tiny):
    base = LaunchConfig.from_yaml(tiny.launch)
    return generate(GenerationConfig.from_yaml(tiny.generation), tiny.folder / "variants", base)


def _metrics(runs: Path) -> dict:
    return {
        file.parent.name: json.loads(file.read_text())["metrics"]
        for file in sorted(runs.glob("*/*/summary.json"))
    }


def _launch(variants, runs: Path) -> subprocess.Popen:
    words = ["launch", "run", "-v", str(variants.folder), "-o", str(runs), "--yes"]
    return subprocess.Popen([sys.executable, "-m", "olmix", *words], start_new_session=True)


def test_a_swarm_trains_is_collected_and_is_not_trained_twice(variants, tmp_path):
    group = load_group(variants.folder)
    events = []
    launched = launch_local(group, tmp_path / "runs", events.append)
    assert len(launched.finished) == 5
    assert not launched.failed
    assert {event.state for event in events} >= {"started", "finished"}
    folder = find_group(tmp_path / "runs", None)
    assert {report.status.state for report in read_group(folder)} == {"finished"}

    again = launch_local(group, tmp_path / "runs")
    assert (again.finished, len(again.skipped)) == ((), 5)

    found = collect([folder], tmp_path / "results")
    assert found.runs == tuple(run.name for run in group.runs)
    ratios = read_table(found.ratios)
    assert ratios.columns == ("a", "b", "c")
    asked = [group.runs[i].mix.weights(ratios.columns) for i in range(5)]
    # Quotas are exact: what was trained differs by less than a sequence per domain.
    assert abs(ratios.values - asked).max() < 1 / (6400 / 16)
    assert read_table(found.metrics).columns == ("a_bpb", "b_bpb", "c_bpb")


def test_kill_9_in_the_middle_loses_nothing_and_changes_no_bit(variants, tiny, tmp_path):
    whole = tmp_path / "whole"
    launch_local(load_group(variants.folder), whole)

    killed = tmp_path / "killed"
    launcher = _launch(variants, killed)
    wait_for(lambda: len(list(killed.glob("*/*/summary.json"))) >= 2, "finished run")
    os.killpg(launcher.pid, signal.SIGKILL)
    launcher.wait()
    finished = {
        path.parent.name: path.stat().st_mtime_ns for path in killed.glob("*/*/summary.json")
    }
    again = launch_local(load_group(variants.folder), killed)
    assert set(again.skipped) >= set(finished)
    for path in killed.glob("*/*/summary.json"):
        if path.parent.name in finished:
            assert path.stat().st_mtime_ns == finished[path.parent.name]
    assert _metrics(killed) == _metrics(whole)


def test_a_worker_that_is_killed_is_replaced_and_its_run_completed(variants, tmp_path):
    runs = tmp_path / "runs"
    launcher = _launch(variants, runs)
    wait_for(lambda: list(runs.glob("*/*/summary.json")), "finished run")
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    if not children.exists():
        launcher.wait()
        pytest.skip("elsewhere: this system does not list child processes")
    for child in children.read_text().split():
        os.kill(int(child), signal.SIGKILL)
    assert launcher.wait(120) == 0
    assert len(_metrics(runs)) == 5


def test_a_run_that_kills_its_worker_three_times_is_given_up_and_the_others_go_on(tiny, tmp_path):
    plain = LaunchConfig.from_yaml(tiny.launch).to_plain()
    # The run of a dies with its worker; that of b ends well.
    command = "bash -c 'case {run_dir} in *-a) kill -9 $PPID;; esac'"
    training = {"trainer": "command", "command": command, "max_tokens": 100}
    runs = [
        LaunchConfig.from_dict(
            {**plain, "name": f"run-{name}", "training": training, "mix": {name: {"weight": 1.0}}}
        )
        for name in ("a", "b")
    ]
    events = []
    launched = launch_local(Group.of("g", runs), tmp_path, events.append)
    assert [event.run for event in events if event.state == "retried"] == ["run-a", "run-a"]
    assert launched.finished == ("run-b",)
    assert "its worker ended 3 times, last by" in launched.failed["run-a"]
    assert RunFolder(tmp_path / "g/run-a").read_status().state == "failed"


def test_ctrl_c_ends_with_status_130_and_the_second_start_goes_on(variants, tmp_path):
    runs = tmp_path / "runs"
    launcher = _launch(variants, runs)
    wait_for(lambda: list(runs.glob("*/*/summary.json")), "finished run")
    os.kill(launcher.pid, signal.SIGINT)
    assert launcher.wait(60) == 130
    again = launch_local(load_group(variants.folder), runs)
    assert len(again.skipped) + len(again.finished) == 5
    assert again.skipped


def test_two_launchers_do_not_work_on_one_group(variants, tmp_path):
    group = load_group(variants.folder)
    with (
        lock(tmp_path / group.group_id / ".lock", wait=False),
        pytest.raises(LaunchError, match="another launcher is already working"),
    ):
        launch_local(group, tmp_path)


def test_cancelling_stops_and_launching_again_goes_on(variants, tmp_path):
    runs = tmp_path / "runs"
    launcher = _launch(variants, runs)
    wait_for(lambda: list(runs.glob("*/*/summary.json")), "finished run")
    folder = find_group(runs, None)
    cancel(folder)
    assert launcher.wait(60) == 1
    states = {report.status.state for report in read_group(folder)}
    assert states <= {"finished", "cancelled"}
    launch_local(load_group(variants.folder), runs)
    assert {report.status.state for report in read_group(folder)} == {"finished"}


def test_a_run_with_another_config_is_set_aside_and_trained_anew(variants, tmp_path):
    group = load_group(variants.files[0])
    launch_local(group, tmp_path)
    file = variants.files[0]
    file.write_text(file.read_text().replace("max_tokens: 6400", "max_tokens: 3200"))
    launch_local(load_group(file), tmp_path)
    folder = tmp_path / group.group_id
    assert len(list((folder / ".replaced").iterdir())) == 1
    assert RunFolder(folder / file.stem).read_status().num_steps == 50


def test_a_run_that_fails_does_not_stop_the_others_and_says_why(variants, tmp_path):
    file = variants.files[0]
    file.write_text(file.read_text().replace("learning_rate: 0.008", "learning_rate: 1.0e+30"))
    launched = launch_local(load_group(variants.folder), tmp_path)
    assert list(launched.failed) == [file.stem]
    assert len(launched.finished) == 4
    found = collect([launched.folder], tmp_path / "results")
    assert list(found.incomplete) == [file.stem]
    assert len(found.runs) == 4
