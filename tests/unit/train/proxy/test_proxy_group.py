"""Training a run folder in this process: what it leaves, and that stopping changes nothing."""

import json

import numpy as np
import pytest

from olmix.records.run import INTERRUPTED
from olmix.records.trackers import Trackers
from olmix.text.yaml import write_yaml
from olmix.train.proxy.group import train_runs
from olmix.train.proxy.run import prepare
from train_fixtures import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


def train(*folders, calls=None, on_progress=lambda _: None):
    """Train; with `calls`, stop when it has been asked for the (calls + 1)th time."""
    left = [calls]

    def should_stop():
        if left[0] is None:
            return False
        left[0] -= 1
        return left[0] < 0

    outcomes = train_runs(folders, on_progress=on_progress, should_stop=should_stop)
    return {outcome.run.name: outcome for outcome in outcomes}


def result(folder):
    summary = json.loads(folder.summary.read_text())
    timing = ("seconds", "tokens_per_second", "run")
    return folder.metrics.read_bytes(), {
        key: value for key, value in summary.items() if key not in timing
    }


@pytest.fixture(scope="module")
def finished(project):
    """A run that was trained without interruption, and evaluated on the way."""
    folder = project.folder("straight", eval_interval=15)
    assert train(folder)["straight"].state == "finished"
    return folder


def test_a_finished_run_leaves_a_summary_a_log_and_no_checkpoint(finished):
    summary = json.loads(finished.summary.read_text())
    assert set(summary["metrics"]) == {"target_bpb", "prose_bpb"}
    assert all(0 < value < 9 for value in summary["metrics"].values())
    assert (summary["steps"], summary["tokens"], summary["seed"]) == (40, 2560, 0)
    assert summary["weights"] == {"code": 0.6, "prose": 0.4}
    assert summary["token_shares"] == {"code": 0.6, "prose": 0.4}
    assert summary["epochs"]["code"] == 96 / ((6000 - 1) // 16)
    assert {"jax", "numpy", "olmix"} <= set(summary["versions"])
    status = finished.read_status()
    assert (status.state, status.step, status.num_steps) == ("finished", 40, 40)
    assert status.identity == summary["identity"]
    assert finished.is_finished(summary["identity"])
    assert not finished.checkpoint.exists()
    assert "straight" in finished.log.read_text()


def test_the_metrics_file_has_losses_and_evaluations_in_order(finished):
    records = list(finished.read_metrics())
    losses = [record["step"] for record in records if "loss" in record]
    evaluations = [record["step"] for record in records if "eval" in record]
    assert losses == [8, 16, 24, 32, 40]
    assert evaluations == [15, 30, 40]
    assert [record["tokens"] for record in records] == [64 * record["step"] for record in records]
    assert records[0]["loss"] > records[-2]["loss"]
    assert records[-1]["eval"] == json.loads(finished.summary.read_text())["metrics"]


def test_a_run_that_is_finished_is_skipped(finished):
    before = finished.summary.stat().st_mtime_ns
    assert train(finished)["straight"].state == "skipped"
    assert finished.summary.stat().st_mtime_ns == before


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_an_interrupted_run_goes_on_to_bitwise_the_same_result(project, finished, calls):
    folder = project.folder(f"stopped_{calls}", eval_interval=15)
    assert train(folder, calls=calls + 1)[folder.name].state == "interrupted"
    status = folder.read_status()
    assert status.state == "pending"
    assert 0 < status.step < 40
    assert folder.checkpoint.is_file()
    assert train(folder)[folder.name].state == "finished"
    assert f"resumes at step {status.step}" in folder.log.read_text()
    assert result(folder) == result(finished)


def test_records_written_after_the_checkpoint_are_not_doubled(project, finished):
    folder = project.folder("killed", eval_interval=15)
    train(folder, calls=4)
    with folder.metrics.open("ab") as log:
        log.write(b'{"step": 999, "loss": 1.0}\n{"step": 1000, "lo')
    train(folder)
    assert result(folder) == result(finished)


@pytest.mark.parametrize("damage", ["cut off", "other run", "lost metrics"])
def test_a_checkpoint_that_does_not_fit_is_not_used(project, finished, damage):
    folder = project.folder(f"damaged_{damage[:3]}", eval_interval=15)
    if damage == "other run":
        other = project.folder("other", eval_interval=15, seed=5)
        train(other, calls=4)
        folder.checkpoint.write_bytes(other.checkpoint.read_bytes())
        folder.metrics.write_bytes(other.metrics.read_bytes())
    else:
        logged = lambda: folder.metrics.is_file() and folder.metrics.stat().st_size > 0  # noqa: E731
        list(train_runs([folder], should_stop=logged))
        assert folder.checkpoint.is_file()
        if damage == "cut off":
            folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:-500])
        else:
            folder.metrics.write_bytes(b"")
    assert train(folder)[folder.name].state == "finished"
    assert "resumes at" not in folder.log.read_text()
    assert result(folder) == result(finished)


