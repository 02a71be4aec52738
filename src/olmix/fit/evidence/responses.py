"""How the objective responds around the proposal: to each domain, and to three of them together.

Legend: ``D`` domains.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from olmix.fit.swarm_fit import SwarmFit
from olmix.fit.tied_domains import pin
from olmix.fit.uncertainty import predicted_average
from olmix.simplex import Array, hellinger

__all__ = ["RESPONSE_COLUMNS", "responses", "ternary"]

RESPONSE_COLUMNS = ("domain", "weight", "predicted", "low", "high")
_POINTS = 25
_SIDE = 24
"""Steps along a side of the triangle."""


def _objective(fit: SwarmFit, mixtures: Array) -> tuple[Array, Array]:
    """Return the objective in its own direction, and half its 90% interval, (n,) each."""
    total = predicted_average(fit.swarm, fit.fits, mixtures)
    distances = hellinger(mixtures, fit.swarm.fitted_mixtures).min(axis=1)
    objective, errors = fit.swarm.objective_sign * total, fit.objective.calibration
    return objective, errors.half_width(distances, errors.ahead(objective, distances))


def responses(fit: SwarmFit, at: Array) -> list[tuple[Any, ...]]:
    """Return the rows of `responses.csv`: the objective against the weight of each domain.

    Args:
        fit: the laws.
        at: (D,) mixture whose other weights keep their proportions, and pinned domains theirs.
    """
    # Denser at both ends, where laws in roots and logarithms bend.
    weights = (1 - np.cos(np.linspace(0, np.pi, _POINTS))) / 2
    rows: list[tuple[Any, ...]] = []
    free = fit.swarm.free
    for domain in np.flatnonzero(free):
        rest = np.where(free, at, 0.0)
        rest[domain] = 0.0
        if rest.sum() <= 0:
            rest = np.where(free, 1.0, 0.0)
            rest[domain] = 0.0
        mixtures = (1 - weights)[:, None] * rest / max(float(rest.sum()), 1e-300)
        mixtures[:, domain] = weights
        mixtures = pin(mixtures, fit.swarm.domains, fit.swarm.pinned)
        predicted, half = _objective(fit, mixtures)
        ends = (predicted - half, predicted + half)
        cells = np.stack([mixtures[:, domain], predicted, *ends], axis=1)
        rows += [(fit.swarm.domains[domain], *row) for row in cells.tolist()]
    return rows


def ternary(fit: SwarmFit, at: Array) -> tuple[tuple[str, ...], list[tuple[float, ...]]]:
    """Return columns and rows of `ternary.csv`: the objective over mixtures of three domains.

    The three are those with the most weight in the mixture `at` (where it has fewer, those with
    the most weight in the natural one); all others have none.
    """
    order = np.lexsort((-fit.natural, -at))
    three = [int(index) for index in order if fit.swarm.free[index]][:3]
    if len(three) < 3:
        return (), []
    steps = [(i, j, _SIDE - i - j) for i in range(_SIDE + 1) for j in range(_SIDE + 1 - i)]
    shares = np.array(steps) / _SIDE
    mixtures = np.zeros((len(steps), len(at)))
    mixtures[:, three] = shares
    predicted, _ = _objective(fit, pin(mixtures, fit.swarm.domains, fit.swarm.pinned))
    names = tuple(fit.swarm.domains[index] for index in three)
    rows = np.hstack([shares, predicted[:, None]]).tolist()
    return (*names, "predicted"), [tuple(row) for row in rows]
