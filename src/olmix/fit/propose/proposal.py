"""From fitted laws to a proposed mixture, with what a reader must know of it.

What is minimised is in `objective`, how in `minimise`. The warnings are found here: a proposal at a
vertex, or far from every run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from olmix.config import ProposerConfig
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.gradient import TRACE, optimality_gap
from olmix.fit.propose.law_warnings import law_warnings
from olmix.fit.propose.limit_warnings import limit_warnings
from olmix.fit.propose.minimise import minimise
from olmix.fit.propose.objective import MetricFloor, ProposerObjective, Risk
from olmix.fit.propose.references import (
    References,
    measured_objective,
    nearest_run_distance,
    reference_mixture,
    spread,
)
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.fit.uncertainty import held_out_average
from olmix.laws.law import FittedLaw
from olmix.laws.scaled import additive_parts
from olmix.records.fit.proposal import Distance
from olmix.records.fit.scores import NORMAL_QUANTILE
from olmix.simplex import Array
from olmix.text.progress import NOBODY, Steps

__all__ = ["FoundMixture", "build_objective", "chosen_kl", "propose", "propose_each"]

logger = logging.getLogger(__name__)

_KL_WEIGHTS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_HANDFUL = 8
_NUM_HANDFULS = 500
_LARGE_GAP = 0.01
"""Share of the swarm's spread beyond which a gap to the optimum is worth a warning."""


@dataclass(frozen=True)
class FoundMixture:
    """A proposed mixture and how it was found.

    Attributes:
        mixture: (D,) the proposal.
        proposer: `exact`, `gradient`, `simulation` or `search`.
        objective: what was minimised.
        kl_reg: weight of the divergence, in units of the swarm's spread.
        gap: first-order bound on what is left to gain; a bound on the error for convex objectives.
        warnings: what a reader must know, as sentences.
    """

    mixture: Array
    proposer: str
    objective: ProposerObjective
    kl_reg: float
    gap: float
    warnings: tuple[str, ...]


def build_objective(fit: SwarmFit, metric_weights: Array, kl_weight: float) -> ProposerObjective:
    """Return the objective of a weighted average of metrics, without risk and floors.

    Args:
        fit: the laws.
        metric_weights: (M,) weights of the metrics.
        kl_weight: weight of the divergence, in units of the average.
    """
    used = np.flatnonzero(metric_weights > 0)
    laws: list[FittedLaw] = []
    shares: list[float] = []
    for index in used:
        law = fit.fits[int(index)].best.law
        parts = additive_parts(law)
        laws += [part for part, _ in parts]
        shares += [float(metric_weights[index]) * share for _, share in parts]
    direction = -1.0 if fit.config.proposer.make_worst_mix else 1.0
    return ProposerObjective(
        laws=laws,
        metric_weights=direction * np.array(shares),
        kl_weight=kl_weight,
        reference=reference_mixture(fit.config, fit.swarm),
    )


def chosen_kl(fit: SwarmFit) -> float:
    """Return the weight of the divergence; `auto` has the least regret on runs left out.

    The choice is made among random handfuls of runs, each predicted by fits that have not seen it:
    of every handful the run with the least predicted objective plus divergence is chosen, and its
    regret is how much better the best of the handful is. Of weights with the same regret the
    largest is taken.
    """
    config, swarm = fit.config, fit.swarm
    wanted = config.proposer.kl_reg
    if wanted != "auto":
        return float(wanted)
    measured = measured_objective(swarm)
    held = held_out_average(swarm, fit.fits)
    seen = np.flatnonzero(np.isfinite(measured))
    scale = spread(measured)
    only_kl = ProposerObjective([], np.empty(0), scale, reference_mixture(config, swarm))
    divergence = only_kl.value(swarm.unique_mixtures)
    rng = np.random.default_rng(config.regression.seed)
    size = min(_HANDFUL, len(seen))
    handfuls = np.array([rng.choice(seen, size, replace=False) for _ in range(_NUM_HANDFULS)])
    best = measured[handfuls].min(axis=1)
    regrets = []
    for kl in _KL_WEIGHTS:
        score = held + kl * divergence
        picked = handfuls[np.arange(len(handfuls)), score[handfuls].argmin(axis=1)]
        regrets.append(float((measured[picked] - best).mean()))
    least = min(regrets)
    return max(
        kl
        for kl, regret in zip(_KL_WEIGHTS, regrets, strict=True)
        if regret <= least + 1e-3 * scale
    )


def propose(fit: SwarmFit, feasible: Feasible, references: References) -> FoundMixture:
    """Return the proposed mixture for the weighted average of the metrics.

    Args:
        fit: the laws.
        feasible: what is allowed.
        references: mixtures to start from.

    Raises:
        InfeasibleError: no mixture keeps the floors.
    """
    config, swarm = fit.config, fit.swarm
    scale = spread(measured_objective(swarm))
    kl = chosen_kl(fit) if config.proposer.kl_unit == "spread" else _raw_kl(config.proposer) / scale
    kl_weight = _kl_weight(config.proposer, kl, scale)
    plain = build_objective(fit, swarm.objective_weights, kl_weight)
    objective = replace(plain, risk=_risk(fit), floors=_floors(fit, references))
    mixture, proposer = minimise(
        config.proposer, config.regression.seed, objective, feasible, references, scale
    )
    gap = 0.0
    if not objective.floors:
        # With floors the slopes of the objective alone do not say what is left to gain.
        gap = optimality_gap(objective, feasible, mixture)
        mixture = without_traces(mixture, feasible)
    warnings = [
        *swarm.warnings,
        *_gap_warning(proposer, gap, scale),
        *limit_warnings(fit, mixture, feasible, references),
        *_distance_warning(swarm, mixture),
        *law_warnings(fit, mixture, kl),
    ]
    if config.proposer.make_worst_mix:
        warnings.insert(0, "This is the worst mixture, not the best: make_worst_mix is set.")
    return FoundMixture(mixture, proposer, objective, kl, gap, tuple(warnings))


