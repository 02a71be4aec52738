"""Runs of `olmix grpo` for tests: as a process, and as a call."""

from __future__ import annotations

import logging
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
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with pytest.raises(SystemExit) as caught:
        run(command, [str(word) for word in words])
    output = capsys.readouterr()
    # Hydra has set up logging for the process, onto a stream that this test will close.
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level = before
    return caught.value.code, output.out, output.err


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
    return process.wait() == -signal.SIGKILL


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
