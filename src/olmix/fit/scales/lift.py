"""A fit carried to a larger scale: maps from the larger runs, judged on those of them left out.

The maps see predictions of mixtures that the small laws have not seen: a mixture that was trained
at both scales is predicted by the fit without its fold. Errors on larger runs left out then hold
everything that can go wrong at the target: the small law's error, the map's, and the noise of the
larger run. They are pooled over the metrics, relative to the spread of what is predicted, since a
handful of runs says little about each; their quantile is Student's.

Legend: ``k`` mixtures of the larger scale, ``M`` metrics, ``D`` domains, ``U`` unique mixtures,
``B`` draws, ``K`` mixtures asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from olmix.config import FitConfig
from olmix.fit.calibration import bounds_of, student
from olmix.fit.crossval import LawCandidate, MetricFit
from olmix.fit.scales.read import ScaleRuns
from olmix.fit.scoring import scores
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.fit.uncertainty import ObjectiveFit, held_out_average
from olmix.laws.gp import FittedGaussianProcess, GpSqrt
from olmix.laws.law import FittedLaw
from olmix.laws.outliers import mean_square
from olmix.laws.scaled import FittedScaled, ScaleMaps, fit_maps
from olmix.records.fit.scores import Calibration, Scores
from olmix.simplex import Array, hellinger

__all__ = ["LEAST_RUNS", "LiftedFit", "lift"]

LEAST_RUNS = 4
"""Different mixtures of a metric at the larger scale from which its values are placed there."""
LEAST_RESIDUAL = 16
"""Mixtures from which a Gaussian process of the residual is tried; with fewer it does not help."""
_MOST_FOLDS = 32
"""Larger runs up to which each is left out alone."""
_FEW_FOLDS = 8
_POOLED_FREEDOM = 4
"""Degrees of freedom that the errors of the other metrics add to those of one."""
_MEAN_SIZE = 0.798
"""Mean size of a normal error, in standard deviations."""
_SAME = 1e-6
_NO_INTERVAL = Calibration(np.nan, np.nan, np.nan)


@dataclass(frozen=True, kw_only=True)
class LiftedFit(SwarmFit):
    """A fit at a larger scale: `swarm` holds the small runs as the maps place them, and the larger.

    Attributes:
        small: the fit at the scale below.
        runs: the runs of this scale.
        maps: from the scale below.
        residuals: Gaussian process of what each map leaves over; `None` where there is none.
        errors: (k, M) measured minus predicted of larger runs left out, less is better.
    """

    small: SwarmFit
    runs: ScaleRuns
    maps: ScaleMaps
    residuals: tuple[FittedLaw | None, ...]
    errors: Array

    def with_config(self, config: FitConfig) -> LiftedFit:
        """Return the same laws with another proposer or other limits."""
        changed = replace(self, asked=config, config=self.swarm.collapse_config(config))
        return replace(changed, small=self.small.with_config(config))

    def draw(self, mixtures: Array) -> Array:
        """Return drawn predictions of every metric at mixtures (K, D), (M, B, K)."""
        below = self.small.draw(mixtures)
        rng = np.random.default_rng([self.config.regression.seed, len(self.runs.runs)])
        drawn = np.empty_like(below)
        for index, residual in enumerate(self.residuals):
            slopes = self.maps.slopes[index] + self.maps.errors[index] * rng.standard_normal(
                (below.shape[1], 1)
            )
            level, middle = _level(self.maps, index), self.maps.middles[index]
            drawn[index] = level + slopes * (below[index] - middle)
            if isinstance(residual, FittedGaussianProcess):
                normals = rng.standard_normal(below[index].shape)
                drawn[index] += residual.sample(mixtures, normals)
        return drawn


@dataclass(frozen=True)
class _Judged:
    """The larger runs, with predictions by laws that have not seen them.

    Attributes:
        below: (k, M) at the scale below.
        large: (k, M) what they measured; NaN where nothing places the metric.
        held: (k, M) predictions by the map without their fold.
        seen_at: (k,) the unique mixture of the swarm that each is, -1 for none.
    """

    below: Array
    large: Array
    held: Array
    seen_at: NDArray[np.intp]


def lift(fit: SwarmFit, runs: ScaleRuns) -> LiftedFit | None:
    """Carry a fit to a larger scale, `None` where its runs place no metric of the objective.

    Args:
        fit: the fit at the scale below.
        runs: the runs of the larger scale.
    """
    swarm = fit.swarm
    large = runs.values * swarm.signs
    enough = np.isfinite(large).sum(axis=0) >= LEAST_RUNS
    if not (enough & (swarm.objective_weights > 0)).any():
        return None
    large = np.where(enough, large, np.nan)
    below, seen_at = _unseen_predictions(fit, runs.mixtures)
    folds = _folds(len(large), fit.config.regression.seed)
    maps = fit_maps(below, large)
    by_map = _held_out_maps(below, large, folds)
    residuals, held = _residuals(runs.mixtures, below, large, maps, by_map, folds)
    errors = large - held
    lifted_swarm = _lifted_swarm(swarm, runs, maps, below, large, seen_at)
    judged = _Judged(below, large, held, seen_at)
    fits = _metric_fits(fit, runs, maps, residuals, judged)
    objective = _objective(fit, lifted_swarm, runs, fits, errors, large)
    return LiftedFit(
        asked=fit.asked,
        config=fit.config,
        swarm=lifted_swarm,
        candidates=fit.candidates,
        folds=np.concatenate([fit.folds, np.zeros(lifted_swarm.num_groups - len(fit.folds), int)]),
        fits=fits,
        objective=objective,
        small=fit,
        runs=runs,
        maps=maps,
        residuals=residuals,
        errors=errors,
    )


def _level(maps: ScaleMaps, index: int) -> float:
    """Return the level of a metric; where none was measured that of the scale below."""
    level = float(maps.levels[index])
    return level if np.isfinite(level) else float(maps.middles[index])


def _unseen_predictions(fit: SwarmFit, mixtures: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return predictions (k, M) by laws that have not seen the mixtures.

    Returns:
        the predictions; the unique mixture of the swarm that each is, -1 for none, (k,).
    """
    unique = fit.swarm.unique_mixtures
    apart = np.abs(mixtures[:, None, :] - unique).max(axis=2)
    seen_at = np.where(apart.min(axis=1) < _SAME, apart.argmin(axis=1), -1)
    columns = [
        np.where(
            seen_at >= 0, fitted.best.cv_predictions[seen_at], fitted.best.law.predict(mixtures)
        )
        for fitted in fit.fits
    ]
    return np.stack(columns, axis=1), np.asarray(seen_at)


