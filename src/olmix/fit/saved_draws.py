"""Draws from a fit that lies in a folder: what the next round of runs is placed by.

Gaussian processes draw from the posterior that was saved; other laws are refitted to the tables of
the fit with random weights, as for its intervals (`uncertainty`). Such draws do not know that the
formula may be wrong: they agree on where the best mixture is, and a round that they place lies in
one spot. So where `auto` has chosen formulas alone, half of the draws come from a Gaussian process.

Legend: ``R`` runs, ``L`` columns of the tables, ``B`` draws, ``K`` mixtures asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit.models_file import LoadedFit, load_fit
from olmix.fit.read_tables import read_tables
from olmix.fit.swarm import Swarm, read_swarm
from olmix.fit.swarm_fit import laws_for, one_thread
from olmix.fit.uncertainty import draw_average
from olmix.laws.components import FittedComponents
from olmix.laws.gp import FittedGaussianProcess, GpSqrt
from olmix.laws.law import FittedLaw, Law
from olmix.laws.stack import FittedStack, parts_of
from olmix.records.fit.proposal import read_proposal
from olmix.records.fit.settings import CONFIG_FILE, read_fit_settings
from olmix.simplex import Array

__all__ = ["SavedDraws", "load_draws"]

_WITH_ERRORS = (FittedGaussianProcess, FittedComponents)
"""Laws that draw from a posterior of their own."""


@dataclass(frozen=True)
class SavedDraws:
    """A fit that laws can be drawn from.

    Attributes:
        config: what was fitted and asked for.
        fit: the laws.
        drawn: the law of each metric that draws come from.
        swarm: the runs that they were fitted to.
        laws: how each law is fitted again, by name.
        runs: (R, L) mixtures of all runs of the table, used or not.
        proposal: (L,) the mixture that was proposed.
    """

    config: FitConfig
    fit: LoadedFit
    drawn: Mapping[str, FittedLaw]
    swarm: Swarm
    laws: Mapping[str, Law]
    runs: Array
    proposal: Array

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the columns, (L,)."""
        return self.swarm.leaves

    def draw(self, mixtures: Array, number: int, seed: int) -> Array:
        """Return the objective at mixtures (K, L), less is better, by drawn laws: (number, K).

        The first draws of a larger number are those of a smaller one.
        """
        known = [
            (self.drawn[name], self.fit.objective_weights[name]) for name in self.swarm.metrics
        ]
        at = self.swarm.collapse(mixtures)
        with one_thread():
            return draw_average(self.swarm, known, self.laws, at, number, seed)


def load_draws(folder: str | Path) -> SavedDraws:
    """Load a fit folder, such as `fit/latest`, and the tables that it was fitted to.

    Raises:
        DataError: the folder is no finished fit, or its tables are not there or have changed.
    """
    place = Path(folder)
    # The file holds hashes and versions too.
    found = read_fit_settings(place).plain
    plain = {key: value for key, value in found.items() if key in FitConfig.model_fields}
    if not plain:
        raise DataError(f"{place}: holds no config.json. Run `olmix fit` again")
    config = FitConfig.from_dict(plain, str(place / CONFIG_FILE))
    scales = config.swarm.ordered_scales
    # Draws are made by refits to the smallest scale, which gives the shape.
    fit = load_fit(place, scales[0].name if scales else None)
    ratios, metrics = read_tables(config.swarm)
    swarm = read_swarm(config, (ratios, metrics))
    if swarm.domains != fit.domains or set(swarm.metrics) != set(fit.metrics):
        raise DataError(
            f"{place}: {config.swarm.ratios} and {config.swarm.metrics} no longer have the "
            "domains or metrics that were fitted. Run `olmix fit` again"
        )
    weights = read_proposal(place).mixtures["proposed"].weights
    laws = {law.name: law for law in laws_for(config, swarm)}
    return SavedDraws(
        config=config,
        fit=fit,
        drawn=_drawn(fit, swarm, laws.get(GpSqrt.name)),
        swarm=swarm,
        laws=laws,
        runs=_normalised(ratios.select(swarm.leaves)),
        proposal=np.array([weights[name] for name in swarm.leaves]),
    )


def _drawn(fit: LoadedFit, swarm: Swarm, process: Law | None) -> dict[str, FittedLaw]:
    """Return the law of each metric, formulas with a Gaussian process beside them.

    Args:
        fit: the laws.
        swarm: the runs that they were fitted to.
        process: the Gaussian process, where it was among the laws to choose from.
    """
    drawn = {name: fit.laws[name] for name in swarm.metrics}
    values, counts = swarm.averaged()
    for index, (name, law) in enumerate(drawn.items()):
        parts = parts_of(law)
        known = any(isinstance(part, _WITH_ERRORS) for part, _ in parts)
        if process is None or known or fit.objective_weights[name] == 0:
            continue
        rows = values[index][None], counts[index][None]
        with one_thread():
            unsure = process.fit_many(swarm.unique_mixtures, *rows)[0]
        shares = np.array([*(share / 2 for _, share in parts), 0.5])
        drawn[name] = FittedStack((*(part for part, _ in parts), unsure), shares)
    return drawn


def _normalised(rows: Array) -> Array:
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))
