"""Metrics that are made of others: copies, sums, averages of all others or of some.

Their information counts twice in an average of all metrics, and averaging fits predicts better than
fitting an average. Such a column is a sum of others with weights that are not negative (least
squares), of which few are needed: noise would need as many as there are runs.

Legend: ``R`` runs, ``M`` metrics.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from olmix.errors import needs
from olmix.simplex import Array
from olmix.text.numbers import listed, significant

__all__ = ["composed_notes"]

_ROUNDING = 0.01
"""Share of a spread by which values that were written with few digits may be off (root mean
square)."""
_SHARE_OF_RUNS = 1 / 3
"""Most parts, as a share of the runs: with more, anything fits."""
_LEAST_PART = 0.01
"""What a part adds to the spread of the whole, at least, as a share of it."""
_MOST_METRICS = 200
_NAMED = 4


def composed_notes(names: Sequence[str], measured: Array) -> list[str]:
    """Name the metrics that are made of others.

    Args:
        names: (M,) the metrics.
        measured: (R, M) their values; NaN where there is none. Only runs that have all count.
    """
    whole = measured[np.isfinite(measured).all(axis=1)]
    if len(whole) < 3 or not 2 <= len(names) <= _MOST_METRICS:
        return []
    spread = whole.std(axis=0)
    usable = (spread > 0) & (spread < 1e100)
    scaled = whole / np.where(usable, spread, 1.0)
    notes = []
    # Of two copies the later one is named: it is no part of what follows.
    for index in reversed(np.flatnonzero(usable)):
        usable[index] = False
        weights = _weights(scaled[:, index], scaled[:, usable])
        if weights is None:
            usable[index] = True
            continue
        others = np.flatnonzero(usable)
        parts = [int(others[i]) for i in np.flatnonzero(weights)]
        own = weights[weights > 0] * spread[index] / spread[parts]
        notes.append(_sentence(names[index], [names[i] for i in parts], own, len(others)))
    return notes[::-1]


def _weights(column: Array, others: Array) -> Array | None:
    """Return what a column (R,) is made of, all in spreads, (M,); `None` where it is not."""
    with needs("fit", "Fitting a swarm"):
        from scipy import optimize
    if not others.shape[1]:
        return None
    # What no straight combination gives, no sum gives: much faster to see.
    free = others @ np.linalg.lstsq(others, column, rcond=None)[0]
    if np.sqrt(np.mean((column - free) ** 2)) > _ROUNDING:
        return None
    weights = optimize.nnls(others, column)[0]
    weights = np.where(weights > _LEAST_PART, weights, 0.0)
    off = float(np.sqrt(np.mean((column - others @ weights) ** 2)))
    few = 0 < (weights > 0).sum() <= max(_SHARE_OF_RUNS * len(column), 1)
    return weights if off <= _ROUNDING and few else None


def _sentence(name: str, parts: Sequence[str], weights: Array, others: int) -> str:
    """Return what a metric is made of, and what to do."""
    shown = [*parts[:_NAMED], *([f"{len(parts) - _NAMED} more"] if len(parts) > _NAMED else [])]
    of = "the other metrics" if len(parts) == others > 1 else listed(shown)
    even = np.ptp(weights) <= 0.05 * weights.mean()
    if len(parts) == 1:
        factor = float(weights[0])
        what = f"{of} again" if abs(factor - 1) < 0.01 else f"{significant(factor)} times {of}"
    elif abs(weights.sum() - 1) < 0.02:
        what = f"the mean of {of}" if even else f"a weighted mean of {of}"
    else:
        what = f"a sum of {of}"
    return (
        f"{name} is {what} in every run: leave it out (filtering.drop_metrics), since averaging "
        "fits predicts better than fitting an average."
        if len(parts) > 1
        else f"{name} is {what} in every run, so it counts twice: leave one of them out "
        "(filtering.drop_metrics)."
    )
