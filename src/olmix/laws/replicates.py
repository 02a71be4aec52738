"""The noise of a metric, from runs that differ by their seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import repeat

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["pooled_sd"]


def pooled_sd(
    groups: Iterable[ArrayLike], weights: Iterable[ArrayLike] | None = None
) -> tuple[float | None, int]:
    """Return the pooled standard deviation within groups of replicates, and its freedom.

    Args:
        groups: finite values of the replicates of each mixture or setting, (n,) each; a group of
            one tells nothing.
        weights: (n,) each, what a value counts, 1 if left out; the deviation is that of a value
            which counts 1.

    Returns:
        the standard deviation, `None` without any replicates; the degrees of freedom, the number of
        values less the number of groups.
    """
    squares, freedom = 0.0, 0
    each = repeat(1.0) if weights is None else weights
    for group, own in zip(groups, each, strict=False):
        values = np.asarray(group, dtype=np.float64)
        if len(values) > 1:
            counted = np.broadcast_to(np.asarray(own, dtype=np.float64), values.shape)
            mean = float(np.average(values, weights=counted))
            squares += float((counted * (values - mean) ** 2).sum())
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom) if freedom else None), freedom
