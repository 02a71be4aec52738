"""Cross-validation: how well each law predicts mixtures that it has not seen.

Folds are made of unique mixtures, so that replicates of one mixture never lie on both sides. The
fold of a mixture depends on the seed and on the rank of its first run's id alone, not on the order
of rows.

Of several laws the weighted average is a candidate too (`stack`). Its held-out predictions for a
fold use weights that the other folds chose, so all candidates are compared fairly. Per metric the
one with the smallest cross-validated loss is chosen (`auto`), where the loss is a Huber loss (a
single diverged run does not decide). We do not prefer the simpler law within one standard error:
for one target the log-linear law always proposes a vertex, so to lean towards it is to lean towards
extreme mixtures.

Legend: ``R`` runs, ``M`` metrics, ``U`` unique mixtures, ``K`` folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from olmix.errors import DataError
from olmix.fit.calibration import bounds_of, calibrate, error_at_trained
from olmix.fit.noise import as_usual, noise_between
from olmix.fit.scoring import rank_p_value, scores
from olmix.fit.swarm import Swarm
from olmix.laws.components import (
    COMPONENTS,
    NUM_COMPONENTS,
    FittedComponents,
    fit_components,
)
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.law import FittedLaw, Law
from olmix.laws.solver import huber
from olmix.laws.stack import AVERAGED, STACKED, FittedAverage, FittedStack, stack_weights
from olmix.records.fit.scores import Calibration, Scores
from olmix.simplex import Array, hellinger
from olmix.text.progress import NOBODY, Steps

__all__ = [
    "HeldOut",
    "LawCandidate",
    "MetricFit",
    "assign_folds",
    "average_families",
    "compare_laws",
    "components_without",
    "cross_validate",
    "fold_distances",
]

SIGNAL_LEVEL = 0.05
_ABSURD = 10.0
"""Ranges of a metric by which a law may miss a run left out, at most."""
_TOGETHER = 16
"""Metrics that are fitted in one batch: large ones are faster, small ones show progress."""


@dataclass(frozen=True)
class HeldOut:
    """A law and its predictions of mixtures that it has not seen.

    Attributes:
        law: the fit to all runs that are not held out.
        predictions: (U,) predictions by the fit without the mixture's fold, less is better.
    """

    law: FittedLaw
    predictions: Array


@dataclass(frozen=True)
class LawCandidate:
    """One law for one metric.

    Attributes:
        law: the fit to all runs that are not held out.
        cv: scores of predictions for the folds left out.
        train: scores of the fit on its own runs.
        test: scores on the runs held out of every fit, if there are any.
        cv_loss: cross-validated Huber loss that laws are compared by.
        cv_predictions: (U,) predictions by the fit without the mixture's fold, less is better.
    """

    law: FittedLaw
    cv: Scores
    train: Scores
    test: Scores | None
    cv_loss: float
    cv_predictions: Array


@dataclass(frozen=True)
class MetricFit:
    """All candidates for one metric, and the choice.

    Attributes:
        name: the metric.
        candidates: by name of the law.
        chosen: name of the law that is used.
        noise_sd: standard deviation between runs of the same mixture, pooled; None without any.
        signal_p_value: one-sided p of "the held-out rank correlation is not above 0", times the
            number of laws that were tried.
        calibration: half widths of intervals, from the held-out errors of the chosen law.
        refused: laws whose held-out predictions were absurd, each with its worst error in words.
    """

    name: str
    candidates: Mapping[str, LawCandidate]
    chosen: str
    noise_sd: float | None
    signal_p_value: float
    calibration: Calibration
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def signal(self) -> bool:
        """Whether the swarm tells anything about this metric."""
        return self.signal_p_value < SIGNAL_LEVEL

    @property
    def best(self) -> LawCandidate:
        """The chosen candidate."""
        return self.candidates[self.chosen]


def assign_folds(num_mixtures: int, num_folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold of each unique mixture, (U,); sizes differ by one at most."""
    order = np.random.default_rng(seed).permutation(num_mixtures)
    folds = np.empty(num_mixtures, dtype=np.intp)
    folds[order] = np.arange(num_mixtures) % num_folds
    return folds


