"""From fitted laws to a proposed mixture.

`exact` where every law that counts is log-linear, else `gradient` where they are smooth, else
`simulation`; `search` is the best run. The mixtures that the proposal is
compared with (natural, uniform, best seen) are found here, and so are the warnings: a proposal at a
vertex, or far from every run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.config import FitConfig
from olmix.fit.crossval import MetricFit
from olmix.fit.exact import ProposerError, solve_exact
from olmix.fit.feasible import Feasible
from olmix.fit.gradient import TRACE, optimality_gap, search, starting_points
from olmix.fit.law import FittedLaw
from olmix.fit.log_linear import FittedLogLinear
from olmix.fit.objective import Objective
from olmix.fit.robust import winsorise
from olmix.fit.search_law import FittedSearch
from olmix.fit.simulation import TEMPERATURE, simulate
from olmix.fit.swarm import Swarm
from olmix.simplex import Array, normalise

__all__ = ["Proposal", "References", "find_references", "propose", "propose_each", "spread"]

logger = logging.getLogger(__name__)

VERTEX = 0.95
"""Weight from which one domain alone is called a vertex."""
EDGE = 0.02
"""Distance from a limit below which a weight is said to lie on it."""
FAR = 0.95
"""Quantile of the distances between neighbouring runs beyond which a proposal is far from all."""
_RANDOM_STARTS = 12
_STARTS_TIMES_LAWS = 1200
"""Starts that are followed for the proposal, times the laws that each step asks."""
_STARTS_EACH = 8
"""Starts that are followed for the best mixture of one metric alone, which is for comparison."""
_KL_WEIGHTS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_HANDFUL = 8
_NUM_HANDFULS = 500
_LARGE_GAP = 0.01
"""Share of the swarm's spread beyond which a gap to the optimum is worth a warning."""


@dataclass(frozen=True)
class References:
    """Mixtures that a proposal is compared with.

    Attributes:
        natural: (D,) the prior, over the domains that some run has.
        uniform: (D,) equal weights of these domains.
        best_seen: (D,) the allowed mixture with the best measured objective.
        best_run: a run of it, `None` where no allowed mixture was measured.
        best_measured: its measured objective, mean over its runs, less is better.
    """

    natural: Array
    uniform: Array
    best_seen: Array
    best_run: str | None
    best_measured: float | None


@dataclass(frozen=True)
class Proposal:
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
    objective: Objective
    kl_reg: float
    gap: float
    warnings: tuple[str, ...]


def measured_objective(swarm: Swarm) -> Array:
    """Return the measured objective of every unique mixture, less is better, (U,).

    It is NaN where a metric with a weight was not measured.
    """
    values, counts = swarm.averaged()
    used = swarm.objective_weights > 0
    measured = np.where(counts > 0, values, np.nan)[used]
    return np.asarray(swarm.objective_weights[used] @ measured)


def spread(values: Array) -> float:
    """Return the standard deviation of what was measured, NaN ignored; never 0.

    A diverged run counts as if it lay at the end of what is usual (`robust.winsorise`).
    """
    seen = values[np.isfinite(values)]
    return max(float(winsorise(seen).std()) if seen.size else 0.0, 1e-300)


def find_references(config: FitConfig, swarm: Swarm, feasible: Feasible) -> References:
    """Return natural, uniform and best seen mixture."""
    natural = normalise(np.where(swarm.live, config.priors.natural(swarm.domains), 0.0))
    uniform = normalise(swarm.live.astype(np.float64))
    measured = measured_objective(swarm)
    unique = swarm.unique_mixtures
    allowed = np.array([feasible.contains(mixture) for mixture in unique])
    order = np.argsort(np.where(np.isfinite(measured), measured, np.inf), kind="stable")
    inside = [index for index in order if allowed[index] and np.isfinite(measured[index])]
    if inside:
        best = int(inside[0])
        run = next(r for r, g in zip(swarm.runs, swarm.group, strict=True) if g == best)
        return References(natural, uniform, unique[best], run, float(measured[best]))
    nearest = feasible.expand(feasible.restrict(unique[order[0]]))
    return References(natural, uniform, nearest, None, None)


