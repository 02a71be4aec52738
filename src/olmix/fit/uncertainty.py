"""How sure a prediction is, and how sure a gain.

Three sources of error add up, as variances:

    1. the parameters: refits with random weights for the mixtures (the Bayesian bootstrap, Rubin
       1981: exponential weights, so that no refit loses a domain), started at the fit and with its
       settings; for Gaussian processes draws from their posterior, and for a stack draws from each
       of its laws, so that where these disagree the interval is wide;
    2. the law: at a mixture that was not trained, the held-out mean squared error of the objective,
       which grows with the square of the distance from the nearest run where that is farther than
       runs usually are from each other; at one that was, the mean squared error of the fit itself;
    3. between two mixtures both count: a gain has the error of the proposal and that of the other.

Intervals are Student's t with (mixtures - domains - 2) degrees of freedom. They err on the cautious
side: the held-out error contains the noise of single runs, which a mean over many seeds does not
have, and part of the parameters' error a second time; errors of two near mixtures cancel in part,
and are counted in full. Against that stands that a proposal is the best of all predictions, so that
its own is too good by a little (the winner's curse); `benchmarks/fit_coverage.py` measures what is
left.

Legend: ``B`` bootstrap samples, ``U`` unique mixtures, ``M`` metrics, ``K`` mixtures asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olmix.fit.calibration import (
    bounds_of,
    calibrate,
    error_at_trained,
    student,
)
from olmix.fit.crossval import MetricFit, fold_distances
from olmix.fit.noise import as_usual
from olmix.fit.propose.references import (
    measured_objective,
    nearest_run_distance,
    objective_noise,
)
from olmix.fit.scoring import rank_p_value, scores
from olmix.fit.swarm import Swarm
from olmix.laws.components import FittedComponents
from olmix.laws.law import Draws, FittedLaw, Law
from olmix.laws.outliers import mean_square
from olmix.laws.stack import FittedStack, stacked_samples
from olmix.records.fit.proposal import PredictedGain, PredictedValue
from olmix.records.fit.scores import NORMAL_QUANTILE, TAILS, Calibration, Scores
from olmix.simplex import Array

__all__ = [
    "Bootstrap",
    "ObjectiveFit",
    "bootstrap",
    "draw_average",
    "draw_metrics",
    "estimate",
    "gain",
    "held_out_average",
    "num_draws",
    "objective_fit",
    "predicted_average",
    "sample_law",
]

NUM_SAMPLES = 200
_FEW_SAMPLES = 60
_MANY_METRICS = 24
"""Metrics beyond which fewer samples do: errors of an average average out."""
_SAME = 1e-6


@dataclass(frozen=True)
class ObjectiveFit:
    """How well the weighted average of the metrics is predicted.

    Attributes:
        cv: scores of held-out predictions over unique mixtures.
        cv_mse: mean squared error of these, in which a diverged run counts as a bad one.
        train_mse: the same of the fits on their own mixtures.
        p_value: one-sided p of "the held-out rank correlation is not above 0".
        freedom: degrees of freedom of the intervals.
        calibration: half widths of the intervals of one run, from the held-out errors.
    """

    cv: Scores
    cv_mse: float
    train_mse: float
    p_value: float
    freedom: int
    calibration: Calibration


@dataclass(frozen=True)
class Bootstrap:
    """Predictions of the objective by refitted laws.

    Attributes:
        mean: (K,) prediction by the fit itself, less is better.
        samples: (B, K) predictions by the refits.
        trained: (K,) whether a run had the mixture.
        far: (K,) distance from the nearest run, as a share of the usual one between runs.
        beyond: (K,) half the width of the interval, at least, as the best tenth showed when it was
            left out.
        fit: how well the objective is predicted.
    """

    mean: Array
    samples: Array
    trained: Sequence[bool]
    far: Sequence[float]
    beyond: Sequence[float]
    fit: ObjectiveFit

    def error(self, index: int) -> float:
        """Return the variance of the law's own error at mixture `index`."""
        if self.trained[index]:
            return self.fit.train_mse
        beyond = self.beyond[index] / student(self.fit.freedom)
        return max(self.fit.cv_mse * max(1.0, self.far[index] ** 2), beyond**2)