def cross_validate(
    swarm: Swarm,
    laws: Sequence[Law],
    folds: NDArray[np.intp],
    steps: Steps = NOBODY,
) -> list[MetricFit]:
    """Fit and cross-validate every law on every metric.

    Args:
        swarm: the runs.
        laws: candidates.
        folds: (U,) fold of each unique mixture.
        steps: counts each metric that a law was fitted to.
    """
    values, counts = swarm.averaged()
    num_folds = int(folds.max()) + 1
    kept = np.asarray(folds != np.arange(num_folds)[:, None], dtype=np.float64)
    _check_folds(swarm, counts, kept)
    per_metric: list[dict[str, HeldOut]] = [{} for _ in swarm.metrics]
    for law in laws:
        for first in range(0, len(swarm.metrics), _TOGETHER):
            some = np.arange(first, min(first + _TOGETHER, len(swarm.metrics)))
            fitted = law.fit_many(swarm.unique_mixtures, values[some], counts[some])
            row_weights = counts[some][:, None, :] * kept
            by_fold = law.fit_many(
                swarm.unique_mixtures,
                np.repeat(values[some], num_folds, axis=0),
                row_weights.reshape(-1, len(folds)),
                start=[one for one in fitted for _ in range(num_folds)],
            )
            for own, index in enumerate(some.tolist()):
                held = _held_out(swarm, by_fold[own * num_folds : (own + 1) * num_folds], folds)
                per_metric[index][law.name] = HeldOut(fitted[own], held)
            steps(f"{law.name} cross-validated", len(some))
    if {GpSqrt.name, GpLog.name} <= {law.name for law in laws}:
        for index, held_out in _components(swarm, values, counts, folds).items():
            per_metric[index][COMPONENTS] = held_out
    return compare_laws(swarm, per_metric, folds)


def _components(
    swarm: Swarm, values: Array, counts: Array, folds: NDArray[np.intp]
) -> dict[int, HeldOut]:
    """Fit and cross-validate the components that metrics share; by metric, those without gaps.

    Loadings are found anew without each fold, as all else is.

    Args:
        swarm: the runs.
        values: (M, U) mean values, less is better.
        counts: (M, U) runs behind each.
        folds: (U,) fold of each mixture.
    """
    live, whole = _whole_metrics(counts)
    if len(whole) <= NUM_COMPONENTS:
        return {}
    mixtures = swarm.unique_mixtures
    some = np.ix_(whole, np.flatnonzero(live))
    fitted = fit_components(mixtures[live], values[some], counts[some])
    held = np.zeros((len(whole), len(mixtures)))
    for fold in np.unique(folds):
        out = np.flatnonzero(folds == fold)
        held[:, out] = list(components_without(swarm, out, fitted[0]).values())
    return {
        int(index): HeldOut(law, row) for index, law, row in zip(whole, fitted, held, strict=True)
    }


def components_without(
    swarm: Swarm, out: NDArray[np.intp], start: FittedComponents
) -> dict[int, Array]:
    """Return what components predict of mixtures that they have not seen.

    Args:
        swarm: the runs.
        out: (K,) which unique mixtures these are.
        start: the fit to all.

    Returns:
        (K,) for each metric without gaps, by its index.
    """
    values, counts = swarm.averaged()
    live, whole = _whole_metrics(counts)
    mixtures, kept = swarm.unique_mixtures, np.setdiff1d(np.flatnonzero(live), out)
    some = np.ix_(whole, kept)
    fitted = fit_components(mixtures[kept], values[some], counts[some], start)
    return {
        int(index): law.predict(mixtures[out]) for index, law in zip(whole, fitted, strict=True)
    }