def _folds(number: int, seed: int) -> NDArray[np.intp]:
    """Return the fold of each larger mixture: its own where they are few."""
    if number <= _MOST_FOLDS:
        return np.arange(number)
    folds = np.empty(number, dtype=np.intp)
    folds[np.random.default_rng(seed).permutation(number)] = np.arange(number) % _FEW_FOLDS
    return folds


def _held_out_maps(below: Array, large: Array, folds: NDArray[np.intp]) -> list[ScaleMaps]:
    """Return the maps without each fold."""
    return [fit_maps(below[folds != f], large[folds != f]) for f in range(int(folds.max()) + 1)]


def _residuals(
    mixtures: Array,
    below: Array,
    large: Array,
    maps: ScaleMaps,
    by_map: Sequence[ScaleMaps],
    folds: NDArray[np.intp],
) -> tuple[tuple[FittedLaw | None, ...], Array]:
    """Return the residual of each metric, where it helps, and the held-out predictions (k, M)."""
    plain = np.stack([m.apply(below) for m in by_map])
    held = plain[folds, np.arange(len(folds))]
    residuals: list[FittedLaw | None] = []
    for metric, column in enumerate(large.T):
        seen = np.isfinite(column)
        residual = None
        if seen.sum() >= LEAST_RESIDUAL:
            kept = seen & (folds != np.arange(len(by_map))[:, None])
            left = np.where(seen, column - plain[:, :, metric], 0.0)
            whole = np.where(seen, column - maps.apply(below)[:, metric], 0.0)
            law = GpSqrt()
            fitted = law.fit_many(mixtures, whole[None], seen[None].astype(float))[0]
            parts = law.fit_many(mixtures, left, kept.astype(float), [fitted] * len(by_map))
            by_part = np.stack([part.predict(mixtures) for part in parts])
            with_residual = held[:, metric] + by_part[folds, np.arange(len(folds))]
            if mean_square((column - with_residual)[seen]) < mean_square(
                (column - held[:, metric])[seen]
            ):
                residual, held[:, metric] = fitted, with_residual
        residuals.append(residual)
    return tuple(residuals), held


