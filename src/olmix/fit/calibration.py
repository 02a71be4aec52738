"""Intervals of single predictions that are calibrated on runs left out.

    y(x) in f(x) +- quantile * (base + slope * d(x)) * max(1, d(x) / reach)^2

with `d` the Hellinger distance of the mixture from the nearest run that the law has seen. `base`
and `slope` follow the size of the held-out errors (non-negative least squares). Two ends are not
covered by them. No held-out run lies at a mixture that was trained: `base` is at least the noise of
one run, from replicates or from residuals (`error_at_trained`). And none lies as far out as a
vertex: beyond `reach`, the distance of nearly all held-out runs, errors grow with the square of the
distance, and are at least those of laws that have not seen the best and the outermost tenth
(`fit.evidence.best_tenth`); coverage at vertices of planted laws was measured
(`benchmarks/honesty.py`).

The quantile is conformal (Vovk et al. 2005; Lei et al. 2018, locally weighted): the smallest with
which a share of 90 % of the held-out runs, with one run more for the finite number, lies inside.
Nothing is assumed of the law or of the noise but that future mixtures are like those of the swarm.
The noise of one run is part of the interval. Intervals end at the bounds of what can be measured: a
loss is not below 0, an accuracy not above 1.

`coverage` is honest: the quantile for the runs of a fold comes from the other folds.

A proposal is none of the runs that were held out at random: it lies where the objective is best.
There the errors of laws that have not seen the best tenth count too (`fit.evidence.best_tenth`).

Legend: ``R`` runs, ``U`` unique mixtures, ``n`` mixtures asked for, ``D`` domains.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from olmix.errors import needs
from olmix.laws.outliers import mean_square
from olmix.records.fit.scores import LEVEL, Calibration
from olmix.simplex import Array

__all__ = ["LEVELS", "bounds_of", "calibrate", "error_at_trained", "student"]

_MEAN_SIZE = 0.798
"""Mean size of a normal error, in standard deviations."""
_LEAST_SHARE = 1 / 2
"""Share of the mean held-out error that is left at a mixture that was trained, at least: a law that
runs through every point takes its noise for a signal."""
_SHY = 2.0
"""Degrees of freedom by which few replicates are distrusted: their variance counts
``(freedom + 2) / freedom`` times."""
_REACH = 0.9
"""Quantile of the distances of held-out runs beyond which nothing was measured."""
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares for which it is measured how many runs the intervals do contain."""


def student(freedom: int) -> float:
    """Return how many standard deviations an interval at `LEVEL` reaches, by Student's t."""
    with needs("fit", "Fitting a swarm"):
        from scipy import stats
    return float(stats.t.ppf(0.5 + LEVEL / 2, freedom))


def bounds_of(values: Array, *, lower_is_better: bool) -> tuple[float, float]:
    """Return the smallest and the largest value that a metric can have; NaN where it has no bound.

    Losses, errors and rates are not negative, and rates of success not above 1; whether a metric is
    one of these is read from what was measured.

    Args:
        values: measured values as they stand in the table; NaN where there is none.
        lower_is_better: its direction.
    """
    seen = values[np.isfinite(values)]
    low = 0.0 if seen.size and seen.min() >= 0 else math.nan
    rate = low == 0.0 and not lower_is_better and seen.max() <= 1
    return low, 1.0 if rate else math.nan


def calibrate(
    residuals: Array,
    distances: Array,
    folds: NDArray[np.intp],
    at_trained: float = 0.0,
    bounds: tuple[float, float] = (math.nan, math.nan),
) -> Calibration:
    """Calibrate the intervals of one metric.

    Args:
        residuals: (R,) measured minus predicted, by the fit without the run's fold.
        distances: (R,) from the nearest mixture that this fit has seen.
        folds: (R,) fold of each run.
        at_trained: root of the mean squared error of a new run at a mixture that was trained
            (`error_at_trained`). Held-out runs are never that near, so they cannot tell.
        bounds: smallest and largest value that the metric can have (`bounds_of`).
    """
    size = np.abs(residuals)
    least = _MEAN_SIZE * at_trained
    base, slope = _typical(size, distances, least)
    scores = size / (base + slope * distances)
    inside = np.full((len(size), len(LEVELS)), np.nan)
    for fold in np.unique(folds):
        out = folds == fold
        if out.all():
            continue
        own_base, own_slope = _typical(size[~out], distances[~out], least)
        expected = own_base + own_slope * distances
        quantiles = np.array([_quantile((size / expected)[~out], level) for level in LEVELS])
        inside[out] = size[out, None] <= quantiles * expected[out, None]
    reach = max(float(np.quantile(distances, _REACH)), 1e-3)
    coverage = dict(zip(LEVELS, inside.mean(axis=0).tolist(), strict=True))
    low, high = bounds
    return Calibration(base, slope, _quantile(scores, LEVEL), coverage, reach, low, high)


def error_at_trained(
    own: Array, held_out: Array, noise_sd: float | None, freedom: int, known: float = 0.0
) -> float:
    """Return the root of the mean squared error of a new run at a mixture that was trained.

    The product of a run's two residuals, by the fit to all runs and by the fit without it, has the
    variance of the noise as its mean (for a linear smoother with leverage `h` the first is
    ``1 - h`` times the second), to which the estimate itself adds the share `h`. Replicates measure
    the noise directly, and that of seeds too, which runs of one swarm share: the larger counts.
    Where standard errors are known, the noise they tell counts as well, up to the mean squared
    error of held-out runs, which contains it.

    Args:
        own: (R,) residuals of the fit to all runs.
        held_out: (R,) residuals of the fits without the run's fold.
        noise_sd: standard deviation between runs of one mixture, `None` without replicates.
        freedom: degrees of freedom of `noise_sd`.
        known: variance of one run by the standard errors of the metric, 0 where unknown.
    """
    usual = np.quantile(np.abs(held_out), 0.9) * 3
    product = np.clip(own, -usual, usual) * np.clip(held_out, -usual, usual)
    noise = max(float(product.mean()), min(known, mean_square(held_out)), 0.0)
    ratio = float(np.sqrt(mean_square(own) / max(mean_square(held_out), 1e-300)))
    if noise_sd is not None:
        noise = max(noise, noise_sd**2 * (freedom + _SHY) / freedom)
    return float(np.sqrt(noise * (2 - min(ratio, 1.0))))


def _typical(size: Array, distances: Array, least: float) -> tuple[float, float]:
    """Return the expected size of an error as a line in the distance, at least `least` at 0."""
    with needs("fit", "Fitting a swarm"):
        from scipy import optimize
    level = max(float(size.mean()), 1e-300)
    least = max(least, _LEAST_SHARE * level)  # a swarm of exact predictions still gets some width
    design = np.stack([np.ones_like(distances), distances], axis=1)
    (extra, slope), _ = optimize.nnls(design, (size - least) / level)
    return least + level * float(extra), level * float(slope)


def _quantile(scores: Array, level: float) -> float:
    """Return the conformal quantile; beyond the largest score where the runs are too few."""
    count = len(scores)
    rank = int(np.ceil((count + 1) * level))
    ordered = np.sort(scores)
    if rank <= count:
        return float(ordered[rank - 1])
    return float(ordered[-1] * (1 + 2 / count))
