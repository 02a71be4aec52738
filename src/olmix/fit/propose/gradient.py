"""The gradient proposer, for any law with a derivative.

Of many starts the best few are followed to their end by sequential quadratic programming (SLSQP,
Kraft 1988). On the public swarms, with and without caps, mirror descent from all starts before it
(Kivinen and Warmuth 1997) found no better value in eight decimals. A step of it takes the cube of
the number of domains, though: where there are many, mirror descent goes in its place.

Legend: ``S`` starts, ``F`` free domains, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from olmix.errors import needs
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.objective import ProposerObjective
from olmix.simplex import Array, fill_to_caps, normalise, project_to_caps

__all__ = ["TRACE", "optimality_gap", "search", "starting_points"]

_FOLLOWED = 4
_MANY = 150
"""Free domains beyond which a step of sequential quadratic programming takes too long."""
_MIRROR_STEPS = 500
_LEAST_STEP = 1e-12
_LEAST_WEIGHT = 1e-30
TRACE = 1e-6
"""Weight below which a domain gets none; the divergence keeps every weight above 0."""


def starting_points(
    feasible: Feasible, references: Sequence[Array], num_random: int, seed: int
) -> Array:
    """Return shares of the free domains to start from, (S, F).

    They are the references, near each vertex of what is allowed, and Dirichlet draws that have the
    seed and the number of domains as their only input.

    Args:
        feasible: what is allowed.
        references: mixtures (D,) such as natural, uniform and the best seen.
        num_random: number of Dirichlet draws.
        seed: seed of the draws.
    """
    size = int(feasible.free.sum())
    if size == 0:
        return np.empty((1, 0))
    starts = [feasible.restrict(reference) for reference in references]
    near = 0.8 * np.eye(size) + 0.2 / size
    drawn = np.random.default_rng(seed).dirichlet(np.ones(size), num_random)
    for shares in [*near, *drawn]:
        starts.append(project_to_caps(normalise(np.maximum(shares, 1e-9)), feasible.free_caps))
    return np.array(starts)


def search(objective: ProposerObjective, feasible: Feasible, starts: Array, scale: float) -> Array:
    """Return the best mixture found from a few of the starts, the best ones, (D,).

    Args:
        objective: what to minimise.
        feasible: what is allowed.
        starts: (S, F) shares of the free domains.
        scale: size of the values that matter, such as the swarm's spread.
    """
    if feasible.free.sum() <= 1:
        return feasible.expand(np.ones(int(feasible.free.sum())))
    values = objective.value(feasible.expand(starts))
    order = np.argsort(values, kind="stable")
    best, lowest = starts[order[0]], values[order[0]]
    for index in order[:_FOLLOWED]:
        end = _descend(objective, feasible, starts[index], scale)
        value = objective.value(feasible.expand(end)[None])[0]
        if value < lowest:
            best, lowest = end, value
    return feasible.expand(best)


def _descend(
    objective: ProposerObjective, feasible: Feasible, shares: Array, scale: float
) -> Array:
    """Return the end of a descent on the scaled problem from one start, shares (F,)."""
    free, caps = feasible.free, feasible.free_caps
    least = np.minimum(1e-12, caps)

    def value(point: Array) -> float:
        inside = np.maximum(point, least)
        return float(objective.value(feasible.expand(inside[None]))[0] / scale)

    def slope(point: Array) -> Array:
        inside = np.maximum(point, least)
        whole = objective.gradient(feasible.expand(inside[None]))[0, free]
        return np.asarray(feasible.free_total * whole / scale)

    if len(caps) > _MANY:
        return _mirror(value, slope, shares, caps)
    with needs("fit", "The gradient proposer"):
        from scipy import optimize
    found = optimize.minimize(
        value,
        shares,
        jac=slope,
        method="SLSQP",
        bounds=list(zip(np.zeros(len(caps)), caps, strict=True)),
        constraints=[{"type": "eq", "fun": lambda x: x.sum() - 1, "jac": np.ones_like}],
        options={"ftol": 1e-13, "maxiter": 200},
    )
    point = np.where(found.x < 1e-10, 0.0, found.x)
    if not np.isfinite(point).all() or point.sum() <= 0:
        return shares
    return np.asarray(np.maximum(fill_to_caps(point / point.sum(), caps), 0.0))


def _mirror(
    value: Callable[[Array], float], slope: Callable[[Array], Array], shares: Array, caps: Array
) -> Array:
    """Return the end of mirror descent with backtracking from one start, shares (F,)."""
    point = project_to_caps(normalise(np.maximum(shares, 1e-9)), caps)
    now, rate = value(point), 1.0
    for _ in range(_MIRROR_STEPS):
        down = slope(point)
        down = down - down.min()
        while rate > _LEAST_STEP:
            kept = point * np.exp(-np.minimum(rate * down, 100.0))
            moved = project_to_caps(np.maximum(kept, _LEAST_WEIGHT), caps)
            there = value(moved)
            if there <= now - 1e-4 * float(down @ (point - moved)):
                break
            rate /= 2
        else:
            break
        gained, point, now, rate = now - there, moved, there, 2 * rate
        if gained < _LEAST_STEP:
            break
    return np.asarray(fill_to_caps(np.where(point < 1e-10, 0.0, point), caps))


def optimality_gap(objective: ProposerObjective, feasible: Feasible, mixture: Array) -> float:
    """Return how much better any allowed mixture can be, to first order (Frank-Wolfe gap).

    For a convex objective it bounds the distance of the value from the optimum. Slopes are taken
    where no free weight is below `TRACE`: at 0 that of the divergence is infinite, however little
    there is to gain.
    """
    free, caps = feasible.free, feasible.free_caps
    if free.sum() <= 1:
        return 0.0
    inside = np.where(free, np.maximum(mixture, TRACE), mixture)
    slope = feasible.free_total * objective.gradient(inside[None])[0, free]
    shares = mixture[free] / feasible.free_total
    # The best vertex fills the domains of steepest descent to their caps.
    vertex, left = np.zeros(len(caps)), 1.0
    for domain in np.argsort(slope, kind="stable"):
        vertex[domain] = min(caps[domain], left)
        left -= vertex[domain]
    return float(slope @ (shares - vertex))
