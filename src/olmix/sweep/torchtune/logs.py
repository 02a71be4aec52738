"""What a torchtune run has written: its metrics, and whether it ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmix.records.logs import Curves, read_tensorboard, read_torchtune_logs
from olmix.sweep.torchtune.cost import estimate

__all__ = ["is_finished", "read_curves"]


def read_curves(output_dir: Path, printed: Path) -> Curves:
    """Return the value at each step of every metric that a run has logged.

    torchtune's `DiskLogger` writes lines to ``log_TIME.txt``, `StdoutLogger` prints such lines, and
    `TensorBoardLogger` writes event files. The first of these that is there counts.

    Raises:
        MissingPackageError: there are event files alone, and tensorboard is not installed.
    """
    curves = read_torchtune_logs(output_dir.rglob("log_*.txt"))
    curves = curves or read_tensorboard(output_dir.rglob("events.out.tfevents.*"))
    return curves or read_torchtune_logs([printed] if printed.is_file() else [])


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
    return max(read_curves(output_dir, Path()).get("loss", ()), default=0) > steps - skipped
