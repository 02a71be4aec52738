"""What a torchtune run has written: its metrics, and whether it ended."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["is_finished", "read_curves"]

_LINE = re.compile(r"Step (\d+) \|\s*(.*)")
_VALUE = re.compile(r"(\S+?):(\S+)")


def read_curves(output_dir: Path) -> Mapping[str, list[tuple[int, float]]]:
    """Return (step, value) of every metric in the log files of a run, latest file last.

    torchtune's `DiskLogger` writes ``log_TIME.txt`` files with lines such as
    ``Step 3 | loss:2.31 lr:0.0003``. A step that was logged again, after a restart, counts once.
    """
    curves: dict[str, dict[int, float]] = {}
    files = sorted(
        output_dir.rglob("log_*.txt"), key=lambda file: (file.stat().st_mtime, file.name)
    )
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            match = _LINE.match(line)
            if match is None:
                continue
            for name, text in _VALUE.findall(match[2]):
                value = _number(text)
                if value is not None:
                    curves.setdefault(name, {})[int(match[1])] = value
    return {name: sorted(points.items()) for name, points in curves.items()}


def _number(text: str) -> float | None:
    tensor = re.fullmatch(r"tensor\(([^,)]+).*", text)
    try:
        value = float(tensor[1] if tensor is not None else text)
    except ValueError:
        return None
    return value if math.isfinite(value) else math.nan


def is_finished(config: Mapping[str, Any], output_dir: Path) -> bool:
    """Say whether the last epoch of a run was saved.

    torchtune saves each epoch to ``epoch_N``; the last one of the config is that of a whole run.
    """
    epochs = config.get("epochs")
    if not isinstance(epochs, int) or epochs < 1:
        return False
    last = output_dir / f"epoch_{epochs - 1}"
    return last.is_dir() and any(last.iterdir())