def _lifted_swarm(
    swarm: Swarm,
    runs: ScaleRuns,
    maps: ScaleMaps,
    below: Array,
    large: Array,
    seen_at: NDArray[np.intp],
) -> Swarm:
    """Return the small runs where the maps place them, and the larger ones as measured.

    A metric that a mixture measured at the larger scale counts there alone.
    """
    levels = np.array([_level(maps, index) for index in range(len(swarm.metrics))])
    oriented = levels + maps.slopes * (swarm.values * swarm.signs - maps.middles)
    for row, group in enumerate(seen_at):
        if group >= 0:
            own = np.ix_(swarm.group == group, np.isfinite(large[row]))
            oriented[own] = np.nan
    placed = np.where(np.isfinite(large), large, levels + maps.slopes * (below - maps.middles))
    values = np.vstack([oriented, placed]) * swarm.signs
    new = np.cumsum(seen_at < 0) - 1 + swarm.num_groups
    names = tuple(f"{run} at {runs.scale.name}" for run in runs.runs)
    return replace(
        swarm,
        runs=(*swarm.runs, *names),
        names=(*swarm.names, *names),
        mixtures=np.vstack([swarm.mixtures, runs.mixtures]),
        measured=values,
        values=values,
        group=np.concatenate([swarm.group, np.where(seen_at < 0, new, seen_at)]),
        held_out=np.concatenate([swarm.held_out, np.zeros(len(names), dtype=bool)]),
        parts=None,
    )


def _metric_fits(
    fit: SwarmFit,
    runs: ScaleRuns,
    maps: ScaleMaps,
    residuals: Sequence[FittedLaw | None],
    judged: _Judged,
) -> list[MetricFit]:
    """Return the fit of every metric at the larger scale.

    Args:
        fit: the fit at the scale below.
        runs: the runs of the larger scale.
        maps: from the scale below.
        residuals: what is added to each map, if anything.
        judged: the larger runs and their predictions by laws that have not seen them.
    """
    distances = hellinger(runs.mixtures, fit.swarm.fitted_mixtures).min(axis=1)
    errors = judged.large - judged.held
    sizes = _error_sizes(errors, np.stack([f.best.cv_predictions for f in fit.fits]), maps)
    found = []
    for index, below in enumerate(fit.fits):
        slope = float(maps.slopes[index])
        intercept = _level(maps, index) - slope * float(maps.middles[index])
        law = FittedScaled(below.best.law, slope, intercept, residuals[index])
        seen = np.isfinite(errors[:, index])
        calibration = _NO_INTERVAL
        if seen.any():
            lower = fit.swarm.lower_is_better[index]
            low, high = bounds_of(runs.values[:, index], lower_is_better=lower)
            widths = _calibration(below.calibration, sizes[index], distances, len(sizes), seen)
            calibration = replace(widths, lowest=low, highest=high)
        candidate = _candidate(law, below.best.cv_predictions, runs.mixtures, judged, index)
        found.append(
            replace(
                below,
                candidates={below.chosen: candidate},
                noise_sd=None,
                refused={},
                calibration=calibration,
            )
        )
    return found


def _candidate(
    law: FittedScaled, below: Array, mixtures: Array, judged: _Judged, index: int
) -> LawCandidate:
    """Judge the law of a metric on the larger runs that measured it.

    Args:
        law: at the larger scale.
        below: (U,) held-out predictions at the scale below.
        mixtures: (k, D) of the larger runs.
        judged: the larger runs and their predictions.
        index: the metric.
    """
    measured, held, at = judged.large[:, index], judged.held[:, index], judged.seen_at
    by_map = law.intercept + law.slope * judged.below[:, index]
    unseen = np.where(np.isfinite(held), held, by_map)
    cv_predictions = np.append(law.intercept + law.slope * below, unseen[at < 0])
    cv_predictions[at[at >= 0]] = unseen[at >= 0]
    seen = np.isfinite(measured)
    if not seen.any():
        return LawCandidate(law, Scores(), Scores(), None, 0.0, cv_predictions)
    cv = scores(measured[seen], held[seen])
    train = scores(measured[seen], law.predict(mixtures[seen]))
    loss = float(np.abs(measured - held)[seen].mean())
    return LawCandidate(law, cv, train, None, loss, cv_predictions)


