"""The next round of a swarm, after a fit: Thompson draws around its proposal, and some elsewhere.

Each draw is a law that could as well be true as the one that was fitted. The allowed mixture near
the proposal that it thinks best is run (Thompson 1933), so runs gather where the best mixture may
lie and spread as far as the laws are unsure. Expected improvement in batches did worse: its points
lie close together. A quarter of the runs comes from the design of the swarm and not from the laws,
which may be wrong.

The mixture ``i`` depends on those before it alone, so a larger round begins with a smaller one.

Legend: ``n`` mixtures of the round, ``K`` candidates, ``D`` domains, ``R`` runs of the fit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from olmix.errors import DataError
from olmix.generate.constraints import Constraints
from olmix.generate.optimal import distances_to
from olmix.simplex import Array

__all__ = ["APART", "EarlierFit", "next_round", "proposal_of", "runs_of"]

logger = logging.getLogger(__name__)

EXPLORE = 4
"""One of so many mixtures comes from the design."""
NUM_CANDIDATES = 512
_STEPS = (0.03, 0.6)
"""How far candidates lie from the proposal, as a share of the way to another allowed mixture."""
APART = 0.01
"""Euclidean distance below which mixtures are near-duplicates: those of a round keep it from each
other and from runs."""


class EarlierFit(Protocol):
    """The part of a fit that a round needs."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the columns of its mixtures, (D,)."""

    @property
    def runs(self) -> Array:
        """Mixtures of its runs, (R, D)."""

    @property
    def proposal(self) -> Array:
        """The mixture that it proposes, (D,)."""

    def draw(self, mixtures: Array, number: int, seed: int) -> Array:
        """Return the objective at mixtures (K, D), less is better, by drawn laws: (number, K)."""


def runs_of(fit: EarlierFit, domains: Sequence[str]) -> Array:
    """Return the mixtures of a fit's runs in the order of `domains`, (R, D).

    Raises:
        DataError: the fit has other domains.
    """
    return np.asarray(fit.runs[:, _columns(fit, domains)])


def proposal_of(fit: EarlierFit, domains: Sequence[str]) -> Array:
    """Return the proposal of a fit in the order of `domains`, (D,).

    Raises:
        DataError: the fit has other domains.
    """
    return np.asarray(fit.proposal[_columns(fit, domains)])


def _columns(fit: EarlierFit, domains: Sequence[str]) -> list[int]:
    """Return where the fit has each of the domains."""
    differing = sorted(set(domains) ^ set(fit.domains))
    if differing:
        raise DataError(
            f"the fit and the config differ in {', '.join(differing)}; a round must have the "
            "domains of the fit that places it"
        )
    return [fit.domains.index(name) for name in domains]


def next_round(
    rules: Constraints,
    fit: EarlierFit,
    wide: Array,
    into_rules: Callable[[Array], Array],
    explored: Array,
    wanted: int,
    seed: int,
) -> Array:
    """Choose the mixtures of a round, (wanted, D), none of them a run of the fit.

    Args:
        rules: the feasible set.
        fit: what is known.
        wide: (N, D) allowed mixtures of every kind.
        into_rules: moves mixtures (n, D) into the feasible set.
        explored: (wanted // EXPLORE, D) the mixtures of the design.
        wanted: number of mixtures.
        seed: seed of candidates and draws.

    Raises:
        DataError: the fit has other domains, or the rules leave too few mixtures.
    """
    columns = _columns(fit, rules.domains)
    runs = fit.runs[:, columns]
    # Another round of the same config has candidates and draws of its own.
    near_rng, draw_rng = np.random.default_rng([seed, len(runs)]).spawn(2)
    proposal = into_rules(fit.proposal[None, columns])
    near = _around(proposal, wide, rules.caps, into_rules, near_rng)
    near = near[rules.contains(near, 1e-8)]
    near = near[distances_to(near, runs).min(axis=1, initial=np.inf) > APART]
    drawn = wanted - len(explored)
    if len(near) < drawn:
        raise DataError(
            f"{len(near)} new mixtures were found around the proposal, but a round of {wanted} "
            f"takes {drawn}. Ask for up to {len(near) * EXPLORE // (EXPLORE - 1)} "
            "(swarm.variants), or loosen rules that leave few"
        )
    there = np.empty((1 + len(near), len(columns)))
    there[:, columns] = np.vstack([proposal, near])
    draws = fit.draw(there, drawn, int(draw_rng.integers(2**31)))
    missed = float((draws[:, 0] - draws.min(axis=1)).mean())
    logger.info(
        "laws drawn at random find mixtures near the proposal that are better by %.3g on "
        "average; another round can gain no more than that",
        missed,
    )
    chosen: list[Array] = []
    free = np.ones(len(near), dtype=bool)
    rows, others = iter(draws[:, 1:]), iter(explored)
    for index in range(wanted):
        if index % EXPLORE == EXPLORE - 1:
            mixture = next(others)
        else:
            mixture = near[_best(next(rows), near, free, chosen)]
        chosen.append(mixture)
    return np.array(chosen)


def _around(
    proposal: Array,
    wide: Array,
    caps: Array,
    into_rules: Callable[[Array], Array],
    rng: np.random.Generator,
) -> Array:
    """Return candidates near the proposal (1, D), itself the first, (K, D).

    Half lie on the way to another mixture. The others move as one mixture differs from another,
    and stop at 0 and at the caps: only so do they lose a domain that the proposal has.
    """
    half = NUM_CANDIDATES // 2
    low, high = np.log(_STEPS)
    step = np.exp(rng.uniform(low, high, (2, half, 1)))
    towards, one, other = wide[rng.integers(0, len(wide), (3, half))]
    between = (1 - step[0]) * proposal + step[0] * towards
    moved = np.clip(proposal + step[1] * (one - other), 0.0, caps)
    moved /= moved.sum(axis=1, keepdims=True)
    found = into_rules(np.vstack([proposal, between, moved]))
    _, unique = np.unique(found.round(9), axis=0, return_index=True)
    return np.asarray(found[np.sort(unique)])


def _best(values: Array, near: Array, free: NDArray[np.bool_], chosen: Sequence[Array]) -> int:
    """Return the candidate that a draw thinks best, and take it out of `free`.

    It keeps a distance from those chosen before, where any does.
    """
    apart = free.copy()
    if chosen:
        apart &= distances_to(near, np.array(chosen)).min(axis=1) > APART
    allowed = apart if apart.any() else free
    pick = int(np.argmin(np.where(allowed, values, np.inf)))
    free[pick] = False
    return pick
