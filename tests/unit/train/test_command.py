"""Runs of any trainer as a command."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from olmix.config import LaunchConfig
from olmix.io.files import write_json, write_yaml
from olmix.io.runs import COMMAND_FILE, RunFolder
from olmix.train.command import run_command
from olmix.train.dispatch import train_any

TRAINER = """
import json, os, pathlib, sys, time
config, mix, manifest, run_dir, tokens, seed = sys.argv[1:7]
folder = pathlib.Path(os.environ["OLMIX_RUN_DIR"])
assert folder == pathlib.Path(run_dir).resolve()
share = json.loads(pathlib.Path(mix).read_text())["a"]["weight"]
data = json.loads(pathlib.Path(manifest).read_text())
assert data["domains"]["a"]["paths"] and data["seed"] == int(seed)
print("training on", config)
with open(folder / "metrics.jsonl", "a") as log:
    for step in (1, 2):
        log.write(json.dumps({"step": step, "num_steps": 2, "loss": 3 - share * step}) + "\\n")
"""


def folder_with(tiny, tmp_path, command, **training):
    """Return a run folder whose config trains by a command."""
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    section = {"trainer": "command", "command": command, "max_tokens": 5000, "seed": 7, **training}
    mix = {"a": {"weight": 0.25}, "b": {"weight": 0.75}}
    folder = RunFolder(tmp_path / "group" / "run")
    write_yaml(folder.config, {**base, "name": "run", "mix": mix, "training": section})
    return folder


def python(text, tmp_path):
    """Return a command that runs a piece of Python with all placeholders."""
    file = tmp_path / "train er.py"
    file.write_text(text.replace("\\\\n", "\\n"))
    words = "{config} {mix_json} {data_manifest} {run_dir} {max_tokens} {seed}"
    return f"{sys.executable} '{file}' {words}"


def test_a_command_gets_its_mixture_and_data_and_its_metrics_are_kept(tiny, tmp_path):
    folder = folder_with(tiny, tmp_path, python(TRAINER, tmp_path))
    seen = []
    outcome = run_command(folder, on_progress=seen.append)
    assert (outcome.state, outcome.error) == ("finished", None), folder.log.read_text()
    summary = json.loads(folder.summary.read_text())
    assert summary["metrics"] == {"loss": 2.5}
    assert "training on" in folder.log.read_text()
    assert folder.read_status().state == "finished"
    assert run_command(folder).state == "skipped"


def test_a_command_that_fails_says_with_what_and_what_it_said_last(tiny, tmp_path):
    code = "import sys; print('cuda is gone'); sys.exit(3)"
    folder = folder_with(tiny, tmp_path, f'{sys.executable} -c "{code}"')
    outcome = run_command(folder)
    assert outcome.state == "failed"
    assert "exit status 3; it said last: cuda is gone" in outcome.error
    assert folder.read_status().error == outcome.error


def test_a_command_that_is_not_there_is_a_failure_in_words(tiny, tmp_path):
    outcome = run_command(folder_with(tiny, tmp_path, "no-such-trainer {config}"))
    assert (outcome.state, outcome.error) == (
        "failed",
        "no-such-trainer cannot be started: No such file or directory",
    )


def test_a_command_that_is_stopped_is_told_and_waits_to_go_on(tiny, tmp_path):
    code = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(os.environ["OLMIX_RUN_DIR"])
def save(*_):
    (folder / "state").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
(folder / "ready").touch()
time.sleep(60)
"""
    folder = folder_with(tiny, tmp_path, python(code, tmp_path))
    outcome = run_command(folder, should_stop=(folder.path / "ready").exists)
    assert outcome.state == "interrupted"
    assert (folder.path / "state").read_text() == "saved"
    assert folder.read_status().state == "pending"


def test_a_run_of_another_framework_is_its_command(tmp_path):
    folder = RunFolder(tmp_path / "run_000")
    work = tmp_path / "work"
    work.mkdir()
    code = "import os; open('made', 'w').write(os.environ['OLMIX_RUN'])"
    words = [sys.executable, "-c", code]
    plain = {"words": words, "folder": str(work), "environment": {}, "identity": "abc"}
    write_json(folder.path / COMMAND_FILE, plain)
    (outcome,) = train_any([folder])
    assert outcome.state == "finished"
    assert (work / "made").read_text() == "run_000"


def one(folder):
    words = [sys.executable, "-m", "olmix.train.one", str(folder.path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def test_one_run_in_a_process_ends_with_a_status_that_says_how(tiny, tmp_path):
    good = folder_with(tiny, tmp_path, f"{sys.executable} -c pass")
    assert one(good).returncode == 0
    bad = folder_with(tiny, tmp_path / "bad", f'{sys.executable} -c "raise SystemExit(4)"')
    ended = one(bad)
    assert "exit status 4" in ended.stderr
    assert ended.returncode == 1
    assert one(RunFolder(tmp_path / "nowhere")).returncode == 2


def test_sigterm_reaches_the_trainer_and_the_process_ends_with_75(tiny, tmp_path):
    code = "import pathlib, os, time; p = pathlib.Path(os.environ['OLMIX_RUN_DIR'])\n"
    code += "(p / 'ready').touch(); time.sleep(60)"
    folder = folder_with(tiny, tmp_path, python(code, tmp_path))
    process = subprocess.Popen([sys.executable, "-m", "olmix.train.one", str(folder.path)])
    deadline = time.monotonic() + 60
    while not (folder.path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 75
    assert folder.read_status().state == "pending"


@pytest.mark.slow
def test_the_embedded_trainer_runs_in_a_process_of_its_own(tiny, tmp_path):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    folder = RunFolder(tmp_path / "proxy")
    mix = {"a": {"weight": 0.5}, "b": {"weight": 0.5}}
    write_yaml(folder.config, {**base, "name": "proxy", "mix": mix})
    ended = one(folder)
    assert ended.returncode == 0, ended.stderr
    assert folder.read_status().state == "finished"
    assert json.loads(folder.summary.read_text())["metrics"]


def test_a_command_that_calls_itself_failed_is_failed(tiny, tmp_path):
    code = "import olmix.runlog; olmix.runlog.start().fail('the loss exploded')"
    outcome = run_command(folder_with(tiny, tmp_path, python(code, tmp_path)))
    assert (outcome.state, outcome.error) == ("failed", "the loss exploded")


def test_a_summary_of_an_earlier_attempt_does_not_count(tiny, tmp_path):
    folder = folder_with(tiny, tmp_path, python(TRAINER, tmp_path))
    write_json(folder.summary, {"metrics": {"loss": 99.0}})
    assert run_command(folder).state == "finished"
    assert json.loads(folder.summary.read_text())["metrics"] == {"loss": 2.5}
