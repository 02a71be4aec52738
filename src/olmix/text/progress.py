"""How far a piece of work is: what is told of it, and a counter that tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["NOBODY", "OnProgress", "Progress", "Steps"]


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is.

    Attributes:
        done: units done.
        total: units in all; 0 where that is not known.
        note: what is done, in a few words.
    """

    done: float
    total: float
    note: str = ""

    @property
    def share(self) -> float | None:
        """Share that is done, in [0, 1]; `None` where the total is not known."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else None


OnProgress = Callable[[Progress], None]


class Steps:
    """Counts the steps of a piece of work and tells a listener of each.

    Args:
        on_progress: the listener; without one nothing happens.
        total: steps in all; no more are counted.
    """

    def __init__(self, on_progress: OnProgress | None = None, total: int = 0) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0

    def __call__(self, note: str = "", count: int = 1) -> None:
        """Say that a step is done, or several; with a `count` of 0, what is begun."""
        self._done = min(self._done + count, self._total)
        if self._on_progress is not None:
            self._on_progress(Progress(self._done, self._total, note))


NOBODY = Steps()
"""Steps that nobody listens to."""
