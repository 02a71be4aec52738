"""The Pareto front over task families: what one family costs another.

A mixture is on the front where no other one predicts some family better and none worse. Points are
found by minimising weighted sums of the families, each in units of its own spread, for weights that
cover their simplex evenly (a Sobol sequence; Das and Dennis 1997 say what such sums cannot find:
parts of a front that bend inwards). Points that another one beats are left out.

Legend: ``F`` families, ``M`` metrics, ``N`` points, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olmix.config import FitConfig
from olmix.errors import needs
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.minimise import minimise
from olmix.fit.propose.proposal import build_objective
from olmix.fit.propose.references import References, spread
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.records.fit.tables import FrontFamily, FrontSummary
from olmix.simplex import Array
from olmix.text.progress import NOBODY, Steps

__all__ = ["ParetoFront", "families_of", "front_summary", "pareto_front"]


@dataclass(frozen=True)
class ParetoFront:
    """Mixtures of which none is better than another in every family.

    Attributes:
        families: metrics of each family, as positions.
        mixtures: (N, D) mixtures.
        values: (N, F) predicted average of each family, in the direction of its metrics.
    """

    families: Mapping[str, tuple[int, ...]]
    mixtures: Array
    values: Array


def families_of(config: FitConfig, swarm: Swarm) -> dict[str, tuple[int, ...]]:
    """Return the fitted metrics of each family that the objective counts, as positions.

    Without `eval`, and where families were averaged before the fit, each metric is a family.
    """
    counted = {
        name: index
        for index, name in enumerate(swarm.metrics)
        if swarm.objective_weights[index] > 0
    }
    if config.eval is None or config.regression.aggregate_task_families:
        return {name: (index,) for name, index in counted.items()}
    families = {}
    for family, members in config.eval.tasks.items():
        names = members.values() if isinstance(members, Mapping) else members
        found = tuple(counted[name] for name in names if name in counted)
        if found:
            families[family] = found
    return families


def pareto_front(
    fit: SwarmFit,
    feasible: Feasible,
    references: References,
    kl: float,
    steps: Steps = NOBODY,
) -> ParetoFront:
    """Return the front that `proposer.pareto` weighted sums find.

    Args:
        fit: the laws.
        feasible: what is allowed.
        references: mixtures to start from.
        kl: weight of the divergence, in units of the spread.
        steps: counts each point.
    """
    config, swarm = fit.config, fit.swarm
    families = families_of(config, swarm)
    metrics = _shares(swarm, families)
    averages, counts = swarm.averaged()
    measured = np.where(counts > 0, averages, np.nan)
    scales = np.array([spread(row[row > 0] @ measured[row > 0]) for row in metrics])
    mixtures = []
    for share in _directions(config.proposer.pareto, len(families), config.regression.seed):
        metric_weights = (share / scales) @ metrics
        total = float(metric_weights.sum())
        objective = build_objective(fit, metric_weights / total, kl / total)
        found, _ = minimise(
            config.proposer, config.regression.seed, objective, feasible, references, 1 / total
        )
        mixtures.append(found)
        steps("point of the Pareto front found")
    rows = np.stack(mixtures)
    losses = _losses(fit, metrics, rows)
    kept = not_beaten(losses)
    order = np.argsort(losses[kept, 0], kind="stable")
    values = _signs(swarm, families) * losses[kept]
    return ParetoFront(families, rows[kept][order], values[order])


def front_summary(fit: SwarmFit, front: ParetoFront, mixtures: Mapping[str, Array]) -> FrontSummary:
    """Return what is in `pareto.json`: the families, and their averages at named mixtures."""
    swarm, families = fit.swarm, front.families
    signs = _signs(swarm, families)
    values = signs * _losses(fit, _shares(swarm, families), np.stack(list(mixtures.values())))
    return FrontSummary(
        families={
            name: FrontFamily(tuple(swarm.metrics[index] for index in members), bool(sign > 0))
            for (name, members), sign in zip(families.items(), signs, strict=True)
        },
        mixtures={
            name: dict(zip(families, row.tolist(), strict=True))
            for name, row in zip(mixtures, values, strict=True)
        },
    )


def _shares(swarm: Swarm, families: Mapping[str, tuple[int, ...]]) -> Array:
    """Return the share of every metric in the average of each family, (F, M)."""
    shares = np.zeros((len(families), len(swarm.metrics)))
    for row, members in zip(shares, families.values(), strict=True):
        row[list(members)] = swarm.objective_weights[list(members)]
        row /= row.sum()
    return shares


def _signs(swarm: Swarm, families: Mapping[str, tuple[int, ...]]) -> Array:
    """Return -1 for families of which more is better of every metric, else 1, (F,)."""
    lower = np.array(swarm.lower_is_better, dtype=bool)
    return np.array([1.0 if lower[list(m)].any() else -1.0 for m in families.values()])


def _losses(fit: SwarmFit, shares: Array, mixtures: Array) -> Array:
    """Return the predicted average of each family at mixtures (N, D), less is better, (N, F)."""
    predicted = np.stack([fitted.best.law.predict(mixtures) for fitted in fit.fits])
    return np.asarray((shares @ predicted).T)


def _directions(number: int, size: int, seed: int) -> Array:
    """Return weights of the families, (number, size), each family alone among them."""
    with needs("fit", "A Pareto front"):
        from scipy.stats import qmc
    if size == 1:
        return np.ones((1, 1))
    if size == 2:
        share = np.linspace(0, 1, max(number, 2))
        return np.stack([share, 1 - share], axis=1)
    left = max(number - size, 0)
    # Spacings of sorted uniform numbers are uniform on the simplex.
    power = int(np.ceil(np.log2(max(left, 1))))
    cuts = np.sort(qmc.Sobol(size - 1, seed=seed).random_base2(power)[:left], axis=1)
    inner = np.diff(np.hstack([np.zeros((left, 1)), cuts, np.ones((left, 1))]), axis=1)
    return np.vstack([np.eye(size), inner])


def not_beaten(losses: Array) -> NDArray[np.bool_]:
    """Return which points (N, F) no other point beats; of equal points the first is kept, (N,)."""
    no_worse = (losses[None] <= losses[:, None]).all(axis=2)
    better = (losses[None] < losses[:, None]).any(axis=2)
    twin = no_worse & no_worse.T & np.tri(len(losses), k=-1, dtype=bool)
    return np.asarray(~((no_worse & better) | twin).any(axis=1))
