"""From laws and proposals to the records of a fit folder (`olmix.records.fit`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmix.config import Priors
from olmix.fit.crossval import SIGNAL_LEVEL, MetricFit
from olmix.fit.evidence.judged_proposal import JudgedProposal
from olmix.fit.propose.references import nearest_run_distance
from olmix.fit.read_tables import metric_identities
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.fit.uncertainty import estimate, gain
from olmix.mixture import repetition_factors
from olmix.records.fit.proposal import (
    Distance,
    Mix,
    PredictedAverage,
    PredictedGain,
    PredictedMetric,
    PredictedPerformance,
    PredictedValue,
    Proposal,
    ProposedObjective,
)
from olmix.records.fit.scores import (
    LEVEL,
    BestTenth,
    Calibration,
    Fit,
    FittedMetric,
    LawScores,
    ObjectiveEntry,
    UsedRuns,
)
from olmix.records.metric import Metric, Objective
from olmix.simplex import Array
from olmix.text.numbers import gain_of, per_cent, probability, significant

__all__ = [
    "FitResult",
    "fit_record",
    "launch_mix",
    "objective_law",
    "objective_of",
    "predicted_performance",
    "prediction_columns",
    "proposal_record",
]


@dataclass(frozen=True)
class FitResult:
    """Where a fit lies and what it found.

    Attributes:
        folder: the fit folder, named by the hash of config and data.
        reused: whether the folder was there, complete, and nothing was fitted.
        fit: what is in `fit.json`.
        proposal: what is in `proposal.json`; None with `proposer.fit_only`.
        seconds: time that fitting took, 0 if reused.
    """

    folder: Path
    reused: bool
    fit: Fit
    proposal: Proposal | None
    seconds: float


def objective_law(swarm: Swarm, fits: Sequence[MetricFit]) -> str:
    """Return the law behind the objective, `auto` where its metrics use several."""
    used = {
        fitted.chosen
        for fitted, weight in zip(fits, swarm.objective_weights, strict=True)
        if weight > 0
    }
    return used.pop() if len(used) == 1 else "auto"


def fit_record(fit: SwarmFit, stems: Mapping[str, str], best_tenth: BestTenth | None = None) -> Fit:
    """Return what is written to `fit.json`.

    Args:
        fit: the laws.
        stems: start of the names of each metric's files.
        best_tenth: what the laws pick among the best mixtures.
    """
    swarm, objective = fit.swarm, fit.objective
    return Fit(
        domains=swarm.domains,
        frozen={} if swarm.frozen is None else swarm.frozen.groups,
        metrics={
            fitted.name: _metric_record(swarm, index, fitted)
            for index, fitted in enumerate(fit.fits)
        },
        objective=ObjectiveEntry(
            objective.cv,
            float(np.sqrt(objective.train_mse)),
            objective.calibration,
            objective.p_value < SIGNAL_LEVEL,
            objective.p_value,
            best_tenth,
        ),
        runs=UsedRuns(
            swarm.runs,
            tuple(r for r, out in zip(swarm.runs, swarm.held_out, strict=True) if out),
            dict(zip(swarm.runs, swarm.names, strict=True)),
            dict(sorted(swarm.dropped.items())),
        ),
        notes=(*swarm.notes, *_choice_notes(swarm, fit.fits)),
        files=stems,
        fingerprints=dict(fit.asked.priors.fingerprints or {}),
        measured_with=metric_identities(fit.asked.swarm),
    )


def _metric_record(swarm: Swarm, index: int, fitted: MetricFit) -> FittedMetric:
    return FittedMetric(
        lower_is_better=swarm.lower_is_better[index],
        num_runs=int(np.isfinite(swarm.values[:, index]).sum()),
        objective_weight=float(swarm.objective_weights[index]),
        chosen=fitted.chosen,
        candidates={
            name: LawScores(one.cv, one.train, one.cv_loss, one.test, name)
            for name, one in fitted.candidates.items()
        },
        calibration=fitted.calibration,
        noise_sd=math.nan if fitted.noise_sd is None else fitted.noise_sd,
        signal=fitted.signal,
        signal_p_value=fitted.signal_p_value,
        name=fitted.name,
    )


def objective_of(swarm: Swarm) -> Objective:
    """Return what a swarm is fitted for."""
    each = zip(swarm.metrics, swarm.lower_is_better, swarm.objective_weights, strict=True)
    return Objective.build([Metric(name, lower, float(weight)) for name, lower, weight in each])


def _choice_notes(swarm: Swarm, fits: Sequence[MetricFit]) -> list[str]:
    """Name the law chosen for each metric, and the metrics without a signal."""
    notes = []
    for index, fitted in enumerate(fits):
        best = fitted.best
        others = [name for name in fitted.candidates if name != fitted.chosen]
        compared = "".join(f", {name} {fitted.candidates[name].cv.rmse:.4g}" for name in others)
        notes.append(
            f"{fitted.name}: {fitted.chosen} (held-out RMSE {best.cv.rmse:.4g}{compared}; "
            f"held-out rank correlation {best.cv.spearman:.2f})."
        )
        notes += [
            f"{fitted.name}: {law} was left out: a held-out run is {why}."
            for law, why in fitted.refused.items()
        ]
        if not fitted.signal:
            notes.append(
                f"{fitted.name}: no reliable signal: the held-out rank correlation is not "
                f"distinguishable from 0 (p = {fitted.signal_p_value:.2f})."
            )
        measured = swarm.values[:, index]
        spread = float(np.nanstd(measured))
        if fitted.noise_sd is not None and fitted.noise_sd >= spread:
            notes.append(
                f"{fitted.name}: runs of one mixture differ by {fitted.noise_sd:.3g}, as much as "
                f"different mixtures do ({spread:.3g}): the mixture hardly matters to it."
            )
    return notes


def prediction_columns(
    swarm: Swarm, fits: Sequence[MetricFit], folds: NDArray[np.int64]
) -> tuple[list[str], dict[str, list[object]]]:
    """Return runs and columns of `predictions.csv`: a row per run and metric that was measured."""
    runs: list[str] = []
    columns: dict[str, list[Any]] = {
        key: [] for key in ("metric", "law", "measured", "fitted", "held_out", "fold")
    }
    for index, fitted in enumerate(fits):
        sign = float(swarm.signs[index])
        own = sign * fitted.best.law.predict(swarm.unique_mixtures)
        for row, run in enumerate(swarm.runs):
            value, group = float(swarm.measured[row, index]), swarm.group[row]
            if not np.isfinite(value):
                continue
            out = bool(swarm.held_out[row])
            held = own[group] if out else sign * fitted.best.cv_predictions[group]
            cells = (fitted.name, fitted.chosen, value, float(own[group]), float(held))
            runs.append(run)
            for key, cell in zip(
                columns, (*cells, "test" if out else int(folds[group])), strict=True
            ):
                columns[key].append(cell)
    return runs, columns


def _turn(value: float, sign: float) -> float:
    """Return a value in the direction of the table; adding 0 keeps -0 out of files."""
    return sign * value + 0.0


def _turned(found: PredictedValue, sign: float, bounds: Calibration) -> PredictedValue:
    """Return an estimate in the direction of the table, its ends inside the metric's bounds."""
    ends = bounds.inside(np.array([_turn(found.low, sign), _turn(found.high, sign)]))
    return PredictedValue(_turn(found.mean, sign), float(ends.min()), float(ends.max()))


