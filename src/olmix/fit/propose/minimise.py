"""Minimising an objective by the proposer that it allows.

`exact` where every law is log-linear, else `gradient` where they are smooth, else `simulation`;
`search` takes the best run. Floors are constraints of the exact proposer. The others approach them
by a quadratic penalty that grows in rounds (Nocedal and Wright 2006, section 17.1), and what is
left over is removed by a step towards a mixture that keeps all floors, such as the prior.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from olmix.config import ProposerConfig
from olmix.errors import InfeasibleError
from olmix.fit.propose.exact import ProposerError, solve_exact
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.gradient import search, starting_points
from olmix.fit.propose.objective import ProposerObjective
from olmix.fit.propose.references import References
from olmix.fit.propose.simulation import TEMPERATURE, simulate
from olmix.laws.best_run import FittedSearch
from olmix.laws.log_linear import FittedLogLinear
from olmix.simplex import Array

__all__ = ["minimise"]

logger = logging.getLogger(__name__)

_RANDOM_STARTS = 12
_PENALTIES = (10.0, 1e3, 1e5)
"""Weights of the squared excess in units of the spread, one per round."""
_KEPT = 1e-6
"""Excess over a floor, in standard deviations of the metric, that counts as none."""
_HALVINGS = 40


def minimise(
    settings: ProposerConfig,
    seed: int,
    objective: ProposerObjective,
    feasible: Feasible,
    references: References,
    scale: float,
) -> tuple[Array, str]:
    """Return the best mixture, (D,), and the name of the proposer that found it.

    Args:
        settings: which proposer, and its settings.
        seed: of the starts and of random mixtures.
        objective: what to minimise.
        feasible: what is allowed.
        references: mixtures to start from.
        scale: size of the values that matter, such as the swarm's spread.

    Raises:
        InfeasibleError: no mixture that was tried keeps all floors.
        ProposerError: the exact proposer was asked for and fails.
    """
    wanted = settings.type
    laws = objective.laws
    if wanted == "search" or (
        wanted == "auto" and all(isinstance(law, FittedSearch) for law in laws)
    ):
        return references.best_seen, "search"
    every = [*laws, *(floor.law for floor in objective.floors)]
    smooth = all(law.smooth for law in every)
    linear = objective.convex and all(isinstance(law, FittedLogLinear) for law in every)
    if wanted in ("auto", "exact") and linear:
        try:
            exact = solve_exact(objective, feasible, scale)
            return _keep_floors(objective, feasible, references, exact), "exact"
        except ProposerError as error:
            if wanted == "exact":
                raise
            logger.warning("%s; the gradient proposer is used instead", error)
    simulated = wanted == "simulation" or (wanted == "auto" and not smooth)
    found = references.natural
    for penalty in _PENALTIES if objective.floors else (0.0,):
        harder = replace(objective, penalty=penalty * scale)
        if simulated:
            given = settings.temperature
            temperature = TEMPERATURE if given is None else given
            found = simulate(harder, feasible, references.natural, temperature, seed)
        else:
            known = (*references.mixtures.values(), found)
            starts = starting_points(feasible, known, _RANDOM_STARTS, seed)
            found = search(harder, feasible, starts, scale)
    kept = _keep_floors(objective, feasible, references, found)
    return kept, "simulation" if simulated else "gradient"


def _keep_floors(
    objective: ProposerObjective, feasible: Feasible, references: References, mixture: Array
) -> Array:
    """Return the mixture, moved as little as it takes to keep all floors."""
    if objective.excess(mixture[None])[0] <= _KEPT:
        return mixture
    anchor = _anchor(objective, feasible, references, mixture)
    near, far = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        moved = mixture + middle * (anchor - mixture)
        inside = objective.excess(moved[None])[0] <= _KEPT
        near, far = (near, middle) if inside else (middle, far)
    return np.asarray(mixture + far * (anchor - mixture))


def _anchor(
    objective: ProposerObjective, feasible: Feasible, references: References, mixture: Array
) -> Array:
    """Return the best of the known mixtures that keep all floors, the prior among them."""
    known = [feasible.expand(feasible.restrict(one)) for one in references.mixtures.values()]
    rows = np.stack(known)
    excess = objective.excess(rows)
    values = np.where(excess <= _KEPT, objective.value(rows), np.inf)
    if np.isfinite(values).any():
        return np.asarray(rows[values.argmin()])
    worst = _most_missed(objective, mixture)
    raise InfeasibleError(
        f"proposer.floors: found no mixture that keeps them all; {worst} is missed by most. Raise "
        "its floor, or loosen the constraints that keep the natural mixture out"
    )


def _most_missed(objective: ProposerObjective, mixture: Array) -> str:
    missed: Sequence[float] = [floor.excess(mixture[None])[0] for floor in objective.floors]
    return objective.floors[int(np.argmax(missed))].name
