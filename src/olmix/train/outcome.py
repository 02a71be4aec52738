"""How far a run is, and how it ended; what every trainer tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Outcome", "Progress"]

End = Literal["finished", "failed", "skipped", "interrupted"]


@dataclass(frozen=True)
class Outcome:
    """How the training of a run folder ended.

    Attributes:
        run: the folder.
        state: `skipped` where the very same run was finished before; `interrupted` where it
            stopped on request and can be resumed.
        error: why it failed.
    """

    run: Path
    state: End
    error: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        run: the folder.
        step: steps done.
        num_steps: steps to do.
        tokens_per_second: speed of this run since it was taken up.
        loss: training loss of the last step; `None` before the first.
    """

    run: Path
    step: int
    num_steps: int
    tokens_per_second: float
    loss: float | None
