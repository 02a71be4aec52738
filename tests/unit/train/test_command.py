"""Runs of any trainer as a command."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from olmix import runlog
from olmix.config import LaunchConfig
from olmix.errors import DataError
from olmix.records.run import COMMAND_FILE, RunFolder
from olmix.text.files import write_json
from olmix.text.yaml import write_yaml
from olmix.train.command import run_command
from olmix.train.dispatch import train_any
from olmix.train.leftover import START_VARIABLE
from patience import STUCK_S, wait_for

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


def test_the_manifest_says_what_a_matched_run_may_see(tiny, tmp_path):
    matched = {"target_tokens": 40_000, "subset_seed": 3}
    folder = folder_with(tiny, tmp_path, python(TRAINER, tmp_path), **matched)
    assert run_command(folder).state == "finished"
    data = json.loads((folder.path / "data_manifest.json").read_text())
    assert (data["target_tokens"], data["subset_share"], data["subset_seed"]) == (40_000, 0.125, 3)
    assert data["domains"]["a"]["tokens_seen"] == 2_500


def test_the_manifest_says_how_many_bytes_validation_sets_have(tiny, tmp_path):
    folder = folder_with(tiny, tmp_path, python(TRAINER, tmp_path))
    assert run_command(folder).state == "finished"
    data = json.loads((folder.path / "data_manifest.json").read_text())
    # One token in a hundred is EOS, which stands for no text; every other one for a byte.
    assert data["validation"]["b"]["tokens"] == 1000
    assert data["validation"]["b"]["bytes"] == 990
    assert data["validation"]["b"]["paths"] == [str(tiny.folder / "b.val.bin")]
    run = runlog.start(folder.path)
    nats = math.log(2) * 0.99
    assert run.bits_per_byte({"b": nats}) == {"b_bpb": pytest.approx(1.0)}
    with pytest.raises(DataError, match="there is no validation set x; there are a, b, c"):
        run.bits_per_byte({"x": 1.0})


def test_a_command_that_fails_says_with_what_and_what_it_said_last(tiny, tmp_path):
    code = "import sys; print('cuda is gone'); sys.exit(3)"
    folder = folder_with(tiny, tmp_path, f'{sys.executable} -c "{code}"')
    outcome = run_command(folder)
    assert outcome.state == "failed"
    assert "exit status 3; its last output: cuda is gone" in outcome.error
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
time.sleep(3600)
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
    words = [sys.executable, "-m", "olmix.train.run_one", str(folder.path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=STUCK_S, check=False)


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
    code += "(p / 'ready').touch(); time.sleep(3600)"
    folder = folder_with(tiny, tmp_path, python(code, tmp_path))
    process = subprocess.Popen([sys.executable, "-m", "olmix.train.run_one", str(folder.path)])
    wait_for((folder.path / "ready").exists, "trainer", while_=process)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(STUCK_S) == 75
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


def sleepers(seconds):
    """Return the processes that sleep for so many seconds."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if words == f"sleep\0{seconds}\0".encode() and state != "Z":
            found.append(int(folder.name))
    return found


def test_what_a_command_leaves_running_does_not_train_on_beside_the_next_start(tiny, tmp_path):
    folder = folder_with(tiny, tmp_path, "bash -c 'sleep 7731 & exit 1'")
    for _ in range(2):
        assert run_command(folder).state == "failed"
    left = sleepers(7731)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []
    assert not (folder.path / "process.json").exists()


def test_a_child_that_saves_its_state_is_waited_for_when_its_shell_is_gone(tiny, tmp_path):
    code = """
import os, pathlib, signal, time
folder = pathlib.Path(os.environ["OLMIX_RUN_DIR"])
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
(folder / "ready").touch()
while not told:
    time.sleep(0.01)
time.sleep(1)
(folder / "state").write_text(str(len(told)))
"""
    file = tmp_path / "train.py"
    file.write_text(code)
    folder = folder_with(tiny, tmp_path, f"bash -c '{sys.executable} {file}; true'")
    outcome = run_command(folder, should_stop=(folder.path / "ready").exists)
    assert outcome.state == "interrupted"
    assert (folder.path / "state").read_text() == "1"


