"""Checkpoints: the whole state of a run in one file that is replaced in one step."""

from __future__ import annotations

import json
import logging
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from olmix.text.files import atomic_path
from olmix.train.proxy.loop import TrainState

__all__ = ["Position", "load_checkpoint", "save_checkpoint"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """Where a run stands, besides its arrays.

    Attributes:
        identity: which run it is.
        step: steps done.
        metrics_bytes: length of `metrics.jsonl`.
        losses: losses of the steps since the last record of the training loss.
        seconds: time spent so far.
    """

    identity: str
    step: int = 0
    metrics_bytes: int = 0
    losses: tuple[float, ...] = ()
    seconds: float = 0.0


def save_checkpoint(path: Path, position: Position, state: TrainState) -> None:
    """Write a checkpoint; a process killed meanwhile leaves the one before it."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    arrays: dict[str, NDArray[Any]] = {
        f"leaf_{index:04d}": leaf for index, leaf in enumerate(leaves)
    }
    with atomic_path(path) as beside, beside.open("wb") as handle:
        arrays["position"] = np.array(json.dumps(asdict(position)))
        np.savez(handle, allow_pickle=False, **arrays)


def load_checkpoint(
    path: Path, identity: str, like: TrainState
) -> tuple[Position, TrainState] | None:
    """Read a checkpoint of this very run, if there is one.

    Args:
        path: the file.
        identity: the run that is wanted; a checkpoint of another one is skipped.
        like: a state of the same structure, shapes and types.
    """
    if not path.is_file():
        return None
    leaves, structure = jax.tree.flatten(like)
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            raw = json.loads(str(stored["position"]))
            found = [stored[f"leaf_{index:04d}"] for index in range(len(leaves))]
        position = Position(**{**raw, "losses": tuple(raw["losses"])})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s cannot be read and is skipped: %r", path, error)
        return None
    same = all(
        a.shape == b.shape and a.dtype == b.dtype for a, b in zip(found, leaves, strict=True)
    )
    if position.identity != identity or not same:
        logger.info("%s belongs to another run and is skipped", path)
        return None
    return position, jax.tree.unflatten(structure, found)
