"""What a torchtune run has written: its metrics, and whether it ended."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.errors import MissingPackageError
from olmix.sweep.framework import Curves
from olmix.sweep.torchtune.cost import estimate

__all__ = ["is_finished", "read_curves"]

_LINE = re.compile(r"Step (\d+) \|\s*(.*)")
_VALUE = re.compile(r"(\S+?):(\S+)")


def read_curves(output_dir: Path, printed: Path) -> Curves:
    """Return (step, value) of every metric that a run has logged.

    torchtune's `DiskLogger` writes ``log_TIME.txt`` files with lines such as
    ``Step 3 | loss:2.31 lr:0.0003``; `StdoutLogger` prints such lines; `TensorBoardLogger` writes
    event files. A step that was logged again, after a restart, counts once: the later value.

    Raises:
        MissingPackageError: there are event files alone, and tensorboard is not installed.
    """
    files = sorted(
        output_dir.rglob("log_*.txt"), key=lambda file: (file.stat().st_mtime, file.name)
    )
    events = sorted(output_dir.rglob("events.out.tfevents.*"))
    curves = _read_lines(files) or _read_events(events)
    return curves or _read_lines([printed] if printed.is_file() else [])


def _read_lines(files: Sequence[Path]) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, dict[int, float]] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            # A progress bar may stand before it on the same line.
            match = _LINE.search(line)
            if match is None:
                continue
            for name, text in _VALUE.findall(match[2]):
                value = _number(text)
                if value is not None:
                    curves.setdefault(name, {})[int(match[1])] = value
    return {name: sorted(points.items()) for name, points in curves.items()}


def _read_events(files: Sequence[Path]) -> dict[str, list[tuple[int, float]]]:
    if not files:
        return {}
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        raise MissingPackageError(
            "tensorboard", "tensorboard", f"Reading {files[0].name}"
        ) from None
    curves: dict[str, dict[int, float]] = {}
    for file in files:
        events = EventAccumulator(str(file), size_guidance={"scalars": 0})
        events.Reload()
        for name in events.Tags()["scalars"]:
            points = {event.step: event.value for event in events.Scalars(name)}
            curves.setdefault(name, {}).update(points)
    return {name: sorted(points.items()) for name, points in curves.items()}


def _number(text: str) -> float | None:
    tensor = re.fullmatch(r"tensor\(([^,)]+).*", text)
    try:
        value = float(tensor[1] if tensor is not None else text)
    except ValueError:
        return None
    return value if math.isfinite(value) else math.nan


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
