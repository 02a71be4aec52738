"""The next batch of a swarm, from a fit: noisy expected improvement with diversity.

What the laws predict at a candidate is taken as the mean of a normal distribution, and its variance
as ``rmse^2`` times the share of it that the runs so far leave open, which grows with the distance
from them (the posterior variance of a Gaussian process on the residuals). The candidate with the
largest expected improvement over the best mean at a run is taken; it then counts as a run, which
lowers the variance around it, so the next one lies elsewhere (kriging believer, Ginsbourger et al.
2010). The best mean, not the best measurement, is what is to be improved: measurements are noisy.

Legend: ``N`` candidates, ``R`` runs, ``D`` domains, ``n`` proposals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from olmix.errors import DataError
from olmix.generate.constraints import Constraints
from olmix.generate.known_mixtures import load_mixtures
from olmix.generate.optimal import distances_to
from olmix.generate.swarm import Proposer
from olmix.records.fit.scores import Fit, read_fit
from olmix.records.fit.settings import read_fit_config
from olmix.records.metric import Objective
from olmix.simplex import Array

__all__ = ["expected_improvement", "proposer_of"]

_NOISE = 0.05
"""Share of the residual variance that repeats do not share."""
_erf = np.vectorize(math.erf)


def proposer_of(
    folder: Path,
    domains: Sequence[str],
    predict: Callable[[Array], Mapping[str, Array]],
    objective: Objective,
) -> Proposer:
    """Return a proposer from a loaded fit.

    Args:
        folder: the fit folder.
        domains: domains of the fit.
        predict: mixtures (N, D) to every metric, (N,) each.
        objective: what is to be improved.

    Raises:
        DataError: the folder lacks the scores or the table of the runs.
    """
    ratios = (read_fit_config(folder).get("swarm") or {}).get("ratios")
    if not isinstance(ratios, str):
        raise DataError(f"{folder}/config.json: does not say where the ratios are")
    rmse = _objective_rmse(read_fit(folder), objective)
    runs = load_mixtures(ratios, domains)

    def loss(mixtures: Array) -> Array:
        return objective.sign * objective.average(predict(mixtures))

    def propose(rules: Constraints, candidates: Array, wanted: int, seed: int) -> Array:
        del seed
        unknown = set(rules.domains) ^ set(domains)
        if unknown:
            raise DataError(f"the fit and the config differ in {', '.join(sorted(unknown))}")
        order = [domains.index(name) for name in rules.domains]
        back = np.argsort(order)
        here = loss(candidates[:, back])
        done = loss(runs)
        chosen = _batch(candidates, here, runs[:, order], float(done.min()), rmse, wanted)
        return np.asarray(candidates[chosen])

    return propose


def _objective_rmse(fit: Fit, objective: Objective) -> float:
    """Return the cross-validated error of the objective.

    Where it was not noted, errors of the metrics are taken as independent.
    """
    if fit.objective is not None and math.isfinite(fit.objective.cv.rmse):
        return fit.objective.cv.rmse
    total = math.fsum(objective.weights.values())
    errors = [
        weight / total * fit.metrics[name].law.cv.rmse for name, weight in objective.weights.items()
    ]
    return math.hypot(*errors)


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the mean amount by which normal values lie below `best`, (N,)."""
    deviation = np.maximum(deviation, 1e-12)
    z = (best - mean) / deviation
    below = 0.5 * (1 + _erf(z / math.sqrt(2)))
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return np.asarray((best - mean) * below + deviation * density)


def _batch(
    candidates: Array, mean: Array, runs: Array, best: float, rmse: float, wanted: int
) -> list[int]:
    """Return the positions of the proposals, one after the other."""
    if len(candidates) < wanted:
        raise DataError(f"only {len(candidates)} mixtures to choose {wanted} from")
    points = runs
    length = float(np.median(distances_to(candidates[:256], candidates[:256]))) or 1.0
    chosen: list[int] = []
    for _ in range(wanted):
        between = np.exp(-((distances_to(points, points) / length) ** 2) / 2)
        across = np.exp(-((distances_to(candidates, points) / length) ** 2) / 2)
        solved = np.linalg.solve(between + _NOISE * np.eye(len(points)), across.T)
        open_share = np.maximum(1 + _NOISE - np.einsum("nr,rn->n", across, solved), 0.0)
        value = expected_improvement(mean, rmse * np.sqrt(open_share), best)
        value[chosen] = -np.inf
        pick = int(np.argmax(value))
        chosen.append(pick)
        best = min(best, float(mean[pick]))
        points = np.vstack([points, candidates[pick]])
    return chosen
