"""Runs of `olmix grpo` for tests: as a process, and as a call."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from olmix.cli.grpo import train
from olmix.cli.main import run
from own_logging import logging_of_its_own
from patience import STUCK_S, wait_for

ROOT = Path(__file__).parents[1]

SMALL = (
    "+experiment=quick_test",
    "model.warm_start.steps=2",
    "training.num_batches=4",
    "training.batch_size=2",
    "training.checkpoint_interval=2",
    "grpo.num_generations=2",
    "evaluation.at_start=false",
    "evaluation.at_end=false",
)
"""Four steps of an untrained model: what is written, not what is learned."""


def call(capsys, *words, command=train):
    """Run words in this process and return (status, standard output, standard error)."""
    with logging_of_its_own(), pytest.raises(SystemExit) as caught:
        run(command, [str(word) for word in words])
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


def train_here(folder, *words):
    """Train in this process, in a folder; return (status, standard error).

    What a process of its own would do anew is done once: Tunix takes seven seconds to import.
    """
    err = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stderr(err),
        logging_of_its_own(),
        pytest.raises(SystemExit) as caught,
    ):
        run(train, [str(word) for word in words])
    return caught.value.code, err.getvalue()


def start(folder, *words):
    """Start ``python run_training.py`` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_training.py"), *map(str, words)],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Wait for a process and return (status, standard output, standard error)."""
    out, err = process.communicate(timeout=STUCK_S)
    return process.returncode, out, err


def kill_after(process, folder, step):
    """End a run with SIGKILL once a checkpoint of `step` is whole; say whether it was in time."""
    saved = folder / "checkpoints" / "actor" / str(step)
    wait_for(lambda: saved.is_dir() or process.poll() is not None, "checkpoint")
    process.send_signal(signal.SIGKILL)
    process.communicate()  # closes its pipes
    return process.returncode == -signal.SIGKILL


def weights(folder):
    """Return the arrays of a run's last checkpoint, by their paths."""
    import orbax.checkpoint as ocp

    steps = sorted(int(entry.name) for entry in (folder / "checkpoints" / "actor").iterdir())
    place = folder / "checkpoints" / "actor" / str(steps[-1]) / "model_params"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ocp.PyTreeCheckpointer().restore(place.resolve())
    flat = {}

    def visit(node, path):
        if isinstance(node, dict):
            for key, entry in node.items():
                visit(entry, (*path, key))
        else:
            flat["/".join(map(str, path))] = np.asarray(node)

    visit(tree, ())
    return flat
