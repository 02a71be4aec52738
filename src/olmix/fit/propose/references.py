"""Mixtures that a proposal is compared with, and what the swarm measured of the objective.

- natural: the prior, over the domains that some run has, with pinned weights where they are;
- uniform: the same weight for each of these that is not pinned;
- unimax: as uniform as the tokens allow, ``min(cap, level)``, with at most `repetition_factor`
  passes over a domain (UniMax, Chung et al. 2023, arXiv:2304.09151); with a token budget only;
- best_seen: the allowed mixture with the best measured objective. Where standard errors are known,
  each value is first drawn towards what the laws predict without it, the more the less sure it is
  (normal means, empirical Bayes): the best of many is else the luckiest of the noisy ones.

Legend: ``U`` unique mixtures, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from olmix.config import FitConfig, PriorsConfig
from olmix.fit.propose.feasible import Feasible
from olmix.fit.swarm import Swarm
from olmix.fit.tied_domains import pin
from olmix.laws.outliers import winsorise
from olmix.simplex import Array, hellinger, normalise, project_to_caps, token_caps

__all__ = [
    "References",
    "find_references",
    "measured_objective",
    "natural_mixture",
    "nearest_run_distance",
    "objective_noise",
    "reference_mixture",
    "spread",
]

_MOST_NOISE = 0.9
"""Share of the held-out error that standard errors may explain."""
FAR = 0.95
"""Quantile of the distances between neighbouring runs beyond which a proposal is far from all."""


@dataclass(frozen=True)
class References:
    """Mixtures that a proposal is compared with.

    Attributes:
        mixtures: (D,) each, by name: natural, uniform, unimax (with a token budget), best_seen.
        best_run: a run of the best seen, `None` where no allowed mixture was measured.
        best_measured: its measured objective, mean over its runs, less is better.
    """

    mixtures: Mapping[str, Array]
    best_run: str | None
    best_measured: float | None

    @property
    def natural(self) -> Array:
        """The prior, (D,)."""
        return self.mixtures["natural"]

    @property
    def best_seen(self) -> Array:
        """The best mixture of the swarm, (D,)."""
        return self.mixtures["best_seen"]


def measured_objective(swarm: Swarm) -> Array:
    """Return the measured objective of every unique mixture, less is better, (U,).

    It is NaN where a metric with a weight was not measured.
    """
    values, counts = swarm.averaged()
    used = swarm.objective_weights > 0
    measured = np.where(counts > 0, values, np.nan)[used]
    return np.asarray(swarm.objective_weights[used] @ measured)


def objective_noise(swarm: Swarm) -> tuple[Array, float]:
    """Return how many usual runs each mixture's objective is worth, (U,), and their variance.

    Where no standard error is known every mixture is worth one, and the variance is 0.
    """
    shares = swarm.objective_weights**2 * swarm.usual_noise
    usual = float(shares.sum())
    if usual == 0:
        return np.ones(swarm.num_groups), 0.0
    _, counts = swarm.averaged()
    used = shares > 0
    variance = shares[used] @ (1 / np.where(counts > 0, counts, 1.0))[used]
    return usual / variance, usual


def _believed(swarm: Swarm, measured: Array, predicted: Array) -> Array:
    """Return the objective of every mixture as it is to be believed, less is better, (U,).

    Args:
        swarm: the runs.
        measured: (U,) their objective.
        predicted: (U,) the same by laws that have not seen the mixture.
    """
    sure, usual = objective_noise(swarm)
    seen = np.isfinite(measured)
    if usual == 0 or not seen.any():
        return measured
    errors = measured - predicted
    total = max(float(np.average(winsorise(errors[seen]) ** 2, weights=sure[seen])), 1e-300)
    noise = usual * float(np.average(1 / sure[seen], weights=sure[seen]))
    # Errors of items that all runs share are overstated: they never explain all that is seen.
    scale = min(1.0, _MOST_NOISE * total / noise)
    true = total - scale * noise
    return np.asarray(predicted + true / (true + scale * usual / sure) * errors)


def spread(values: Array) -> float:
    """Return the standard deviation of what was measured, NaN ignored; never 0.

    A value far out counts as if it lay at the end of the usual range (`outliers.winsorise`).
    """
    seen = values[np.isfinite(values)]
    return max(float(winsorise(seen).std()) if seen.size else 0.0, 1e-300)


def natural_mixture(priors: PriorsConfig, pins: Mapping[str, float], swarm: Swarm) -> Array:
    """Return the prior over the domains that some run has, inside the pins, (D,)."""
    natural = normalise(np.where(swarm.live, priors.natural(swarm.domains), 0.0))
    return pin(natural, swarm.domains, pins)


def find_references(
    config: FitConfig, swarm: Swarm, feasible: Feasible, predicted: Array
) -> References:
    """Return the mixtures that a proposal is compared with.

    Args:
        config: the prior, the pins and the tokens.
        swarm: the runs.
        feasible: what is allowed.
        predicted: (U,) objective of each mixture by laws that have not seen it, less is better.
    """
    live = swarm.live
    pins = config.filtering.fixed_weight
    uniform = pin(normalise(live.astype(np.float64)), swarm.domains, pins)
    mixtures = {"natural": natural_mixture(config.priors, pins, swarm), "uniform": uniform}
    limits = config.constraints
    if limits.target_tokens is not None:
        counts = config.priors.counts(swarm.domains)
        caps = token_caps(counts, limits.repetition_factor, limits.target_tokens)
        caps = np.where(live, caps, 0.0)
        if caps.sum() >= 1:
            mixtures["unimax"] = project_to_caps(uniform, caps)
    measured = measured_objective(swarm)
    believed = _believed(swarm, measured, predicted)
    unique = swarm.unique_mixtures
    allowed = np.array([feasible.contains(mixture) for mixture in unique])
    order = np.argsort(np.where(np.isfinite(believed), believed, np.inf), kind="stable")
    inside = [index for index in order if allowed[index] and np.isfinite(measured[index])]
    if inside:
        best = int(inside[0])
        run = next(r for r, g in zip(swarm.runs, swarm.group, strict=True) if g == best)
        return References({**mixtures, "best_seen": unique[best]}, run, float(measured[best]))
    nearest = feasible.expand(feasible.restrict(unique[order[0]]))
    return References({**mixtures, "best_seen": nearest}, None, None)


def reference_mixture(config: FitConfig, swarm: Swarm) -> Array:
    """Return the mixture that the divergence is measured from, (D,)."""
    sizes = config.priors.natural(swarm.domains)
    if config.proposer.use_natural_kl:
        sizes = config.priors.counts(swarm.domains)
    natural = normalise(np.where(swarm.live, sizes, 0.0))
    return pin(natural, swarm.domains, config.filtering.fixed_weight)


def nearest_run_distance(swarm: Swarm, mixture: Array) -> tuple[float, float]:
    """Return the Hellinger distance of a mixture from the nearest run, and how far runs lie apart.

    The second is the 95% quantile of each mixture's distance from its nearest neighbour.
    """
    unique = swarm.unique_mixtures
    between = hellinger(unique, unique)
    np.fill_diagonal(between, np.inf)
    usual = float(np.quantile(between.min(axis=1), FAR))
    return float(hellinger(mixture[None], unique).min()), usual
