"""The simulation proposer: random mixtures around the prior, for any law.

Draws come from Dirichlet distributions around ``prior ** (1 / temperature)``, with strengths from
wide to narrow, brought within the caps by water-filling. The best of them are centres of narrower
draws for a few rounds. RegMix and Olmix propose from one round of draws; with tens of domains that
leaves much to gain. It needs no slope, so it serves trees too.

Legend: ``S`` draws, ``F`` free domains, ``D`` domains.
"""

from __future__ import annotations

import numpy as np

from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.objective import Objective
from olmix.simplex import Array, normalise, project_to_caps

__all__ = ["TEMPERATURE", "simulate"]

TEMPERATURE = 0.5
_DRAWS = 8192
_ROUNDS = 6
_KEPT = 16
_STRENGTHS = (1.0, 100.0)
_LEAST = 1e-9


def simulate(
    objective: Objective, feasible: Feasible, prior: Array, temperature: float, seed: int
) -> Array:
    """Return the best of many random mixtures, (D,).

    Args:
        objective: what to minimise.
        feasible: what is allowed.
        prior: (D,) centre of the first draws.
        temperature: above 0; the larger, the nearer to the uniform mixture the first centre is.
        seed: seed of the draws.
    """
    size = int(feasible.free.sum())
    if size <= 1:
        return feasible.expand(np.ones(size))
    rng = np.random.default_rng(seed)
    flat = np.maximum(feasible.restrict(prior), _LEAST) ** (1 / temperature)
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
    return feasible.expand(best)


def _rows(draws: Array) -> Array:
    return np.asarray(draws / draws.sum(axis=1, keepdims=True))