def test_a_changed_config_is_trained_anew(project):
    folder = project.folder("changed")
    train(folder)
    before = result(folder)
    project.folder("changed", weights=(0.2, 0.8))
    assert train(folder)["changed"].state == "finished"
    assert result(folder)[1]["identity"] != before[1]["identity"]
    assert result(folder)[1]["metrics"] != before[1]["metrics"]


def test_a_run_that_diverges_fails_in_words_and_leaves_the_others_alone(project):
    wild = project.folder("wild", learning_rate=1e30)
    tame = project.folder("tame")
    outcomes = train(wild, tame)
    assert outcomes["tame"].state == "finished"
    assert outcomes["wild"].state == "failed"
    assert "the training loss became nan at step" in outcomes["wild"].error
    assert "Lower training.learning_rate (now 1e+30)" in wild.read_status().error
    assert wild.read_status().state == "failed"
    assert not wild.summary.exists()


def test_a_broken_config_fails_that_run_only(project):
    broken, good = project.folder("broken"), project.folder("good", seed=3)
    write_yaml(broken.config, {**project.plain(), "trainin": {}})
    outcomes = train(broken, good)
    assert "did you mean `training`?" in outcomes["broken"].error
    assert broken.read_status().state == "failed"
    assert outcomes["good"].state == "finished"


def test_progress_is_reported(project):
    seen = []
    train(project.folder("watched", seed=9), on_progress=seen.append)
    assert (seen[0].step, seen[0].num_steps) == (0, 40)
    assert seen[0].run.name == "watched"


def test_runs_that_nobody_waits_for_any_more_are_pending_not_running(project):
    first, second = project.folder("left_1", seed=4), project.folder("left_2", max_tokens=1280)
    outcomes = train_runs([first, second])
    assert next(outcomes).state == "finished"
    assert second.read_status().state == "running"
    outcomes.close()
    status = second.read_status()
    assert (status.state, status.error) == ("pending", INTERRUPTED)
    assert first.read_status().state == "finished"


class _Notes:
    """A tracker that notes what it is told."""

    name = "notes"

    def __init__(self):
        self.metrics, self.end = set(), []

    def log(self, step, metrics):
        self.metrics |= set(metrics)

    def finish(self, summary, *, ok):
        self.end.append((ok, set(summary)))


def test_trackers_are_told_losses_evaluations_and_the_end(project, monkeypatch):
    notes = _Notes()
    monkeypatch.setattr("olmix.train.proxy.run.open_run_trackers", lambda *_: Trackers([notes]))
    train(project.folder("tracked", seed=9))
    assert notes.metrics == {"tokens", "loss", "lr", "target_bpb", "prose_bpb"}
    ((ok, summary),) = notes.end
    assert ok
    assert "token_shares" in summary


def test_runs_side_by_side_equal_runs_one_at_a_time(project, finished):
    changes = {
        "a": {"weights": (0.6, 0.4)},
        "b": {"weights": (0.1, 0.9)},
        "c": {"weights": (0.6, 0.4), "seed": 1, "learning_rate": 4e-3},
    }
    alone = [project.folder(f"alone_{name}", **change) for name, change in changes.items()]
    for folder in alone:
        train(folder)
    together = [project.folder(f"together_{name}", **change) for name, change in changes.items()]
    assert {outcome.state for outcome in train(*together).values()} == {"finished"}
    for one, other in zip(alone, together, strict=True):
        expected, found = result(one)[1]["metrics"], result(other)[1]["metrics"]
        np.testing.assert_allclose(
            list(found.values()), list(expected.values()), rtol=1e-4, err_msg=one.name
        )


def test_runs_of_a_swarm_start_from_the_same_weights_and_see_the_same_windows(project):
    works = [
        prepare(project.config(weights=weights)) for weights in ((0.6, 0.4), (0.5, 0.5), (0.9, 0.1))
    ]
    assert len({work.geometry for work in works}) == 1
    assert len({work.training.seed for work in works}) == 1
    codes = [
        work.plan.batches(0, 40).reshape(-1, 17)[work.plan.slots == 0][:50].tolist()
        for work in works
    ]
    assert codes[0] == codes[1] == codes[2]
