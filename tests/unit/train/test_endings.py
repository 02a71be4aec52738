"""What ends a run means the same whoever trains it: one table for all trainers."""

import math
import os
import signal
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

import olmix.runlog
from olmix.errors import DivergedError
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.records.run import COMMAND_FILE, INTERRUPTED, RunFolder
from olmix.text.files import write_json
from olmix.train.command import run_command
from olmix.train.dispatch import train_any
from olmix.train.proxy.group import train_runs
from train_fixtures import Project

HOW = {
    "Ctrl-C": ("pending", INTERRUPTED, False),
    "SIGTERM": ("pending", INTERRUPTED, False),
    "exception": ("failed", "RuntimeError: no space left", False),
    "NaN loss": ("failed", "became nan", True),
}


def happen(how):
    """Let it happen here and now, as far as it is something that happens at a moment."""
    if how == "Ctrl-C":
        raise KeyboardInterrupt
    if how == "SIGTERM":
        os.kill(os.getpid(), signal.SIGTERM)
    if how == "exception":
        raise RuntimeError("no space left")


def proxy(root, how, monkeypatch):
    """The embedded trainer; its launcher turns signals into a question, asked between steps."""
    folder = Project(root).folder(learning_rate=1e30 if how == "NaN loss" else 3e-3)
    asked = []

    def should_stop():
        asked.append(1)
        if len(asked) < 3:
            return False
        if how != "SIGTERM":
            happen(how)
        return how == "SIGTERM"

    list(train_runs([folder], should_stop=should_stop))
    return folder


def command(root, how, monkeypatch):
    """A trainer that knows nothing of Olmix, and the process that watches it."""
    folder = RunFolder(root / "run")
    code = (
        "import os, time\n"
        "log = open(os.environ['OLMIX_RUN_DIR'] + '/metrics.jsonl', 'w')\n"
        'print(\'{"step": 1, "loss": NaN}\', file=log, flush=True)\n'
    )
    if how == "exception":
        code += "raise RuntimeError('no space left')"
    elif how != "NaN loss":
        code += "time.sleep(3600)"
    words = [sys.executable, "-c", code]
    write_json(folder.path / COMMAND_FILE, {"words": words, "folder": ".", "identity": "id"})

    def on_progress(_):
        if how == "Ctrl-C":
            happen(how)

    stop = folder.metrics.is_file if how == "SIGTERM" else lambda: False
    run_command(folder, on_progress=on_progress, should_stop=stop)
    return folder


def own(root, how, monkeypatch):
    """A trainer of the user's own that reports by `olmix.runlog`."""
    with olmix.runlog.start(root / "run") as run:
        run.log(1, loss=math.nan if how == "NaN loss" else 2.0)
        happen(how)
    return run.folder


def own_launched(root, how, monkeypatch):
    """The same, started as a command."""
    folder = RunFolder(root / "run")
    code = (
        "import math, olmix.runlog, os, signal\n"
        "with olmix.runlog.start() as run:\n"
        f"    run.log(1, loss={'math.nan' if how == 'NaN loss' else 2.0})\n"
    )
    code += {
        "Ctrl-C": "    os.kill(os.getpid(), signal.SIGINT)\n",
        "SIGTERM": "    os.kill(os.getpid(), signal.SIGTERM)\n",
        "exception": "    raise RuntimeError('no space left')\n",
        "NaN loss": "",
    }[how]
    words = [sys.executable, "-c", code]
    write_json(folder.path / COMMAND_FILE, {"words": words, "folder": ".", "identity": "id"})
    list(train_any([folder]))
    return folder


def olmo_core(root, how, monkeypatch):
    """OLMo-core, whose part of the work is left out."""
    from olmix.config import LaunchConfig
    from olmix.train.olmo_core import run as olmo

    project = Project(root)
    folder = project.folder()
    training = {"proxy_model_id": "olmo2_1m", "max_tokens": 4096}
    config = LaunchConfig.from_dict({**project.plain(), "training": training})

    def train(folder, config, training, mix, run, caller):
        happen(how)
        plan = SimpleNamespace(num_steps=1, learning_rate=1.0)
        reports = {"run_folder": SimpleNamespace(logged={"train/CE loss": math.nan})}
        olmo._conclude(run, config, SimpleNamespace(plan=plan), None, reports, 1)

    monkeypatch.setattr(olmo.importlib.util, "find_spec", lambda _: True)
    for name in ("_check", "prepare_environment"):
        monkeypatch.setattr(olmo, name, lambda *_: None)
    monkeypatch.setattr(olmo, "_train", train)
    olmo.train_run(folder, config, should_stop=lambda: how == "SIGTERM")
    return folder


def grpo(root, how, monkeypatch):
    """GRPO, whose training is left out."""
    from olmix.grpo import run

    def train(config, writer):
        happen(how)
        raise DivergedError("the training loss became nan at step 1")

    monkeypatch.setattr(run, "_train", train)
    run.run_training(RunConfig.from_dict(compose(["+experiment=quick_test"])), root / "run")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("trainer", [proxy, command, own, own_launched, olmo_core, grpo])
def test_a_run_ends_in_one_way_whoever_trains_it(trainer, how, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    with suppress(KeyboardInterrupt, SystemExit, RuntimeError, DivergedError):
        trainer(tmp_path, how, monkeypatch)
    assert signal.getsignal(signal.SIGTERM) is before
    (folder,) = (RunFolder(path.parent) for path in tmp_path.rglob("status.json"))
    status = folder.read_status()
    state, words, diverged = HOW[how]
    assert (status.state, status.diverged) == (state, diverged)
    assert words in status.error
    assert not folder.summary.exists()