def _whole_metrics(counts: Array) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return which mixtures have a run, (U,), and the metrics that all of these have."""
    live = np.asarray((counts > 0).any(axis=0))
    return live, np.flatnonzero((counts[:, live] > 0).all(axis=1))


def compare_laws(
    swarm: Swarm, per_metric: Sequence[Mapping[str, HeldOut]], folds: NDArray[np.intp]
) -> list[MetricFit]:
    """Judge the laws of every metric and their average, and choose.

    Args:
        swarm: the runs.
        per_metric: the laws of each metric, by name.
        folds: (U,) fold of each unique mixture.
    """
    values, counts = swarm.averaged()
    distances = fold_distances(swarm, folds)
    result = []
    for metric, laws in enumerate(per_metric):
        live = counts[metric] > 0
        measured = values[metric, live]
        refused = _absurd(laws, measured, live)
        if len(refused) == len(laws):
            raise DataError(
                f"{swarm.metrics[metric]}: no law predicts held-out runs within {_ABSURD:g} times "
                f"their spread ({'; '.join(f'{k}: {v}' for k, v in refused.items())}). Try "
                "regression.type gp, add runs, or add the metric to filtering.drop_metrics"
            )
        candidates = {
            name: _candidate(swarm, metric, one.law, one.predictions)
            for name, one in laws.items()
            if name not in refused
        }
        if len(candidates) > 1:
            candidates[STACKED] = _stack(swarm, metric, candidates, folds, live, measured)
        chosen = _choose(swarm, metric, candidates, folds, live, measured, distances)
        result.append(replace(chosen, refused=refused))
    return result


def _absurd(
    laws: Mapping[str, HeldOut], measured: Array, live: NDArray[np.bool_]
) -> dict[str, str]:
    """Return the laws that miss a run left out by more than any law may, with what they miss by.

    Args:
        laws: the laws of one metric with their held-out predictions.
        measured: mean measured value of each mixture that has the metric.
        live: (U,) these mixtures.
    """
    spread = max(float(np.ptp(measured)), np.finfo(float).tiny)
    worst = {name: np.abs(one.predictions[live] - measured).max() for name, one in laws.items()}
    return {
        name: f"off by {error:.3g} where the runs span {spread:.3g}"
        for name, error in worst.items()
        if not error <= _ABSURD * spread
    }


def average_families(
    swarm: Swarm, parts: Sequence[MetricFit], folds: NDArray[np.intp]
) -> list[MetricFit]:
    """Return the fits of families: each the average of the fits of its metrics.

    Args:
        swarm: the runs, with families as metrics.
        parts: the fits of the metrics of all families (`Swarm.parts`).
        folds: (U,) fold of each unique mixture.
    """
    by_name = {fitted.name: fitted for fitted in parts}
    averages = []
    for members in swarm.families.values():
        chosen = [by_name[name].best for name in members]
        held = np.mean([one.cv_predictions for one in chosen], axis=0)
        averages.append({AVERAGED: HeldOut(FittedAverage.of([one.law for one in chosen]), held)})
    return compare_laws(swarm, averages, folds)


def fold_distances(swarm: Swarm, folds: NDArray[np.intp]) -> Array:
    """Return the distance of each mixture from the nearest one that its fold's fit saw, (U,)."""
    mixtures = swarm.unique_mixtures
    fitted = np.isin(np.arange(len(mixtures)), swarm.group[~swarm.held_out])
    distances = np.zeros(len(mixtures))
    for fold in np.unique(folds):
        own = folds == fold
        distances[own] = hellinger(mixtures[own], mixtures[~own & fitted]).min(axis=1)
    return distances


def _held_out(swarm: Swarm, by_fold: Sequence[FittedLaw], folds: NDArray[np.intp]) -> Array:
    """Return the prediction of each mixture by the fit without its fold, (U,)."""
    unique = swarm.unique_mixtures
    held = np.zeros(len(unique))
    for fold, fitted in enumerate(by_fold):
        held[folds == fold] = fitted.predict(unique[folds == fold])
    return held


def _stack(
    swarm: Swarm,
    index: int,
    candidates: Mapping[str, LawCandidate],
    folds: NDArray[np.intp],
    live: NDArray[np.bool_],
    measured: Array,
) -> LawCandidate:
    """Return the weighted average of the candidates as one candidate more.

    Args:
        swarm: the runs.
        index: the metric.
        candidates: the laws to average.
        folds: (U,) fold of each mixture.
        live: (U,) mixtures that have the metric.
        measured: the mean measured value of each of these.
    """
    held = np.stack([candidate.cv_predictions for candidate in candidates.values()])
    sure = _sureness(swarm, index)[live]
    errors = (measured - held[:, live]) * np.sqrt(sure / sure.mean())
    joined = np.zeros(len(folds))
    for fold in np.unique(folds):
        joined[folds == fold] = (
            stack_weights(errors[:, folds[live] != fold]) @ held[:, folds == fold]
        )
    law_weights = stack_weights(errors)
    used = [(law.law, w) for law, w in zip(candidates.values(), law_weights, strict=True) if w > 0]
    law = FittedStack(tuple(one for one, _ in used), np.array([w for _, w in used]))
    return _candidate(swarm, index, law, joined)


