import json
import math
import os
import signal
import subprocess
import sys

import pytest

import olmix.runlog
from olmix.collect import collect
from olmix.errors import DataError, LaunchError
from olmix.records.log_readers import read_jsonl
from olmix.records.run import RunFolder, Status
from olmix.text.csv import read_table
from olmix.text.files import read_json
from olmix.text.yaml import write_yaml


def test_three_lines_report_a_run_that_can_be_collected(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "runs/r0")
    folder.write_status(Status(identity="abc"))
    monkeypatch.setenv("OLMIX_RUN_DIR", str(folder.path))
    run = olmix.runlog.start()
    run.log(10, loss=2.5, tokens=640)
    run.finish(code_bpb=0.75)
    status = folder.read_status()
    assert (status.state, status.identity, status.step) == ("finished", "abc", 10)
    found = collect([tmp_path / "runs"], tmp_path / "out")
    assert found.metric_names == ("code_bpb",)
    assert read_table(found.metrics).values.tolist() == [[0.75]]


def test_importing_it_loads_the_standard_library_alone():
    program = (
        "import sys, olmix.runlog\n"
        "print([n for n in ('numpy', 'pydantic', 'yaml', 'click', 'olmix.config') "
        "if n in sys.modules])"
    )
    words = [sys.executable, "-c", program]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_a_folder_it_says_how_to_give_one(monkeypatch):
    monkeypatch.delenv("OLMIX_RUN_DIR", raising=False)
    with pytest.raises(LaunchError, match="OLMIX_RUN_DIR is not set"):
        olmix.runlog.start()


def test_without_final_metrics_the_last_logged_ones_are_final(tmp_path):
    run = olmix.runlog.start(tmp_path)
    run.log(1, {"eval": {"x_bpb": 2.0}}, loss=3.0)
    run.log(2, {"eval": {"x_bpb": 1.0}})
    run.finish()
    assert read_json(tmp_path / "summary.json")["metrics"] == {"x_bpb": 1.0, "loss": 3.0}


def test_an_exception_in_the_block_fails_the_run(tmp_path):
    def train():
        with olmix.runlog.start(tmp_path) as run:
            run.log(1, loss=2.0)
            raise RuntimeError("no space left")

    with pytest.raises(RuntimeError):
        train()
    status = RunFolder(tmp_path).read_status()
    assert (status.state, status.error) == ("failed", "RuntimeError: no space left")
    assert not (tmp_path / "summary.json").exists()


def test_a_run_that_was_killed_goes_on_behind_a_line_that_was_cut_off(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "lo')
    with olmix.runlog.start(tmp_path) as run:
        run.log(2, loss=2.0)
    records = list(RunFolder(tmp_path).read_metrics())
    assert records == [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}]


def test_a_metric_that_is_not_finite_counts_as_not_measured(tmp_path):
    run = olmix.runlog.start(tmp_path)
    run.log(1, loss=math.nan)
    run.finish(loss=math.nan, x_bpb=1.0)
    assert read_json(tmp_path / "summary.json")["metrics"] == {"x_bpb": 1.0}
    assert math.isnan(json.loads((tmp_path / "metrics.jsonl").read_text())["loss"])


def test_what_is_no_number_is_refused_by_name(tmp_path):
    run = olmix.runlog.start(tmp_path)
    with pytest.raises(DataError, match=r"loss: found \[1\]; a number is needed"):
        run.log(1, loss=[1])
    run.fail("no number")


def test_a_run_that_was_stopped_waits_to_go_on(tmp_path):
    run = olmix.runlog.start(tmp_path, num_steps=9)
    run.log(4, loss=1.0)
    run.interrupt()
    status = RunFolder(tmp_path).read_status()
    assert (status.state, status.step, status.num_steps) == ("pending", 4, 9)


def test_a_config_without_trackers_is_not_even_read(tmp_path):
    write_yaml(tmp_path / "config.yaml", {"anything": "goes"})
    with olmix.runlog.start(tmp_path) as run:
        run.log(1, loss=1.0)
    assert RunFolder(tmp_path).read_status().state == "finished"


def test_what_measures_nothing_of_the_model_is_logged_but_is_no_final_metric(tmp_path):
    run = olmix.runlog.start(tmp_path)
    run.log(1, loss=2.0, lr=1e-3, grad_norm=0.5, epoch=1, seconds=3.0)
    run.finish(x_bpb=1.0, lr=1e-4)
    summary = read_json(tmp_path / "summary.json")
    assert summary["metrics"] == {"x_bpb": 1.0}
    assert summary["lr"] == 1e-4
    assert set(json.loads((tmp_path / "metrics.jsonl").read_text())) >= {"lr", "grad_norm", "epoch"}


def test_a_metric_has_one_name_in_the_summary_and_in_the_log(tmp_path):
    """Only the outermost `eval` is left out of a name."""
    with olmix.runlog.start(tmp_path) as run:
        run.log(1, {"val": {"eval": {"x_bpb": 1.0}}, "eval": {"y_bpb": 2.0}})
    assert set(read_json(tmp_path / "summary.json")["metrics"]) == {"val/eval/x_bpb", "y_bpb"}
    assert set(read_jsonl(tmp_path / "metrics.jsonl")) == {"val/eval/x_bpb", "y_bpb"}


@pytest.mark.parametrize("end", [KeyboardInterrupt, "SIGTERM"])
def test_a_block_that_is_interrupted_leaves_the_run_to_be_resumed(tmp_path, end):
    def train():
        with olmix.runlog.start(tmp_path) as run:
            run.log(3, loss=2.0)
            if end == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
            raise end

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train()
    status = RunFolder(tmp_path).read_status()
    assert (status.state, status.step) == ("pending", 3)
    assert status.error == "interrupted; launch again to resume"


def test_a_run_that_diverged_does_not_finish(tmp_path, caplog):
    run = olmix.runlog.start(tmp_path)
    run.log(1, loss=math.nan)
    run.finish()
    status = RunFolder(tmp_path).read_status()
    assert (status.state, status.diverged) == ("failed", True)
    assert "loss became nan" in status.error
    assert not (tmp_path / "summary.json").exists()
