"""The gradient proposer: mirror descent from many starts, for any law with a derivative.

Exponentiated gradient (Kivinen and Warmuth 1997; Beck and Teboulle 2003): multiply each share by
``exp(-step * gradient)`` and return to the capped simplex by the nearest mixture in KL
(`simplex.project_to_caps`), with a step length that halves until the value falls and grows when it
does. The best few ends are polished by sequential quadratic programming (SLSQP, Kraft 1988), which
converges where mirror descent slows down; its result counts only if it is better and allowed.

Legend: ``S`` starts, ``F`` free domains, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from olmix.errors import MissingPackageError
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.objective import Objective
from olmix.simplex import Array, fill_to_caps, normalise, project_to_caps

__all__ = ["TRACE", "optimality_gap", "search", "starting_points"]

_MAX_STEPS = 300
_POLISHED = 4
TRACE = 1e-6
"""Weight below which a domain gets none; the divergence keeps every weight above 0."""
_LEAST = 1e-12
"""Smallest share in mirror descent, where a share of 0 would stay 0."""


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


def search(
    objective: Objective, feasible: Feasible, starts: Array, scale: float, most: int | None = None
) -> Array:
    """Return the best mixture found from all starts, (D,).

    Args:
        objective: what to minimise.
        feasible: what is allowed.
        starts: (S, F) shares of the free domains.
        scale: size of the values that matter, such as the swarm's spread.
        most: how many of the starts to follow, the best ones; all by default.
    """
    if most is not None and most < len(starts):
        begun = objective.value(feasible.expand(starts))
        starts = starts[np.argsort(begun, kind="stable")[:most]]
    if feasible.free.sum() <= 1:
        return feasible.expand(np.ones(int(feasible.free.sum())))
    ends, values = _mirror_descent(objective, feasible, starts, scale)
    order = np.argsort(values, kind="stable")
    best, lowest = ends[order[0]], values[order[0]]
    for index in order[:_POLISHED]:
        polished = _polish(objective, feasible, ends[index], scale)
        value = objective.value(feasible.expand(polished)[None])[0]
        if value < lowest:
            best, lowest = polished, value
    return feasible.expand(best)


def _mirror_descent(
    objective: Objective, feasible: Feasible, starts: Array, scale: float
) -> tuple[Array, Array]:
    """Run all starts side by side; returns shares (S, F) and values (S,)."""
    free, caps = feasible.free, feasible.free_caps
    shares = starts.copy()
    values = objective.value(feasible.expand(shares))
    step = np.full(len(shares), 0.5 / scale)
    for _ in range(_MAX_STEPS):
        slope = feasible.free_total * objective.gradient(feasible.expand(shares))[:, free]
        slope -= (shares * slope).sum(axis=1, keepdims=True)
        power = np.clip(-step[:, None] * slope, -30, 30)
        moved = project_to_caps(np.maximum(shares * np.exp(power), _LEAST), caps)
        reached = objective.value(feasible.expand(moved))
        better = reached < values
        gain = np.where(better, values - reached, 0.0)
        shares[better], values[better] = moved[better], reached[better]
        step = np.where(better, step * 1.5, step * 0.4)
        if (gain < 1e-10 * scale).all() and (step * scale < 1e-3).all():
            break
    return shares, values


def _polish(objective: Objective, feasible: Feasible, shares: Array, scale: float) -> Array:
    """Improve one end by SLSQP on the scaled problem; returns shares (F,)."""
    try:
        from scipy import optimize
    except ImportError:
        raise MissingPackageError("scipy", "fit", "The gradient proposer") from None
    free, caps = feasible.free, feasible.free_caps
    least = np.minimum(1e-12, caps)

    def value(point: Array) -> float:
        inside = np.maximum(point, least)
        return float(objective.value(feasible.expand(inside[None]))[0] / scale)

    def slope(point: Array) -> Array:
        inside = np.maximum(point, least)
        whole = objective.gradient(feasible.expand(inside[None]))[0, free]
        return np.asarray(feasible.free_total * whole / scale)

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


def optimality_gap(objective: Objective, feasible: Feasible, mixture: Array) -> float:
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