def predicted_average(swarm: Swarm, fits: Sequence[MetricFit], mixtures: Array) -> Array:
    """Return the predicted objective at mixtures (n, D), less is better, (n,)."""
    total = np.zeros(len(mixtures))
    for fitted, weight in zip(fits, swarm.objective_weights, strict=True):
        if weight > 0:
            total += weight * fitted.best.law.predict(mixtures)
    return total


def held_out_average(swarm: Swarm, fits: Sequence[MetricFit]) -> Array:
    """Return the objective of every mixture by the fits without its fold, less is better, (U,)."""
    held = np.stack([fitted.best.cv_predictions for fitted in fits])
    used = swarm.objective_weights > 0
    return np.asarray(swarm.objective_weights[used] @ held[used])


def objective_fit(swarm: Swarm, fits: Sequence[MetricFit], folds: NDArray[np.intp]) -> ObjectiveFit:
    """Judge the prediction of the weighted average by its held-out and its own residuals.

    Args:
        swarm: the runs.
        fits: one per metric.
        folds: (U,) fold of each mixture.
    """
    measured = measured_objective(swarm)
    seen = np.isfinite(measured)
    unique = swarm.unique_mixtures
    held, own = held_out_average(swarm, fits), predicted_average(swarm, fits, unique)
    tried = max(
        len(fitted.candidates)
        for fitted, weight in zip(fits, swarm.objective_weights, strict=True)
        if weight > 0
    )
    cv = scores(measured[seen], held[seen])
    p_value = min(1.0, tried * rank_p_value(measured[seen], held[seen]))
    freedom = max(int(seen.sum()) - int(swarm.live.sum()) - 2, 3)
    sure, usual = objective_noise(swarm)
    own_errors, residuals = (
        as_usual((measured - by)[seen], sure[seen], usual) for by in (own, held)
    )
    cv_mse, train_mse = mean_square(residuals), mean_square(own_errors)
    distances = fold_distances(swarm, folds)[seen]
    at_trained = error_at_trained(own_errors, residuals, None, 0, usual)
    lower = swarm.objective_sign > 0
    bounds = bounds_of(swarm.objective_sign * measured, lower_is_better=lower)
    calibration = calibrate(residuals, distances, folds[seen], at_trained, bounds)
    return ObjectiveFit(cv, cv_mse, train_mse, p_value, freedom, calibration)


def num_draws(num_metrics: int) -> int:
    """Return how many laws are drawn for each of so many metrics."""
    return _FEW_SAMPLES if num_metrics > _MANY_METRICS else NUM_SAMPLES


def draw_metrics(
    swarm: Swarm,
    fits: Sequence[MetricFit],
    laws: Mapping[str, Law],
    mixtures: Array,
    seed: int,
    num_samples: int | None = None,
) -> Array:
    """Predict every metric at mixtures (K, D) by laws that could as well be true, (M, B, K).

    All metrics share the weights of the mixtures in a draw, so that draws of an average are the
    averages of draws. Less is better.
    """
    values, counts = swarm.averaged()
    unique = swarm.unique_mixtures
    if num_samples is None:
        num_samples = num_draws(len(fits))
    rng = np.random.default_rng(seed)
    row_weights = rng.standard_exponential((num_samples, len(unique)))
    normals = rng.standard_normal((num_samples, len(mixtures)))
    uniforms = rng.permutation(num_samples) / num_samples
    drawn = []
    for index, fitted in enumerate(fits):
        draws = Draws(row_weights * counts[index], normals, uniforms)
        drawn.append(sample_law(fitted.best.law, laws, unique, values[index], draws, mixtures))
    return np.stack(drawn)


