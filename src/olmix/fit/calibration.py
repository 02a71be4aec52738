"""Intervals of single predictions that are calibrated on runs left out.

    y(x) in f(x) +- quantile * (base + slope * d(x))

with `d` the Hellinger distance of the mixture from the nearest run that the law has seen. `base`
and `slope` follow the size of the held-out errors (non-negative least squares), so an extrapolation
says so. The quantile is conformal (Vovk et al. 2005; Lei et al. 2018, locally weighted): the
smallest with which a share of 90 % of the held-out runs, with one run more for the finite number,
lies inside. Nothing is assumed of the law or of the noise but that future mixtures are like those
of the swarm. The noise of one run is part of the interval.

`coverage` is honest: the quantile for the runs of a fold comes from the other folds.

Legend: ``R`` runs, ``U`` unique mixtures, ``n`` mixtures asked for, ``D`` domains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from olmix.errors import MissingPackageError
from olmix.records.fit.scores import LEVEL, Calibration
from olmix.simplex import Array

__all__ = ["LEVELS", "NORMAL_QUANTILE", "calibrate"]

NORMAL_QUANTILE = 1.6449
"""Standard deviations that the interval of a normal distribution reaches at `LEVEL`."""
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares for which it is measured how many runs the intervals do contain."""


def calibrate(residuals: Array, distances: Array, folds: NDArray[np.intp]) -> Calibration:
    """Calibrate the intervals of one metric.

    Args:
        residuals: (R,) measured minus predicted, by the fit without the run's fold.
        distances: (R,) from the nearest mixture that this fit has seen.
        folds: (R,) fold of each run.
    """
    size = np.abs(residuals)
    base, slope = _typical(size, distances)
    scores = size / (base + slope * distances)
    inside = np.full((len(size), len(LEVELS)), np.nan)
    for fold in np.unique(folds):
        out = folds == fold
        if out.all():
            continue
        own_base, own_slope = _typical(size[~out], distances[~out])
        expected = own_base + own_slope * distances
        quantiles = np.array([_quantile((size / expected)[~out], level) for level in LEVELS])
        inside[out] = size[out, None] <= quantiles * expected[out, None]
    coverage = dict(zip(LEVELS, inside.mean(axis=0).tolist(), strict=True))
    return Calibration(base, slope, _quantile(scores, LEVEL), coverage)


def _typical(size: Array, distances: Array) -> tuple[float, float]:
    """Return the expected size of an error as a line in the distance, never below 0."""
    try:
        from scipy import optimize
    except ImportError:
        raise MissingPackageError("scipy", "fit", "Fitting a swarm") from None
    level = max(float(size.mean()), 1e-300)
    design = np.stack([np.ones_like(distances), distances], axis=1)
    (base, slope), _ = optimize.nnls(design, size / level)
    # A swarm of exact predictions still gets intervals of some width.
    return level * max(float(base), 0.1), level * float(slope)


def _quantile(scores: Array, level: float) -> float:
    """Return the conformal quantile; beyond the largest score where the runs are too few."""
    count = len(scores)
    rank = int(np.ceil((count + 1) * level))
    ordered = np.sort(scores)
    if rank <= count:
        return float(ordered[rank - 1])
    return float(ordered[-1] * (1 + 2 / count))