def _raw_kl(asked: ProposerConfig) -> float:
    return 0.0 if asked.kl_reg == "auto" else float(asked.kl_reg)  # the config refuses a raw `auto`


def _kl_weight(asked: ProposerConfig, kl: float, scale: float) -> float:
    """Return the weight of the divergence in the unit of what is optimised.

    Args:
        asked: may fix it, whatever the spread is.
        kl: the weight in units of the spread.
        scale: standard deviation of what is optimised over the swarm.
    """
    return _raw_kl(asked) if asked.kl_unit == "raw" else kl * scale


def _risk(fit: SwarmFit) -> Risk | None:
    """Return the error of a prediction, times the standard errors that the config asks for."""
    number, errors = fit.config.proposer.risk, fit.objective.calibration
    if number == 0:
        return None
    if errors.slope == 0:
        logger.warning(
            "proposer.risk: %g has no effect: the errors of runs left out do not grow with the "
            "distance from the others. A larger proposer.kl_reg keeps a mixture nearer to natural",
            number,
        )
    factor = number * errors.quantile / NORMAL_QUANTILE
    return Risk(fit.swarm.fitted_mixtures, factor * errors.base, factor * errors.slope)


def _floors(fit: SwarmFit, references: References) -> tuple[MetricFloor, ...]:
    """Return the limits on single metrics, from their predictions at natural or best seen."""
    asked = fit.config.proposer
    if asked.floors is None:
        return ()
    start = fit.natural if asked.floors_at == "prior" else references.best_seen
    floors = []
    for fitted, scale in zip(fit.fits, _metric_spreads(fit.swarm), strict=True):
        law = fitted.best.law
        bound = asked.floor_of(fitted.name, float(law.predict(start[None])[0]))
        if bound is not None:
            floors.append(MetricFloor(fitted.name, law, bound, scale))
    return tuple(floors)


def _metric_spreads(swarm: Swarm) -> list[float]:
    """Return the standard deviation of every metric over the mixtures."""
    values, counts = swarm.averaged()
    return [spread(row) for row in np.where(counts > 0, values, np.nan)]


def propose_each(
    fit: SwarmFit,
    feasible: Feasible,
    references: References,
    kl: float,
    steps: Steps = NOBODY,
) -> dict[str, Array]:
    """Return the best mixture for each metric alone, without risk and floors, (D,) each.

    Args:
        fit: the laws.
        feasible: what is allowed.
        references: mixtures to start from.
        kl: weight of the divergence, in units of each metric's spread; a raw one is the same for
            each.
        steps: counts each metric.
    """
    result = {}
    metrics = fit.swarm.metrics
    alone = np.eye(len(metrics))
    for name, metric_weights, scale in zip(metrics, alone, _metric_spreads(fit.swarm), strict=True):
        objective = build_objective(fit, metric_weights, _kl_weight(fit.config.proposer, kl, scale))
        mixture, _ = minimise(
            fit.config.proposer, fit.config.regression.seed, objective, feasible, references, scale
        )
        result[name] = without_traces(mixture, feasible)
        steps(f"best mixture for {name}")
    return result


def without_traces(mixture: Array, feasible: Feasible) -> Array:
    """Set weights too small to mean anything to 0 and give them to the largest with room."""
    traces = feasible.free & (mixture < TRACE)
    cleaned = np.where(traces, 0.0, mixture)
    room = np.where(feasible.free, feasible.caps - cleaned, -np.inf)
    roomy = np.flatnonzero(room >= mixture[traces].sum())
    if roomy.size:
        cleaned[roomy[cleaned[roomy].argmax()]] += mixture[traces].sum()
        return cleaned
    return mixture


def _gap_warning(proposer: str, gap: float, scale: float) -> list[str]:
    """Warn where the solver of a convex problem stopped short of the optimum."""
    if proposer != "exact" or gap <= _LARGE_GAP * scale:
        return []
    return [
        f"The exact proposer stopped early: the best mixture may be better by up to {gap:.2g}. "
        "Use proposer.type gradient."
    ]


def _distance_warning(swarm: Swarm, mixture: Array) -> list[str]:
    """Warn where the proposal is farther from every run than runs are from each other."""
    found = Distance(*nearest_run_distance(swarm, mixture))
    if found.place == "within":
        return []
    return [
        f"The proposal lies {found.place} what the swarm tried: its distance from the nearest run "
        f"is {found.nearest_run:.2f} (Hellinger), and 95 % of the runs have another within "
        f"{found.usual:.2f}. Its prediction is an extrapolation."
    ]
