"""The simulation proposer: random mixtures around the prior, for any law.

Draws come from Dirichlet distributions around ``prior ** temperature``, as in RegMix and Olmix,
with strengths from wide to narrow, brought within the caps by water-filling. The best of them are
centres of narrower draws for a few rounds. RegMix and Olmix propose from one round of draws; with
tens of domains that leaves much to gain. What is left is gained by moving weight from one domain to
another, the best of all pairs first, in steps that halve when no move helps (pattern search, Hooke
and Jeeves 1961). None of it needs a slope, so it serves trees too.

Legend: ``S`` draws, ``F`` free domains, ``D`` domains.
"""

from __future__ import annotations

import numpy as np

from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.objective import ProposerObjective
from olmix.simplex import Array, normalise, project_to_caps

__all__ = ["TEMPERATURE", "simulate"]

TEMPERATURE = 1.0
_DRAWS = 8192
_ROUNDS = 6
_KEPT = 16
_STRENGTHS = (1.0, 100.0)
_LEAST = 1e-9
_FIRST_STEP = 0.1
_LAST_STEP = 1e-4
_MOST_MOVES = 400


def simulate(
    objective: ProposerObjective, feasible: Feasible, prior: Array, temperature: float, seed: int
) -> Array:
    """Return the best of many random mixtures, (D,).

    Args:
        objective: what to minimise.
        feasible: what is allowed.
        prior: (D,) centre of the first draws.
        temperature: the power of the prior that the first centre is; nearer to 0 is more uniform.
        seed: seed of the draws.
    """
    size = int(feasible.free.sum())
    if size <= 1:
        return feasible.expand(np.ones(size))
    rng = np.random.default_rng(seed)
    flat = np.maximum(feasible.restrict(prior), _LEAST) ** temperature
    centres = normalise(flat)[None]
    low, high = _STRENGTHS
    best, lowest = centres[0], np.inf
    for _ in range(_ROUNDS):
        strengths = np.exp(rng.uniform(np.log(low), np.log(high), _DRAWS)) * size
        chosen = centres[rng.integers(len(centres), size=_DRAWS)]
        draws = rng.standard_gamma(np.maximum(chosen * strengths[:, None], 0.02))
        shares = project_to_caps(_rows(np.maximum(draws, _LEAST)), feasible.free_caps)
        shares = np.vstack([shares, centres if np.isfinite(lowest) else shares[:1]])
        values = objective.value(feasible.expand(shares))
        order = np.argsort(values, kind="stable")[:_KEPT]
        centres = shares[order]
        if values[order[0]] < lowest:
            best, lowest = centres[0], float(values[order[0]])
        low, high = low * 4, high * 4
    return feasible.expand(_refine(objective, feasible, best))


def _refine(objective: ProposerObjective, feasible: Feasible, shares: Array) -> Array:
    """Move weight between pairs of domains until no move helps; returns shares (F,)."""
    size = len(shares)
    givers, takers = np.nonzero(~np.eye(size, dtype=bool))
    caps, step = feasible.free_caps, _FIRST_STEP
    lowest = float(objective.value(feasible.expand(shares[None]))[0])
    for _ in range(_MOST_MOVES):
        amount = np.minimum(np.minimum(step, shares[givers]), caps[takers] - shares[takers])
        able = np.flatnonzero(amount > 0)
        moved = np.repeat(shares[None], len(able), axis=0)
        rows = np.arange(len(able))
        moved[rows, givers[able]] -= amount[able]
        moved[rows, takers[able]] += amount[able]
        values = objective.value(feasible.expand(moved)) if len(able) else np.array([np.inf])
        best = int(values.argmin())
        if values[best] < lowest:
            shares, lowest = moved[best], float(values[best])
        elif step > _LAST_STEP:
            step /= 2
        else:
            break
    return shares


def _rows(draws: Array) -> Array:
    return np.asarray(draws / draws.sum(axis=1, keepdims=True))
