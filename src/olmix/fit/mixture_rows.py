"""When a row of weights counts as a mixture: said once for swarms and predictions.

Weights that a solver left at -1e-12 are 0, and sums as rounded decimals give them (0.99, 1.01) are
divided by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from olmix.simplex import Array

__all__ = ["rescaled_note", "without_noise", "wrong_weights"]

SUM_TOLERANCE = 0.01
"""How far the sum of printed weights may be from 1."""
NOISE = 1e-9
"""Weights between minus this and 0 are the noise of a solver."""
_SAID = 1e-4
"""How far a sum is from 1 where it is worth saying that it was mended."""
_ROUNDING = 1e-9


def without_noise(rows: Array) -> Array:
    """Return weights in which those of a solver's noise below 0 are 0."""
    noise = (rows < 0) & (rows >= -NOISE)
    return np.where(noise, 0.0, rows) if noise.any() else rows


def wrong_weights(domains: Sequence[str], row: Array) -> str | None:
    """Return why a row of weights is no mixture, `None` where it is one.

    Args:
        domains: (D,) names.
        row: (D,) weights; NaN where a cell is empty.
    """
    named = list(zip(domains, row.tolist(), strict=True))
    missing = [name for name, weight in named if np.isnan(weight)]
    if missing:
        return f"{', '.join(missing)} is empty; write 0 for none"
    negative = [f"{name} is {weight:.6g}" for name, weight in named if weight < -NOISE]
    if negative:
        return f"{', '.join(negative)}; a weight must not be negative"
    total = float(row.sum())
    if abs(total - 1) <= SUM_TOLERANCE + _ROUNDING:
        return None
    hint = ""
    if abs(total - 100) <= 100 * SUM_TOLERANCE:
        hint = "; are they per cent? Divide them by 100"
    elif 0 < total < 1:
        hint = f" (from {1 - SUM_TOLERANCE:g} to {1 + SUM_TOLERANCE:g} is allowed); is a domain "
        hint += "missing?"
    return f"the weights add up to {total:.6g}, not to 1{hint}"


def rescaled_note(runs: Sequence[str], rows: Array) -> str | None:
    """Return what to say of rows whose sums were mended, `None` where there is none.

    Args:
        runs: (n,) names.
        rows: (n, D) weights as they were given.
    """
    sums = rows.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SAID)
    if not len(off):
        return None
    worst = int(off[np.abs(sums[off] - 1).argmax()])
    return (
        f"The weights of {len(off)} of {len(runs)} runs do not add up to 1 as printed "
        f"({runs[worst]}: {sums[worst]:.6g}); each was divided by its sum."
    )