def reference_mixture(config: FitConfig, swarm: Swarm) -> Array:
    """Return the mixture that the divergence is measured from, (D,)."""
    sizes = config.priors.natural(swarm.domains)
    if config.proposer.use_natural_kl:
        sizes = config.priors.counts(swarm.domains)
    return normalise(np.where(swarm.live, sizes, 0.0))


def build_objective(
    config: FitConfig,
    swarm: Swarm,
    fits: Sequence[MetricFit],
    weights: Array,
    scale: float,
    kl: float,
) -> Objective:
    """Return the objective of a weighted average of metrics.

    Args:
        config: whether to look for the worst mixture.
        swarm: the runs.
        fits: one per metric.
        weights: (M,) weights of the metrics.
        scale: standard deviation of the average over the swarm.
        kl: weight of the divergence, in units of `scale`.
    """
    used = np.flatnonzero(weights > 0)
    laws: list[FittedLaw] = [fits[int(index)].best.law for index in used]
    direction = -1.0 if config.proposer.make_worst_mix else 1.0
    return Objective(
        laws=laws,
        weights=direction * weights[used],
        kl_weight=kl * scale,
        reference=reference_mixture(config, swarm),
    )


def chosen_kl(config: FitConfig, swarm: Swarm, fits: Sequence[MetricFit]) -> float:
    """Return the weight of the divergence; `auto` is that with the least regret on held-out runs.

    The choice is made among random handfuls of runs, each predicted by fits that have not seen it:
    of every handful the run with the least predicted objective plus divergence is chosen, and its
    regret is how much better the best of the handful is. Of weights with the same regret the
    largest is taken.
    """
    wanted = config.proposer.kl_reg
    if wanted != "auto":
        return float(wanted)
    measured = measured_objective(swarm)
    held = np.zeros(len(measured))
    for fitted, weight in zip(fits, swarm.objective_weights, strict=True):
        if weight > 0:
            held += weight * fitted.best.cv_predictions
    seen = np.flatnonzero(np.isfinite(measured))
    scale = spread(measured)
    only_kl = Objective([], np.empty(0), scale, reference_mixture(config, swarm))
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


def propose(
    config: FitConfig,
    swarm: Swarm,
    fits: Sequence[MetricFit],
    feasible: Feasible,
    references: References,
) -> Proposal:
    """Return the proposed mixture for the weighted average of the metrics."""
    scale = spread(measured_objective(swarm))
    kl = chosen_kl(config, swarm, fits)
    objective = build_objective(config, swarm, fits, swarm.objective_weights, scale, kl)
    most = max(_STARTS_EACH, _STARTS_TIMES_LAWS // max(len(objective.laws), 1))
    mixture, proposer = _solve(config, objective, feasible, references, scale, most)
    gap = optimality_gap(objective, feasible, mixture)
    mixture = without_traces(mixture, feasible)
    warnings = [
        *_gap_warning(proposer, gap, scale),
        *_vertex_warning(swarm.domains, mixture, feasible),
        *_distance_warning(swarm, mixture),
    ]
    if config.proposer.make_worst_mix:
        warnings.insert(0, "This is the worst mixture, not the best: make_worst_mix is set.")
    return Proposal(mixture, proposer, objective, kl, gap, tuple(warnings))


def propose_each(
    config: FitConfig,
    swarm: Swarm,
    fits: Sequence[MetricFit],
    feasible: Feasible,
    references: References,
    on_step: Callable[[str], None] | None = None,
) -> dict[str, Array]:
    """Return the best mixture for each metric alone, (D,) each."""
    values, counts = swarm.averaged()
    result = {}
    kl = chosen_kl(config, swarm, fits)
    for index, name in enumerate(swarm.metrics):
        scale = spread(np.where(counts[index] > 0, values[index], np.nan))
        weights = np.eye(len(swarm.metrics))[index]
        objective = build_objective(config, swarm, fits, weights, scale, kl)
        mixture, _ = _solve(config, objective, feasible, references, scale, _STARTS_EACH)
        result[name] = without_traces(mixture, feasible)
        if on_step is not None:
            on_step(name)
    return result


def _solve(
    config: FitConfig,
    objective: Objective,
    feasible: Feasible,
    references: References,
    scale: float,
    most: int | None = None,
) -> tuple[Array, str]:
    """Return the best mixture and the proposer that found it."""
    wanted = config.proposer.type
    smooth = all(law.smooth for law in objective.laws)
    linear = objective.convex and all(isinstance(law, FittedLogLinear) for law in objective.laws)
    if wanted == "search" or (
        wanted == "auto" and all(isinstance(law, FittedSearch) for law in objective.laws)
    ):
        return references.best_seen, "search"
    if wanted == "simulation" or (wanted == "auto" and not smooth):
        temperature = config.proposer.temperature or TEMPERATURE
        seed = config.regression.seed
        return (
            simulate(objective, feasible, references.natural, temperature, seed),
            "simulation",
        )
    if wanted in ("auto", "exact") and linear:
        try:
            return solve_exact(objective, feasible, scale), "exact"
        except ProposerError as error:
            if wanted == "exact":
                raise
            logger.warning("%s; the gradient proposer is used in its place", error)
    known = (references.natural, references.uniform, references.best_seen)
    starts = starting_points(feasible, known, _RANDOM_STARTS, config.regression.seed)
    return search(objective, feasible, starts, scale, most), "gradient"


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
        f"The exact proposer stopped short: the best mixture may be better by up to {gap:.2g}. "
        "Use proposer.type gradient."
    ]