def _error_sizes(errors: Array, below: Array, maps: ScaleMaps) -> Array:
    """Return the standard deviation of each metric's error, (M,); NaN without larger runs.

    Args:
        errors: (k, M) of larger runs left out; NaN where nothing was measured.
        below: (M, U) held-out predictions of the scale below.
        maps: from the scale below.
    """
    unit = np.abs(maps.slopes) * np.maximum(below.std(axis=1), 1e-300)
    relative = errors / unit
    seen = np.isfinite(relative)
    counts = seen.sum(axis=0)
    squares = np.where(seen, relative, 0.0) ** 2
    some = counts > 0
    pooled = float(squares.sum() / max(seen.sum(), 1))
    company = _POOLED_FREEDOM if some.sum() > 1 else 0
    shared = (company * pooled + squares.sum(axis=0)) / np.maximum(company + counts, 1)
    return np.asarray(np.where(some, np.sqrt(shared) * unit, np.nan))


def _calibration(
    below: Calibration,
    size: float,
    distances: Array,
    num_metrics: int,
    seen: NDArray[np.bool_],
) -> Calibration:
    """Return the intervals of one run at the larger scale.

    They widen with the distance as those of the scale below do, and are as wide over the larger
    runs as the errors on these were.

    Args:
        below: intervals of the scale below.
        size: standard deviation of the errors (`_error_sizes`).
        distances: (k,) of the larger runs from the nearest small one.
        num_metrics: metrics that the errors are pooled over.
        seen: (k,) larger runs that measured the metric.
    """
    profile = below.base + below.slope * distances[seen]
    factor = _MEAN_SIZE * size / max(float(np.sqrt((profile**2).mean())), 1e-300)
    freedom = int(seen.sum()) - 2 + (_POOLED_FREEDOM if num_metrics > 1 else 0)
    quantile = student(max(freedom, 1)) / _MEAN_SIZE
    return Calibration(factor * below.base, factor * below.slope, quantile, {}, below.reach)


def _objective(
    fit: SwarmFit,
    swarm: Swarm,
    runs: ScaleRuns,
    fits: Sequence[MetricFit],
    errors: Array,
    large: Array,
) -> ObjectiveFit:
    """Judge the weighted average on the larger runs that measured every metric of it.

    The error is that on larger runs left out, and not below that of the small runs where the maps
    place them.
    """
    used = swarm.objective_weights > 0
    weights = swarm.objective_weights[used]
    residuals = errors[:, used] @ weights
    seen = np.isfinite(residuals)
    placed = np.array([fitted.best.cv_predictions for fitted in fits])
    small = swarm.group < fit.swarm.num_groups
    own = (swarm.values * swarm.signs)[small][:, used] @ weights
    by_small = own - held_out_average(swarm, fits)[swarm.group[small]]
    least = mean_square(by_small[np.isfinite(by_small)])
    below = fit.objective
    if seen.sum() < LEAST_RUNS or not np.isfinite(placed[used]).all():
        return replace(below, cv_mse=least, train_mse=least, calibration=_NO_INTERVAL)
    measured = large[seen][:, used] @ weights
    mse = max(mean_square(residuals[seen]), least)
    distances = hellinger(runs.mixtures, fit.swarm.fitted_mixtures).min(axis=1)
    calibration = _calibration(below.calibration, float(np.sqrt(mse)), distances, 1, seen)
    bounds = (below.calibration.lowest, below.calibration.highest)
    return replace(
        below,
        cv=scores(measured, measured - residuals[seen]),
        cv_mse=mse,
        train_mse=mse,
        freedom=max(min(below.freedom, int(seen.sum()) - 2), 3),
        calibration=replace(calibration, lowest=bounds[0], highest=bounds[1]),
    )
