"""Accidents among measurements, told from runs whose mixture explains what they measured.

The value of a run that blew up shows no more than that: it may be 10 or 1e9. Such a value
counts as if it lay at the end of the usual range. But a run without a domain, or with little else,
lies as far out and teaches most. A value that lies far out is therefore an accident only where its
neighbours in *mixture* speak against it (`accidents`).

Legend: ``n`` runs, ``D`` domains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from olmix.simplex import Array, hellinger

__all__ = ["FAR_OUT", "accidents", "mean_square", "winsorise", "without_accidents"]

FAR_OUT = 8.0
"""Robust standard deviations from the median beyond which a value lies far out."""
_ABSURD = 100.0
"""Times the largest usual size beyond which no mixture explains a value."""
_NONE = 1e-6
"""Weight below which a run is without a domain."""
_NEIGHBOURS = 3
_MOST = 0.75
"""Share of the runs with as little (or as much) of a domain that must lie far out as well."""
_APART = 0.95
"""Quantile of the distances between neighbouring runs beyond which a run has no neighbour."""


def _usual_range(values: Array, reach: float = FAR_OUT) -> tuple[float, float]:
    """Return the ends of the usual range: median and interquartile range, infinite if it is 0."""
    low, middle, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
    width = reach * (high - low) / 1.349
    return (middle - width, middle + width) if width > 0 else (-np.inf, np.inf)


def winsorise(values: Array, reach: float = FAR_OUT) -> Array:
    """Return values (n,) with those far outside moved to the end of the usual range."""
    return np.asarray(np.clip(values, *_usual_range(values, reach)))


def mean_square(errors: Array, reach: float = FAR_OUT) -> float:
    """Return the mean square of errors (n,), each counted up to `reach` robust deviations.

    The robust deviation is 1.4826 times the median size; errors of a normal distribution are far
    within and count in full.
    """
    size = np.abs(errors)
    usual = 1.4826 * float(np.median(size))
    limit = reach * usual if usual > 0 else np.inf
    return float(np.mean(np.minimum(size, limit) ** 2))


def accidents(mixtures: Array, values: Array) -> NDArray[np.bool_]:
    """Return which values of one metric are accidents, (n,).

    An infinite value always is, and one a hundred times as large as any usual one. A value that
    lies far out is one unless its mixture explains it: the run has no near neighbour, a near
    neighbour lies far out on the same side, or most runs with as little or as much of one of its
    domains do.

    Args:
        mixtures: (n, D) mixtures of the runs that measured the metric.
        values: (n,) what they measured; infinite, but not NaN.
    """
    found = ~np.isfinite(values)
    rest = np.flatnonzero(~found)
    if len(rest) == 0:
        return np.asarray(found)
    low, high = _usual_range(values[rest])
    usual = values[rest][(values[rest] >= low) & (values[rest] <= high)]
    limit = (
        _ABSURD * max(float(np.abs(usual).max()), np.finfo(float).tiny) if usual.size else np.inf
    )
    absurd = np.abs(values) > limit
    found |= absurd
    rest = rest[~absurd[rest]]
    side = np.where(values > high, 1, np.where(values < low, -1, 0))
    suspects = np.flatnonzero(side[rest] != 0)
    if not suspects.size:
        return np.asarray(found)
    distances = hellinger(mixtures[rest], mixtures[rest])
    for own in suspects:
        same = side[rest] == side[rest][own]
        found[rest[own]] = not _explained(int(own), mixtures[rest], same, distances)
    return np.asarray(found)


def without_accidents(mixtures: Array, values: Array, *, bad_is_high: bool = True) -> Array:
    """Return values with accidents moved to the end of what is usual, (n,).

    Args:
        mixtures: (n, D) mixtures.
        values: (n,) one metric; NaN where it was not measured.
        bad_is_high: the end at which an infinite value counts.
    """
    cleaned = np.array(values, dtype=np.float64)
    seen = np.flatnonzero(~np.isnan(cleaned))
    column = cleaned[seen]
    found = accidents(mixtures[seen], column)
    if not found.any() or found.all():
        return cleaned
    kept = column[~found]
    ends = np.clip(_usual_range(kept), kept.min(), kept.max())
    bad = ends[1] if bad_is_high else ends[0]
    cleaned[seen[found]] = np.where(np.isfinite(column), np.clip(column, *ends), bad)[found]
    return cleaned


def _explained(own: int, mixtures: Array, same: NDArray[np.bool_], distances: Array) -> bool:
    """Whether a run's mixture explains a value that lies far out.

    Args:
        own: index of the run.
        mixtures: (n, D) mixtures.
        same: (n,) whether a run lies far out on the same side.
        distances: (n, n) Hellinger distances.
    """
    others = np.delete(np.arange(len(mixtures)), own)
    if len(others) < 2:
        return False
    among = distances[np.ix_(others, others)] + np.diag(np.full(len(others), np.inf))
    apart = float(np.quantile(among.min(axis=1), _APART))
    near = others[np.argsort(distances[own, others], kind="stable")[:_NEIGHBOURS]]
    near = near[distances[own, near] <= apart]
    if len(near) == 0 or same[near].any():
        return True
    for domain in mixtures.T:
        least, most = domain <= max(domain[own], _NONE), domain >= domain[own]
        without = domain[own] <= _NONE
        if (without or least.sum() > 1) and same[least].mean() >= _MOST:
            return True
        if most.sum() > 1 and same[most].mean() >= _MOST:
            return True
    return False
