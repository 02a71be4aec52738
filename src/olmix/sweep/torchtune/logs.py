"""What a torchtune run has written: its metrics, and whether it ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmix.io.curves import read_tensorboard, read_torchtune_logs
from olmix.sweep.framework import Curves
from olmix.sweep.torchtune.cost import estimate

__all__ = ["is_finished", "read_curves"]


def read_curves(output_dir: Path, printed: Path) -> Curves:
    """Return (step, value) of every metric that a run has logged.

    torchtune's `DiskLogger` writes ``log_TIME.txt`` files with lines such as
    ``Step 3 | loss:2.31 lr:0.0003``; `StdoutLogger` prints such lines; `TensorBoardLogger` writes
    event files. A step that was logged again, after a restart, counts once: the later value.

    Raises:
        MissingPackageError: there are event files alone, and tensorboard is not installed.
    """
    curves = (
        read_torchtune_logs(output_dir.rglob("log_*.txt"))
        or read_tensorboard(output_dir.rglob("events.out.tfevents.*"))
        or read_torchtune_logs([printed] if printed.is_file() else [])
    )
    return {name: sorted(points.items()) for name, points in curves.items()}


def is_finished(config: Mapping[str, Any], output_dir: Path) -> bool:
    """Say whether a run has saved what it ends with.

    torchtune saves each epoch to ``epoch_N``; the last one of the config is that of a whole run.
    PPO counts steps, not epochs: its run is whole once it has logged its last step and saved.
    """
    epochs = config.get("epochs")
    if isinstance(epochs, int) and epochs > 0:
        last = output_dir / f"epoch_{epochs - 1}"
        return last.is_dir() and any(last.iterdir())
    steps = estimate(config, 1).steps
    if not steps or not any(output_dir.glob("epoch_*/*")):
        return False
    every = config.get("log_every_n_steps")
    skipped = (
        (every if isinstance(every, int) else 1)
        * steps
        // (int(config["num_steps"]) // int(config["batch_size"]))
    )
    curve = read_curves(output_dir, Path()).get("loss", [])
    return bool(curve) and curve[-1][0] > steps - skipped
