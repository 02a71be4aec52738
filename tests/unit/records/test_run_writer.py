import json
import math
import os
import signal
import threading

import pytest

from olmix.errors import DivergedError
from olmix.records.run import RunFolder, Status
from olmix.records.run_writer import RunWriter, Terminated, final_metrics, sigterm_interrupts
from olmix.records.trackers import Trackers


class _Notes:
    name = "notes"

    def __init__(self):
        self.told = []

    def log(self, step, metrics):
        self.told.append((step, metrics))

    def finish(self, summary, *, ok):
        self.told.append(("end", ok))


def test_a_run_is_written_from_its_start_to_its_summary(tmp_path):
    folder, notes = RunFolder(tmp_path / "r0"), _Notes()
    with RunWriter(folder, identity="abc", num_steps=4, trackers=Trackers([notes])) as run:
        assert folder.read_status().state == "running"
        run.log({"step": 2, "loss": 2.0, "eval": {"x_bpb": 1.0}})
        run.progress(step=2, tokens_per_second=10.0)
        run.finish({"x_bpb": 1.0, "y_bpb": math.nan}, {"seed": 3}, step=4)
    status = folder.read_status()
    assert (status.state, status.identity, status.step, status.num_steps) == (
        "finished", "abc", 4, 4,
    )  # fmt: skip
    assert json.loads(folder.summary.read_text()) == {
        "format": 1,
        "run": "r0",
        "identity": "abc",
        "metrics": {"x_bpb": 1.0},
        "seed": 3,
    }
    assert notes.told == [(2, {"loss": 2.0, "x_bpb": 1.0}), ("end", True)]


def test_a_new_start_takes_back_what_the_last_one_said_of_its_end(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_status(Status("failed", "abc", 7, 9, error="it broke", diverged=True))
    folder.summary.write_text('{"identity": "abc", "metrics": {}}')
    RunWriter(folder).close()
    status = folder.read_status()
    assert (status.state, status.error, status.diverged) == ("running", None, False)
    assert (status.identity, status.step, status.num_steps) == ("abc", 7, 9)
    assert not folder.summary.exists()


def test_what_was_logged_after_the_checkpoint_is_cut_off(tmp_path):
    folder = RunFolder(tmp_path)
    with RunWriter(folder) as run:
        run.log({"step": 1, "loss": 3.0})
        size = run.sync()
        run.log({"step": 2, "loss": 2.0})
    with RunWriter(folder, keep_bytes=size) as run:
        run.log({"step": 2, "loss": 1.0})
    assert [record["loss"] for record in folder.read_metrics()] == [3.0, 1.0]


def test_nothing_is_logged_until_something_is(tmp_path):
    """A command may log in its own way; an empty log would hide that."""
    RunWriter(RunFolder(tmp_path)).interrupt()
    assert not (tmp_path / "metrics.jsonl").exists()


def test_steps_after_a_checkpoint_can_be_dropped_by_their_number(tmp_path):
    with RunWriter(RunFolder(tmp_path)) as run:
        for step in (1, 2, 3):
            run.log({"step": step, "text": "a\u2028b"})
        assert [record["step"] for record in run.keep_steps(2)] == [1, 2]
        run.log({"step": 3, "loss": 1.0})
    assert [record["step"] for record in run.folder.read_metrics()] == [1, 2, 3]


def test_a_failure_is_told_to_trackers_too(tmp_path):
    notes = _Notes()
    with (
        pytest.raises(OSError, match="disk"),
        RunWriter(RunFolder(tmp_path), trackers=Trackers([notes])),
    ):
        raise OSError("the disk is full")
    assert notes.told == [("end", False)]
    assert RunFolder(tmp_path).read_status().error == "OSError: the disk is full"


def test_sigterm_is_an_exception_only_where_nobody_handles_it():
    with pytest.raises(Terminated), sigterm_interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    try:
        with sigterm_interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
        assert told == [1]
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_a_thread_may_report_a_run_and_leaves_signals_alone(tmp_path):
    seen = []

    def work():
        with sigterm_interrupts():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


# --- which numbers are final metrics ---


def test_bookkeeping_is_logged_but_becomes_no_metric():
    logged = {"loss": 2.0, "lr": 1e-3, "grad_norm": 0.5, "epoch": 1.0, "x_bpb": 1.0}
    assert final_metrics(logged) == ({"loss": 2.0, "x_bpb": 1.0}, {})


def test_bookkeeping_that_was_given_for_the_summary_is_kept_as_a_fact():
    assert final_metrics({"loss": 2.0}, {"x_bpb": 1.0, "lr": 0.1}) == ({"x_bpb": 1.0}, {"lr": 0.1})
    assert final_metrics({"loss": 2.0}, {"seconds": 5.0}) == ({"loss": 2.0}, {"seconds": 5.0})


def test_a_run_whose_last_training_loss_is_not_finite_has_diverged():
    with pytest.raises(DivergedError, match="train/loss became nan"):
        final_metrics({"x_bpb": 1.0, "train/loss": math.nan})
    with pytest.raises(DivergedError, match="loss became inf"):
        final_metrics({"loss": 2.0}, {"loss": math.inf})
    assert final_metrics({"loss": math.nan}, {"x_bpb": 1.0})[0] == {"x_bpb": 1.0}