def _sureness(swarm: Swarm, index: int) -> Array:
    """Return what the mean of a mixture's runs counts by their standard errors, (U,)."""
    seen = np.isfinite(swarm.values[:, index]) & ~swarm.held_out
    size = swarm.num_groups
    counts = np.bincount(swarm.group[seen], swarm.run_weights[seen, index], size)
    return np.asarray(counts / np.maximum(np.bincount(swarm.group[seen], minlength=size), 1))


def _check_folds(swarm: Swarm, counts: Array, kept: Array) -> None:
    """Refuse a metric with so few runs that a fold takes nearly all of them.

    Args:
        swarm: names the metrics.
        counts: (M, U) runs behind each mean.
        kept: (K, U) whether a mixture is fitted to without each fold.
    """
    left = ((counts[:, None, :] > 0) & (kept > 0)).sum(axis=2).min(axis=1)
    few = [name for name, number in zip(swarm.metrics, left, strict=True) if number < 2]
    if few:
        raise DataError(
            f"metrics: {', '.join(few)}: nearly all its runs are in one fold of the "
            "cross-validation, and too few are left to fit. Raise regression.num_folds, choose "
            "another regression.seed, or add the metric to filtering.drop_metrics"
        )


def _candidate(swarm: Swarm, index: int, law: FittedLaw, held: Array) -> LawCandidate:
    """Judge a law by its predictions `held` (U,) of mixtures that were left out."""
    unique = swarm.unique_mixtures
    measured = swarm.values[:, index] * swarm.signs[index]
    seen = np.isfinite(measured) & ~swarm.held_out
    test = np.isfinite(measured) & swarm.held_out
    everywhere = law.predict(unique)[swarm.group]
    y = measured[seen]
    delta = max(0.5 * float(np.subtract(*np.percentile(y, [75, 25]))) / 1.349, 1e-9)
    return LawCandidate(
        law=law,
        cv=scores(y, held[swarm.group][seen]),
        train=scores(y, everywhere[seen]),
        test=scores(measured[test], everywhere[test]) if test.sum() > 1 else None,
        cv_loss=float(
            np.average(
                huber(y - held[swarm.group][seen], np.asarray(delta)),
                weights=swarm.run_weights[seen, index],
            )
        ),
        cv_predictions=held,
    )


def _calibration(
    swarm: Swarm, index: int, chosen: LawCandidate, folds: NDArray[np.intp], distances: Array
) -> Calibration:
    """Calibrate intervals for single runs by the errors of held-out predictions."""
    measured = swarm.values[:, index] * swarm.signs[index]
    seen = np.isfinite(measured) & ~swarm.held_out
    runs = swarm.group[seen]
    sure, usual = swarm.run_weights[seen, index], float(swarm.usual_noise[index])
    predicted = chosen.law.predict(swarm.unique_mixtures)[runs]
    own = as_usual(measured[seen] - predicted, sure, usual)
    held = as_usual(measured[seen] - chosen.cv_predictions[runs], sure, usual)
    noise, freedom = noise_of(swarm, index)
    at_trained = error_at_trained(own, held, noise, freedom, usual)
    bounds = bounds_of(swarm.values[:, index], lower_is_better=swarm.lower_is_better[index])
    return calibrate(held, distances[runs], folds[runs], at_trained, bounds)


def _choose(
    swarm: Swarm,
    index: int,
    candidates: Mapping[str, LawCandidate],
    folds: NDArray[np.intp],
    live: NDArray[np.bool_],
    measured: Array,
    distances: Array,
) -> MetricFit:
    """Take the candidate with the least held-out loss; arguments as in `_stack`."""
    chosen = min(candidates, key=lambda name: candidates[name].cv_loss)
    held = candidates[chosen].cv_predictions
    p_value = rank_p_value(measured, held[live])
    return MetricFit(
        name=swarm.metrics[index],
        candidates=candidates,
        chosen=chosen,
        noise_sd=noise_of(swarm, index)[0],
        signal_p_value=min(1.0, p_value * len(candidates)),
        calibration=_calibration(swarm, index, candidates[chosen], folds, distances),
    )


def noise_of(swarm: Swarm, index: int) -> tuple[float | None, int]:
    """Return the standard deviation between runs of one mixture, pooled, and its freedom.

    Args:
        swarm: says which runs share a mixture, and what each counts.
        index: the metric.
    """
    values, row_weights = swarm.values[:, index], swarm.run_weights[:, index]
    return noise_between(values, row_weights, swarm.group)
