"""Logs of a torchtune run: its metrics, and whether it ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmix.records.log_readers import Curves, read_tensorboard, read_torchtune_logs
from olmix.sweep.framework import OUTPUT_DIR, Path_
from olmix.sweep.own_folders import resolve_folder
from olmix.sweep.torchtune.cost import estimate

__all__ = ["find_folders", "is_finished", "read_curves"]

_CHECKPOINTS: Path_ = ("checkpointer", "output_dir")
_LOGS: Path_ = ("metric_logger", "log_dir")


def find_folders(config: Mapping[str, object]) -> dict[Path_, str]:
    """Return every folder that a run writes: results, checkpoints, logs, profiles."""
    found: dict[Path_, Any] = {OUTPUT_DIR: config.get(OUTPUT_DIR[0])}
    for key, node in config.items():
        if isinstance(node, Mapping):
            found |= {(key, name): node.get(name) for name in ("output_dir", "log_dir")}
    return {p: resolve_folder(config, text) for p, text in found.items() if isinstance(text, str)}


def read_curves(folders: Mapping[Path_, Path], printed: Path) -> Curves:
    """Return the value at each step of every metric that a run has logged.

    torchtune's `DiskLogger` writes lines to ``log_TIME.txt``, `StdoutLogger` prints such lines, and
    `TensorBoardLogger` writes event files. The first of these that is there counts.

    Raises:
        MissingPackageError: there are event files alone, and tensorboard is not installed.
    """
    logs = folders.get(_LOGS)
    if logs is not None:  # no deeper: another run's folder may be below
        curves = read_torchtune_logs(logs.glob("log_*.txt"))
    else:
        logs = folders[OUTPUT_DIR]
        curves = read_torchtune_logs(logs.rglob("log_*.txt"))
    curves = curves or read_tensorboard(logs.rglob("events.out.tfevents.*"))
    return curves or read_torchtune_logs([printed] if printed.is_file() else [])


def is_finished(config: Mapping[str, Any], folders: Mapping[Path_, Path], last_step: int) -> bool:
    """Whether a run has saved what it ends with.

    torchtune's checkpointer saves each epoch to ``epoch_N``; the last one of the config is that of
    a whole run. PPO counts steps, not epochs: its run is whole once it has logged its last step and
    saved.
    """
    output_dir = folders.get(_CHECKPOINTS, folders[OUTPUT_DIR])
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
    return last_step > steps - skipped
