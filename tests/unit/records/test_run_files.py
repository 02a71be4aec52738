"""Run folders as they are found: of an older release, damaged, or with numbers of no sense."""

import json
import math
from contextlib import suppress
from pathlib import Path

import pytest

from olmix.collect.folders import read_records
from olmix.errors import DataError
from olmix.launch.status import RunReport
from olmix.records.log_readers import read_jsonl
from olmix.records.run import RunFolder, Status, progress_of
from olmix.records.run_config import read_run_config

GOLDEN = Path(__file__).parents[2] / "golden" / "run_folder_0_1"
HUGE = "1" + "0" * 400


# --- folders that release 0.1 left ---


@pytest.mark.parametrize(
    ("name", "state", "step", "metrics"),
    [
        ("finished", "finished", 20, {"target_bpb", "prose_bpb"}),
        ("interrupted", "pending", 3, None),
        ("diverged", "failed", 3, None),
        ("failed", "failed", 0, None),
        ("own", "finished", 4, {"code_bpb", "loss"}),
        ("grpo", "finished", 2, {"reward", "kl", "loss"}),
    ],
)
def test_a_run_folder_of_release_0_1_still_reads(name, state, step, metrics):
    run = RunFolder(GOLDEN / name)
    status = run.read_status()
    assert (status.state, status.step) == (state, step)
    assert status.diverged == (name == "diverged")
    assert len(status.identity) == 16
    if metrics is None:
        with pytest.raises(DataError, match="there is no such file"):
            run.read_summary()
    else:
        assert metrics <= set(run.read_summary().metrics)
        assert all(math.isfinite(value) for value in run.read_summary().metrics.values())
    assert list(run.read_metrics()) or name in ("interrupted", "diverged", "failed")
    if name != "grpo":
        assert read_run_config(run).name == name


def test_runs_of_release_0_1_are_collected():
    found = {record.name: record for record in read_records(GOLDEN)}
    states = {name: record.state for name, record in found.items()}
    assert states == {
        "finished": "finished",
        "interrupted": "pending",
        "diverged": "diverged",
        "failed": "failed",
        "own": "finished",
        "grpo": "finished",
    }
    assert found["interrupted"].why == "interrupted at step 3"
    assert found["finished"].shares == {"code": 0.6, "prose": 0.4}


# --- damage ---

DAMAGED = {
    "cut off": '{"state": "fin',
    "empty": "",
    "null": "null",
    "a list": '[{"state": "finished"}]',
    "a list as state": '{"state": ["finished"], "identity": "abc"}',
    "an object as identity": '{"state": "finished", "identity": {}}',
    "not UTF-8": b'{"state": "finished\xff"}',
    "deep": '{"a": ' * 3000 + "1" + "}" * 3000,
    "deep and well": '{"state": "finished", "identity": "x", "a": ' + "[" * 90 + "]" * 90 + "}",
    "5,000 digits": f'{{"state": "finished", "identity": "abc", "step": {"9" * 5000}}}',
    "2 MB": '{"state": "finished", "identity": "' + "x" * (2 << 20) + '"}',
}


def put(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_status_is_pending_or_with_a_summary_finished(tmp_path, content):
    run = RunFolder(tmp_path)
    put(tmp_path / "status.json", content)
    assert run.read_status() == Status()
    put(run.summary, '{"identity": "abc", "metrics": {"x_bpb": 1.0}}')
    assert run.read_status() == Status("finished", "abc")


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "NaN", HUGE, "null", "[]", '"x"', "-1"])
def test_an_absurd_number_in_a_status_costs_that_number_alone(tmp_path, value):
    keys = ("step", "num_steps", "tokens", "tokens_per_second", "updated", "error", "diverged")
    inner = ", ".join(f'"{key}": {value}' for key in keys)
    put(tmp_path / "status.json", f'{{"state": "failed", "identity": "abc", {inner}}}')
    status = RunFolder(tmp_path).read_status()
    error = "x" if value == '"x"' else None
    assert status == Status("failed", "abc", error=error)
    assert RunFolder(tmp_path).update_status(step=5).step == 5


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_summary_is_no_traceback(tmp_path, content):
    run = RunFolder(tmp_path)
    run.write_status(Status("finished", "abc"))
    put(run.summary, content)
    with suppress(DataError):
        assert run.read_summary().metrics == {}
    (record,) = read_records(tmp_path)
    assert record.final == {}