def proposal_record(fit: SwarmFit, judged: JudgedProposal) -> Proposal:
    """Return what is written to `proposal.json`."""
    config, swarm = fit.asked, fit.swarm
    found, boot = judged.found, judged.boot
    tokens = config.constraints.target_tokens
    names = list(judged.mixtures)
    gains = {
        name: gain(boot, len(names) - 1, index)
        for index, name in enumerate(names)
        if name != "proposed"
    }
    reliable = boot.fit.p_value < SIGNAL_LEVEL
    objective = objective_of(swarm)
    return Proposal(
        objective=ProposedObjective(
            **objective.to_plain(),
            law=objective_law(swarm, fit.fits),
            cv=boot.fit.cv,
            signal_p_value=boot.fit.p_value,
        ),
        proposer=found.proposer,
        kl_reg=found.kl_reg,
        kl_weight=found.objective.kl_weight,
        optimality_gap=found.gap,
        caps=swarm.named(judged.feasible.caps),
        fixed_weight=dict(config.filtering.fixed_weight),
        floors={
            floor.name: floor.bound * float(swarm.signs[swarm.metrics.index(floor.name)])
            for floor in found.objective.floors
        },
        mixtures=_mixtures(swarm, judged, objective.sign),
        gains=gains,
        repetition=None if tokens is None else _passes(swarm, found.mixture, tokens, config.priors),
        distance=Distance(*nearest_run_distance(swarm, found.mixture)),
        worst=config.proposer.make_worst_mix,
        reliable=reliable,
        warnings=(*_signal_warnings(swarm, fit.fits, reliable), *found.warnings),
        statement=statement(
            swarm,
            gains["natural"],
            reliable=reliable,
            worst=config.proposer.make_worst_mix,
            over=UNIFORM if fit.asked.priors.unknown else NATURAL,
        ),
    )