def _vertex_warning(domains: Sequence[str], mixture: Array, feasible: Feasible) -> list[str]:
    """Warn where the laws say "only this", which they say too easily."""
    top = int(mixture.argmax())
    if mixture[top] >= VERTEX and not feasible.pinned[top]:
        return [
            f"The proposal is a vertex: {100 * mixture[top]:.0f} % {domains[top]}. A law that only "
            "goes up or down with each weight ends there whatever the truth is; verify it, raise "
            "proposer.kl_reg, or add runs near it."
        ]
    free, caps = feasible.free, feasible.caps
    full = free & (caps < 1) & (mixture >= caps - EDGE)
    # Every weight is at 0 or at its cap but for one that takes up the rest.
    at_limit = full | (free & (mixture <= EDGE))
    if full.any() and at_limit.sum() >= free.sum() - 1:
        names = ", ".join(name for name, at in zip(domains, full, strict=True) if at)
        return [
            f"The proposal is a vertex of what the caps allow: {names} at the cap, the other "
            "weights (but at most one) at 0. The token budget decides it more than the metrics do."
        ]
    return []


def _distance_warning(swarm: Swarm, mixture: Array) -> list[str]:
    """Warn where the proposal is farther from every run than runs are from each other."""
    nearest, usual = nearest_run_distance(swarm, mixture)
    if nearest <= usual:
        return []
    return [
        f"The proposal lies outside what the swarm tried: its distance from the nearest run is "
        f"{nearest:.2f} (Hellinger), and 95 % of the runs have another within {usual:.2f}. "
        "Its prediction is an extrapolation."
    ]


def nearest_run_distance(swarm: Swarm, mixture: Array) -> tuple[float, float]:
    """Return the distance of a mixture from the nearest run, and how far runs lie apart.

    Both are Hellinger distances, ``|sqrt(x) - sqrt(y)| / sqrt(2)``; the second is the 95% quantile
    of each mixture's distance from its nearest neighbour.
    """
    roots = np.sqrt(swarm.unique_mixtures)
    square = ((roots - np.sqrt(mixture)) ** 2).sum(axis=1)
    between = ((roots[:, None] - roots) ** 2).sum(axis=2)
    np.fill_diagonal(between, np.inf)
    usual = np.sqrt(between.min(axis=1) / 2)
    return float(np.sqrt(square.min() / 2)), float(np.quantile(usual, FAR))