def test_a_command_that_nobody_watches_any_more_is_ended(tiny, tmp_path):
    code = "import os, time; p = os.environ['OLMIX_RUN_DIR'] + '/metrics.jsonl'\n"
    code += "open(p, 'w').write('{}' + chr(10)); os.execvp('sleep', ['sleep', '7732'])"
    folder = folder_with(tiny, tmp_path, python(code, tmp_path))

    def on_progress(_):
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        run_command(folder, on_progress=on_progress)
    left = sleepers(7732)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def test_a_command_cannot_hide_its_start_by_its_environment(tmp_path):
    folder = RunFolder(tmp_path / "run")
    code = f"import os; open('mark', 'w').write(os.environ['{START_VARIABLE}'])"
    words = [sys.executable, "-c", code]
    environment = {START_VARIABLE: "mine"}
    plain = {"words": words, "folder": str(tmp_path), "environment": environment, "identity": "a"}
    write_json(folder.path / COMMAND_FILE, plain)
    assert run_command(folder).state == "finished"
    assert (tmp_path / "mark").read_text() != "mine"


SAYS = {
    "finish": ("import olmix.runlog as r; x = r.start(); x.log(1, loss=2.0); x.finish()", True),
    "summary": (
        "import json, os; f = open(os.environ['OLMIX_RUN_DIR'] + '/summary.json', 'w')\n"
        "json.dump({'metrics': {'loss': 2.0}}, f)",
        True,
    ),
    "nothing": ("pass", False),
    "interrupt": ("import olmix.runlog as r; r.start().interrupt()", False),
}


@pytest.mark.parametrize("said", SAYS)
def test_what_ends_with_status_0_when_it_is_to_stop_has_finished_if_it_said_so(
    tiny, tmp_path, said
):
    """SLURM's signal reaches a command that saves its state and ends before it reaches Olmix."""
    code, finished = SAYS[said]
    (tmp_path / "done.py").write_text(f"{code}\n")
    folder = folder_with(tiny, tmp_path, f"{sys.executable} {tmp_path / 'done.py'}")
    answers = []

    def should_stop():
        log = folder.path / "process.json"
        pid = json.loads(log.read_text())["pid"]
        answers.append(not Path(f"/proc/{pid}").exists())
        return answers[-1]

    outcome = run_command(folder, should_stop=should_stop)
    assert answers[-1]
    assert outcome.state == ("finished" if finished else "interrupted")
    assert folder.read_status().state == ("finished" if finished else "pending")


def test_a_log_with_odd_lines_stops_nothing_and_its_last_numbers_are_kept(tiny, tmp_path):
    lines = ["5", "[1]", '{"step": "x", "tokens_per_second": NaN, "loss": "none"}', "nonsense"]
    lines += ['{"step": 3, "num_steps": 4, "text": "a\u2028b", "loss": 1.5}', '{"bpb": NaN}']
    log = tmp_path / "log"
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    code = f"import os, shutil; shutil.copy({str(log)!r}, os.environ['OLMIX_RUN_DIR']"
    code += " + '/metrics.jsonl')"
    folder = folder_with(tiny, tmp_path, python(code, tmp_path))
    seen = []
    outcome = run_command(folder, on_progress=seen.append)
    assert (outcome.state, outcome.error) == ("finished", None)
    assert (seen[-1].step, seen[-1].num_steps, seen[-1].loss) == (3, 4, 1.5)
    assert json.loads(folder.summary.read_text())["metrics"] == {"loss": 1.5}
    assert folder.read_status().step == 3


@pytest.mark.parametrize(
    ("said", "share"),
    [({"tokens": 1250}, 0.25), ({"tokens": 9e9}, 1.0), ({}, None), ({"num_steps": 10}, 0.3)],
)
def test_how_far_a_run_is_follows_from_its_steps_or_else_its_tokens(tiny, tmp_path, said, share):
    log = tmp_path / "log"
    log.write_text(json.dumps({"step": 3, "loss": 1.5, **said}) + "\n")
    code = f"import os, shutil; shutil.copy({str(log)!r}, os.environ['OLMIX_RUN_DIR']"
    code += " + '/metrics.jsonl')"
    folder = folder_with(tiny, tmp_path, python(code, tmp_path))
    seen = []
    run_command(folder, on_progress=seen.append)
    assert seen[-1].share == share