def _mixtures(swarm: Swarm, judged: JudgedProposal, sign: float) -> dict[str, Mix]:
    bounds = judged.boot.fit.calibration
    mixtures = {
        name: Mix(swarm.named(mixture), _turned(estimate(judged.boot, index), sign, bounds))
        for index, (name, mixture) in enumerate(judged.mixtures.items())
    }
    references = judged.references
    measured = references.best_measured
    mixtures["best_seen"] = replace(
        mixtures["best_seen"],
        run=references.best_run,
        measured=math.nan if measured is None else _turn(measured, sign),
    )
    return mixtures


def _passes(swarm: Swarm, mixture: Array, tokens: int, priors: Priors) -> dict[str, float]:
    """Return the passes over each leaf's tokens in a run of `tokens` on a mixture (D,)."""
    passes = swarm.expand(mixture) * tokens / priors.counts(swarm.leaves)
    return dict(zip(swarm.leaves, passes.tolist(), strict=True))


def _signal_warnings(swarm: Swarm, fits: Sequence[MetricFit], reliable: bool) -> list[str]:
    if not reliable:
        return []
    silent = [
        fitted.name
        for fitted, weight in zip(fits, swarm.objective_weights, strict=True)
        if weight > 0 and not fitted.signal
    ]
    if not silent:
        return []
    return [
        f"The swarm shows no reliable signal about {', '.join(silent)}, which the average counts."
    ]


NATURAL = "the natural one"
UNIFORM = "the uniform one (no token counts were given)"


def statement(
    swarm: Swarm,
    found: PredictedGain,
    *,
    reliable: bool,
    worst: bool = False,
    over: str = NATURAL,
) -> str:
    """Return the result in one sentence that claims no more than is known.

    Args:
        swarm: the runs.
        found: the gain over the natural mixture.
        reliable: whether the swarm holds a reliable signal.
        worst: whether the worst mixture was asked for.
        over: the mixture that the gain is over, in words.
    """
    objective = objective_of(swarm)
    name = objective.in_words
    if not reliable:
        safe = 3 * (int(swarm.live.sum()) + 1)
        runs = f"more runs (at least {max(safe, 2 * swarm.num_groups)} mixtures)"
        return (
            f"No reliable signal in this swarm: predictions of {name} for held-out runs do not "
            f"rank them better than chance, so this mixture is a guess. What would help: {runs}, "
            "replicates to measure the noise, longer runs, or another metric."
        )
    if worst:
        return f"This mixture is predicted to be the worst for {name}, as make_worst_mix asks."
    size = gain_of(significant(found.mean), objective.unit, objective.better)
    reach = f"{per_cent(LEVEL)} interval {significant(found.low)} to {significant(found.high)}"
    chance = probability(found.probability)
    if found.low > 0:
        return (
            f"The proposed mixture is predicted to improve {name} over {over}: a {size}, "
            f"{reach}; the probability that it is better is {chance}."
        )
    return (
        f"The proposed mixture is predicted to make a {size} in {name} over {over}, "
        f"{reach}: the probability that it is better is {chance}, which is not certain. Verify it "
        "before use."
    )


def predicted_performance(fit: SwarmFit, judged: JudgedProposal) -> PredictedPerformance:
    """Return what is written to `predicted_performance.json`: every metric at each mixture."""
    rows, swarm = np.stack(list(judged.mixtures.values())), fit.swarm
    metrics, average = {}, np.zeros(len(rows))
    for index, fitted in enumerate(fit.fits):
        less_is_better = fitted.best.law.predict(rows)
        predicted = swarm.signs[index] * less_is_better
        average += swarm.objective_sign * swarm.objective_weights[index] * less_is_better
        metrics[fitted.name] = PredictedMetric(
            float(predicted[-1]),
            fitted.best.cv.rmse,
            fitted.chosen,
            {name: float(value) for name, value in zip(judged.mixtures, predicted, strict=True)},
        )
    named = dict(zip(judged.mixtures, average.tolist(), strict=True))
    return PredictedPerformance(
        objective=objective_of(swarm).name,
        average=PredictedAverage(float(average[-1]), named),
        metrics=metrics,
    )


def launch_mix(
    swarm: Swarm, mixture: Array, tokens: int | None, priors: Priors
) -> dict[str, dict[str, float]]:
    """Return the `mix:` section of a launch config, with the passes that the target run takes.

    Args:
        swarm: the runs.
        mixture: (D,) weights.
        tokens: of the target run; `None` where it is not known.
        priors: token counts of the leaves.
    """
    weights = swarm.expand(mixture)
    factors = np.ones(len(weights))
    if tokens is not None:
        factors = repetition_factors(weights, tokens, priors.counts(swarm.leaves))
    return {
        name: {"weight": float(weight), "repetition_factor": float(factor)}
        for name, weight, factor in zip(swarm.leaves, weights, factors, strict=True)
        if weight > 0
    }
