"""The noise of a metric, from runs that differ by their seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["pooled_sd"]


def pooled_sd(groups: Iterable[ArrayLike]) -> tuple[float | None, int]:
    """Return the pooled standard deviation within groups of replicates, and its freedom.

    Args:
        groups: finite values of the replicates of each mixture or setting, (n,) each; a group of
            one tells nothing.

    Returns:
        the standard deviation, `None` without any replicates; the degrees of freedom, the number of
        values less the number of groups.
    """
    squares, freedom = 0.0, 0
    for group in groups:
        values = np.asarray(group, dtype=np.float64)
        if len(values) > 1:
            squares += float(((values - values.mean()) ** 2).sum())
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom) if freedom else None), freedom