def test_what_is_no_number_is_no_metric_and_bookkeeping_is_none(tmp_path):
    run = RunFolder(tmp_path)
    metrics = f'{{"x_bpb": 1, "none": null, "list": [1], "in": {{"y": 2}}, "big": {HUGE}}}'
    put(run.summary, f'{{"metrics": {metrics}, "identity": []}}')
    found = run.read_summary()
    assert found.metrics == {"x_bpb": 1.0, "in/y": 2.0, "big": math.inf}
    assert found.identity == ""


# --- logs ---


def test_all_readers_find_the_same_records(tmp_path):
    """Breaks of Unicode are no ends of lines, a mark of byte order and odd numbers no damage."""
    run = RunFolder(tmp_path)
    lines = [
        '{"step": 1, "loss": 3.0}',
        '{"step": 2, "loss": 2.5, "sample": "a\u2028b\u0085c\x0bd"}',
        f'{{"step": 3, "loss": 2.25, "norm": {HUGE}}}',
        '{"step": 4, "loss": NaN}',
        '{"step": 5, "loss": Infinity, "text": "' + "\\ud800" + '"}',
        '{"step": 6, "loss": 1.0, "deep": ' + "[" * 3000 + "]" * 3000 + "}",
        '{"step": 7, "loss": 2.0}',
        '{"step": 8, "lo',
    ]
    content = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    content = content.replace(b'"step": 7', b'"note": "\xff", "step": 7')
    run.metrics.write_bytes(content)
    steps = [record["step"] for record in run.read_metrics()]
    assert steps == [1, 2, 3, 4, 5, 7]
    curves = read_jsonl(run.metrics)
    assert list(curves["loss"]) == steps
    assert curves["loss"][7] == 2.0
    assert curves["norm"] == {3: math.inf}
    assert RunReport("r", Status(), {}, run).last_metric == "loss 2"


def test_status_shows_no_bookkeeping_as_a_metric(tmp_path):
    run = RunFolder(tmp_path)
    put(run.metrics, json.dumps({"step": 1, "lr": 0.1, "epoch": 2, "eval": {"x_bpb": 1.5}}))
    assert RunReport("r", Status(), {}, run).last_metric == "x_bpb 1.5"


@pytest.mark.parametrize(
    ("said", "share", "left"),
    [
        ({"step": 3, "num_steps": 4}, 0.75, 25.0),
        ({"step": 3, "tokens": 250}, 0.25, 75.0),  # a trainer that does not know its steps
        ({"step": 3, "tokens": 9000}, 1.0, 0.0),
        ({"step": 3}, None, None),
    ],
)
def test_how_far_a_run_is_follows_from_its_steps_or_else_its_tokens(tmp_path, said, share, left):
    run = RunFolder(tmp_path)
    run.update_status(state="running", tokens_per_second=10.0, **progress_of(said))
    report = RunReport("r", run.read_status(), {}, run, num_tokens=1000)
    assert (report.share, report.seconds_left) == (share, left)


def test_a_status_or_summary_of_a_later_release_is_not_misread(tmp_path):
    run = RunFolder(tmp_path)
    run.write_status(Status("finished", "abc"))
    assert json.loads((tmp_path / "status.json").read_text())["format"] == 1
    put(tmp_path / "status.json", '{"state": "failed", "identity": "abc", "format": 2}')
    assert run.read_status() == Status()
    put(run.summary, '{"identity": "abc", "metrics": {}, "format": 2}')
    with pytest.raises(DataError, match="format 2 is of a later Olmix"):
        run.read_summary()
