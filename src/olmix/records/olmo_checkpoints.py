"""Checkpoints of OLMo-core on disk: whether a path holds one. Needs no OLMo-core."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["checkpoint_problem"]

_WEIGHTS = ".metadata"
"""Written last into a folder of weights."""
_WHOLE = ("train/rank0.pt", f"model_and_optim/{_WEIGHTS}", ".metadata.json")
"""Files of a whole checkpoint."""
_STEP = re.compile(r"step\d+")


def checkpoint_problem(path: str) -> str | None:
    """Return why a run cannot start from a path, `None` where it can or that is not known.

    A run starts from a checkpoint of OLMo-core, from a folder of them (``step1000``, ...), of which
    it takes the latest, or from a folder of weights alone. URLs are not looked at.

    Args:
        path: value of `training.checkpoint_path`.
    """
    if "://" in path:
        return None
    folder = Path(path)
    if not folder.is_dir():
        return f"{path}: there is no such folder"
    below = folder / "checkpoints"
    try:
        if _holds_checkpoint(folder):
            return None
        hint = f"; did you mean `{below}`?" if below.is_dir() and _holds_checkpoint(below) else ""
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    return f"{path}: holds no OLMo-core checkpoint, directly or in folders named step1000{hint}"


def _holds_checkpoint(folder: Path) -> bool:
    steps = [path for path in folder.iterdir() if _STEP.fullmatch(path.name)]
    return any(_is_checkpoint(path) for path in (folder, *steps))


def _is_checkpoint(folder: Path) -> bool:
    return (folder / _WEIGHTS).is_file() or all((folder / name).is_file() for name in _WHOLE)
