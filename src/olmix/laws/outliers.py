"""Statistics that a diverged run does not decide.

A run that blew up tells that it blew up, not how far: its loss may be 10 or 1e9. Fits use a Huber
loss, which pulls with the same force however far a value lies, and everything around them
(spreads, error bars) counts such a value as if it lay at the end of what is usual.
"""

from __future__ import annotations

import numpy as np

from olmix.simplex import Array

__all__ = ["FAR_OUT", "far_out", "mean_square", "winsorise"]

FAR_OUT = 8.0
"""Robust standard deviations from the median beyond which a value is taken for an accident."""


def _limits(values: Array, reach: float) -> tuple[float, float]:
    """Return the ends of what is usual: median and interquartile range, infinite if it is 0."""
    low, middle, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
    width = reach * (high - low) / 1.349
    return (middle - width, middle + width) if width > 0 else (-np.inf, np.inf)


def far_out(values: Array, reach: float = FAR_OUT) -> Array:
    """Return which values (n,) lie far outside of the others, (n,) of booleans."""
    low, high = _limits(values, reach)
    return np.asarray((values < low) | (values > high))


def winsorise(values: Array, reach: float = FAR_OUT) -> Array:
    """Return values (n,) with those far outside moved to the end of what is usual."""
    return np.asarray(np.clip(values, *_limits(values, reach)))


def mean_square(errors: Array, reach: float = FAR_OUT) -> float:
    """Return the mean square of errors (n,), each counted up to `reach` robust deviations.

    The robust deviation is 1.4826 times the median size; errors of a normal distribution are far
    within and count in full.
    """
    size = np.abs(errors)
    usual = 1.4826 * float(np.median(size))
    limit = reach * usual if usual > 0 else np.inf
    return float(np.mean(np.minimum(size, limit) ** 2))