def draw_average(
    swarm: Swarm,
    fitted: Sequence[tuple[FittedLaw, float]],
    laws: Mapping[str, Law],
    mixtures: Array,
    number: int,
    seed: int,
) -> Array:
    """Return the objective at mixtures (K, D), less is better, by drawn laws: (number, K).

    Metrics without weight are not drawn. The first draws of a larger number are those of a smaller
    one.

    Args:
        swarm: the runs.
        fitted: the law and the weight of each metric.
        laws: how each law is fitted again, by name.
        mixtures: in the domains of the swarm.
        number: of draws.
        seed: of the draws.
    """
    values, counts = swarm.averaged()
    unique = swarm.unique_mixtures
    by_weight, by_normal, by_law = np.random.default_rng(seed).spawn(3)
    weights = by_weight.standard_exponential((number, len(unique)))
    normals = by_normal.standard_normal((number, len(mixtures)))
    uniforms = by_law.random(number)
    total = np.zeros((number, len(mixtures)))
    for index, (law, share) in enumerate(fitted):
        if share > 0:
            draws = Draws(weights * counts[index], normals, uniforms)
            total += share * sample_law(law, laws, unique, values[index], draws, mixtures)
    return total


def bootstrap(
    swarm: Swarm, fits: Sequence[MetricFit], mixtures: Array, draws: Array, fit: ObjectiveFit
) -> Bootstrap:
    """Predict the objective of mixtures (K, D).

    Args:
        swarm: the runs.
        fits: one per metric.
        mixtures: (K, D) mixtures.
        draws: (M, B, K) drawn predictions of every metric there (`draw_metrics`).
        fit: how well the objective is predicted.
    """
    mean = predicted_average(swarm, fits, mixtures)
    samples = np.tensordot(swarm.objective_weights, draws, axes=1)
    unique = swarm.unique_mixtures
    trained = [bool((np.abs(unique - mixture).max(axis=1) < _SAME).any()) for mixture in mixtures]
    distances = [nearest_run_distance(swarm, mixture) for mixture in mixtures]
    far = [nearest / usual for nearest, usual in distances]
    errors = fit.calibration
    ahead = errors.ahead(swarm.objective_sign * mean, np.array([near for near, _ in distances]))
    # Intervals of gains hold without the growth beyond the best mixture: promises err on one side.
    beyond = np.nan_to_num(np.minimum(ahead, 1.0) * errors.beyond).tolist()
    return Bootstrap(mean, samples, trained, far, beyond, fit)


def sample_law(
    law: FittedLaw,
    laws: Mapping[str, Law],
    mixtures: Array,
    values: Array,
    draws: Draws,
    at: Array,
) -> Array:
    """Return predictions at mixtures (K, D) by laws that could as well be true, (B, K)."""
    if isinstance(law, FittedStack):
        parts = [sample_law(one, laws, mixtures, values, draws, at) for one in law.members]
        return stacked_samples(parts, law.law_weights, draws.uniforms)
    if isinstance(law, FittedComponents):
        return law.sample(at, draws.normals)
    return laws[law.name].sample(law, mixtures, values, draws, at)


def estimate(boot: Bootstrap, index: int) -> PredictedValue:
    """Return the predicted objective of mixture `index`, less is better, with its interval."""
    variance = float(_variance(boot.samples[:, index])) + boot.error(index)
    half = student(boot.fit.freedom) * float(np.sqrt(variance))
    mean = float(boot.mean[index])
    return PredictedValue(mean, mean - half, mean + half)


def gain(boot: Bootstrap, proposed: int, other: int) -> PredictedGain:
    """Return the gain of one mixture over another; positive is better."""
    mean = float(boot.mean[other] - boot.mean[proposed])
    differences = boot.samples[:, other] - boot.samples[:, proposed]
    variance = _variance(differences) + boot.error(proposed) + boot.error(other)
    std_error = float(np.sqrt(variance))
    half = student(boot.fit.freedom) * std_error
    chance = _above(mean, std_error, boot)
    return PredictedGain(mean, std_error, mean - half, mean + half, chance)


def _variance(samples: Array) -> float:
    """Return a variance that a few exploding refits do not decide.

    It is that of the normal distribution with the same 5% and 95% quantiles.
    """
    low, high = np.quantile(samples, TAILS)
    return float(((high - low) / (2 * NORMAL_QUANTILE)) ** 2)


def _above(mean: float, std_error: float, boot: Bootstrap) -> float:
    from scipy import stats

    if std_error == 0:
        return 0.5
    return float(stats.t.cdf(mean / std_error, boot.fit.freedom))
