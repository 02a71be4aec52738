"""Laws judged by what they would have proposed: the best tenth of the mixtures is left out.

A proposal lies beyond the runs on the good side, and there a law that ranks all runs well may still
promise too much. So each law is fitted once more without the best tenth, picks the mixture of these
that it thinks best, and its promise is compared with what was measured. It is one pick among few
mixtures: evidence to show, not to choose by (`benchmarks/proposals.py`).

How far these laws are off on the best tenth says how far a proposal may be off, which other
held-out runs do not: intervals there are at least that wide (`widened`; `benchmarks/honesty.py`).
The outermost tenth, farthest from the mean of the mixtures, is left out in the same way: farther
out than runs lie from each other, intervals hold both.

Legend: ``M`` metrics, ``U`` unique mixtures, ``K`` of them left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from olmix.fit.calibration import student
from olmix.fit.crossval import MetricFit, components_without
from olmix.fit.propose.references import measured_objective
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.laws.components import COMPONENTS, FittedComponents
from olmix.laws.law import Law
from olmix.laws.stack import STACKED, FittedStack
from olmix.records.fit.scores import AUTO, BestTenth, Picked
from olmix.simplex import Array, hellinger

__all__ = [
    "LeftOut",
    "best_tenth",
    "judge_picks",
    "leave_out_best",
    "leave_out_outermost",
    "widened",
]

_SHARE, _LEAST = 0.1, 3
_FEWEST = 20
"""Mixtures below which none are left out: a tenth of fewer says nothing."""
_TOGETHER = 16


@dataclass(frozen=True)
class LeftOut:
    """Mixtures at one end of the swarm, as laws that have not seen them predict them.

    Attributes:
        rows: (K,) which unique mixtures.
        predictions: of each metric that the objective counts, by law, (K,), less is better.
    """

    rows: NDArray[np.intp]
    predictions: Mapping[str, Mapping[str, Array]]


def best_tenth(swarm: Swarm) -> NDArray[np.intp]:
    """Return the mixtures with the best measured objective, (K,); none where there are few."""
    return _least_tenth(measured_objective(swarm))


def outermost_tenth(swarm: Swarm) -> NDArray[np.intp]:
    """Return the measured mixtures farthest from their mean, (K,); none where there are few."""
    seen = np.isfinite(measured_objective(swarm))
    mixtures = swarm.unique_mixtures
    centre = mixtures[seen].mean(axis=0) if seen.any() else mixtures[0]
    return _least_tenth(np.where(seen, -hellinger(mixtures, centre[None])[:, 0], np.nan))


def _least_tenth(values: Array) -> NDArray[np.intp]:
    """Return where the least tenth of `values` (U,) stands, NaN ignored; nothing of too few."""
    seen = int(np.isfinite(values).sum())
    if seen < _FEWEST:
        return np.empty(0, dtype=np.intp)
    size = max(_LEAST, round(_SHARE * seen))
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")
    return np.sort(order[:size])


def leave_out_best(fit: SwarmFit, known: LeftOut | None = None) -> LeftOut | None:
    """Fit every law without the best tenth; `None` where there are too few mixtures.

    Args:
        fit: the laws, fitted to all runs.
        known: what an earlier fit to the same runs left out, perhaps with other weights.
    """
    return _leave_out(fit, best_tenth(fit.swarm), known)


def leave_out_outermost(fit: SwarmFit, known: LeftOut | None = None) -> LeftOut | None:
    """Fit every law without the outermost tenth, as `leave_out_best` without the best one."""
    return _leave_out(fit, outermost_tenth(fit.swarm), known)


def _leave_out(fit: SwarmFit, rows: NDArray[np.intp], known: LeftOut | None) -> LeftOut | None:
    """Fit every law without the mixtures `rows`; arguments as in `leave_out_best`."""
    if not len(rows):
        return None
    swarm = fit.swarm if fit.swarm.parts is None else fit.swarm.parts
    fits = {name: one for name, one in _by_name(fit).items() if name in _counted(fit)}
    if (
        known is not None
        and np.array_equal(known.rows, rows)
        and set(fits) <= set(known.predictions)
    ):
        return known
    found: dict[str, dict[str, Array]] = {name: {} for name in fits}
    for law in fit.candidates.values():
        for name, predicted in _without(law, swarm, fits, rows).items():
            found[name][law.name] = predicted
    shared = (one.candidates.get(COMPONENTS) for one in fits.values())
    start = next((one.law for one in shared if one is not None), None)
    if isinstance(start, FittedComponents):
        for index, predicted in components_without(swarm, rows, start).items():
            if swarm.metrics[index] in found:
                found[swarm.metrics[index]][COMPONENTS] = predicted
    return LeftOut(rows, found)


def _by_name(fit: SwarmFit) -> dict[str, MetricFit]:
    """Return the metrics that laws were fitted to: those that families average, or all."""
    return {one.name: one for one in (fit.parts or fit.fits)}


def _members(fit: SwarmFit, index: int) -> tuple[str, ...]:
    """Return the metrics that laws were fitted to of one metric of the swarm."""
    return tuple(fit.swarm.families.values())[index] if fit.parts else (fit.fits[index].name,)


def _counted(fit: SwarmFit) -> set[str]:
    """Return the metrics that laws were fitted to and the objective counts."""
    return {name for index in _used(fit) for name in _members(fit, index)}


def _used(fit: SwarmFit) -> list[int]:
    """Return the metrics of the swarm that the objective counts."""
    used: list[int] = np.flatnonzero(fit.swarm.objective_weights > 0).tolist()
    return used


def _without(
    law: Law, swarm: Swarm, fits: Mapping[str, MetricFit], rows: NDArray[np.intp]
) -> dict[str, Array]:
    """Return the predictions of one law by metric, of `fits`, where it was not refused."""
    mixtures = swarm.unique_mixtures
    values, counts = swarm.averaged()
    kept = np.ones(len(mixtures))
    kept[rows] = 0.0
    usable = [name for name, one in fits.items() if law.name in one.candidates]
    found: dict[str, Array] = {}
    for first in range(0, len(usable), _TOGETHER):
        names = usable[first : first + _TOGETHER]
        some = [swarm.metrics.index(name) for name in names]
        start = [fits[name].candidates[law.name].law for name in names]
        fitted = law.fit_many(mixtures, values[some], counts[some] * kept, start=start)
        found |= {
            name: own.predict(mixtures[rows]) for name, own in zip(names, fitted, strict=True)
        }
    return found


def judge_picks(fit: SwarmFit, left_out: LeftOut) -> BestTenth:
    """Return what each law promises of the mixture that it picks, and what was measured.

    A stack has the weights that cross-validation gave it. A law is judged where every metric of the
    objective has it.
    """
    swarm = fit.swarm
    truth = measured_objective(swarm)[left_out.rows]
    laws = dict.fromkeys(law for one in _by_name(fit).values() for law in one.candidates)
    picked = {}
    for name in (*laws, AUTO):
        values = _counted_values(fit, name, left_out)
        if values is not None:
            promised = swarm.objective_weights[_used(fit)] @ values
            picked[name] = _picked(promised, truth, swarm.objective_sign)
    return BestTenth(len(left_out.rows), len(np.unique(swarm.group[~swarm.held_out])), picked)


def widened(fit: SwarmFit, left_out: LeftOut | None, outermost: LeftOut | None = None) -> SwarmFit:
    """Return the laws with intervals that hold the ends of the swarm, which they had not seen.

    Half their width there is Student's quantile for the runs left out, times the root of the mean
    squared error. Metrics that the objective does not count keep their intervals: laws of them were
    not fitted without the ends.

    Args:
        fit: the laws, fitted to all runs.
        left_out: what laws without the best tenth predict of it; `None` leaves all as it is.
        outermost: what laws without the outermost tenth predict of it.
    """
    errors = None if left_out is None else _missed(fit, left_out)
    if left_out is None or errors is None:
        return fit
    farthest = None if outermost is None else _missed(fit, outermost)
    sign, truth = fit.swarm.objective_sign, measured_objective(fit.swarm)[left_out.rows]
    objective = replace(
        fit.objective.calibration, good=sign * float(truth.max()), best=sign * float(truth.min())
    )
    fits, used = list(fit.fits), _used(fit)
    found = [
        replace(own, beyond=half, outer=float(np.fmax(half, far)))
        for own, half, far in zip(
            (*(fits[index].calibration for index in used), objective),
            errors,
            farthest or errors,
            strict=True,
        )
    ]
    for index, own in zip(used, found, strict=False):
        fits[index] = replace(fits[index], calibration=own)
    return replace(fit, fits=fits, objective=replace(fit.objective, calibration=found[-1]))


def _missed(fit: SwarmFit, left_out: LeftOut) -> list[float] | None:
    """Return half the width that holds what was left out.

    Of each metric that the objective counts, and of the objective last; `None` where a chosen law
    was not fitted without it.
    """
    found = _counted_values(fit, AUTO, left_out)
    if found is None:
        return None
    swarm, rows, used = fit.swarm, left_out.rows, _used(fit)
    values, counts = swarm.averaged()
    measured = np.where(counts > 0, values, np.nan)[used][:, rows]
    whole = measured_objective(swarm)[rows] - swarm.objective_weights[used] @ found
    return [_beyond(residuals) for residuals in (*(measured - found), whole)]


def _beyond(residuals: Array) -> float:
    """Return half the width that holds such errors (K,) in 90 % of cases; NaN without any."""
    seen = residuals[np.isfinite(residuals)]
    if not len(seen):
        return math.nan
    return student(len(seen)) * float(np.sqrt(np.mean(seen**2)))


def _counted_values(fit: SwarmFit, name: str, left_out: LeftOut) -> Array | None:
    """Return the metrics that the objective counts by a law, as `_metric`, (used, K)."""
    values = [_metric(fit, index, name, left_out) for index in _used(fit)]
    known = [value for value in values if value is not None]
    return np.stack(known) if len(known) == len(values) else None


def _metric(fit: SwarmFit, index: int, name: str, left_out: LeftOut) -> Array | None:
    """Return one metric by a law, `AUTO` for the chosen one; `None` without it, (K,)."""
    fits, predicted = _by_name(fit), left_out.predictions
    parts = [_own(fits[member], name, predicted[member]) for member in _members(fit, index)]
    known = [part for part in parts if part is not None]
    return np.mean(known, axis=0) if len(known) == len(parts) else None


def _own(fitted: MetricFit, name: str, predictions: Mapping[str, Array]) -> Array | None:
    wanted = fitted.chosen if name == AUTO else name
    if wanted not in fitted.candidates:
        return None
    law = fitted.candidates[wanted].law
    if isinstance(law, FittedStack) and wanted == STACKED:
        shares = zip(law.members, law.law_weights, strict=True)
        return np.asarray(np.sum([w * predictions[one.name] for one, w in shares], axis=0))
    return predictions.get(wanted)


def _picked(promised: Array, truth: Array, sign: float) -> Picked:
    """Return what a law picks; promised and measured (K,), less is better."""
    pick = int(promised.argmin())
    return Picked(
        promise=sign * float(promised[pick]),
        truth=sign * float(truth[pick]),
        optimism=float(truth[pick] - promised[pick]),
        regret=float(truth[pick] - truth.min()),
    )
