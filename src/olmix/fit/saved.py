"""Fitted laws in a file that a person can read: `models.json`, and its way back.

The file holds every parameter with all its digits, so laws that were loaded predict the very
numbers that the fitted ones did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from olmix.errors import DataError
from olmix.fit.crossval import MetricFit
from olmix.fit.law import FittedLaw
from olmix.fit.log_linear import FittedLogLinear
from olmix.fit.log_weight import FittedLogWeight
from olmix.fit.swarm import Swarm
from olmix.io.files import read_json
from olmix.simplex import Array

__all__ = ["LoadedFit", "load_fit", "models_to_plain"]

FORMAT = 1
_LAWS: dict[str, type[FittedLaw]] = {law.name: law for law in (FittedLogLinear, FittedLogWeight)}


@dataclass(frozen=True)
class LoadedFit:
    """The laws of a fit folder.

    Attributes:
        folder: where they came from.
        domains: (D,) names; columns of the mixtures that are predicted.
        lower_is_better: direction of each metric.
        objective_weights: weight of each metric in the objective, summing to 1.
        laws: the chosen law of each metric, for the metric with its sign turned where more is
            better.
    """

    folder: Path
    domains: tuple[str, ...]
    lower_is_better: Mapping[str, bool]
    objective_weights: Mapping[str, float]
    laws: Mapping[str, FittedLaw]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self.laws)

    def predict(self, mixtures: ArrayLike) -> dict[str, Array]:
        """Return every metric, as it stands in the table, at mixtures (n, D): (n,) each.

        Raises:
            DataError: the mixtures have another number of domains.
        """
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        if array.shape[1] != len(self.domains):
            raise DataError(
                f"found mixtures of {array.shape[1]} domains; this fit has {len(self.domains)}: "
                f"{', '.join(self.domains)}"
            )
        return {
            name: law.predict(array) * (1.0 if self.lower_is_better[name] else -1.0)
            for name, law in self.laws.items()
        }


def models_to_plain(swarm: Swarm, fits: Sequence[MetricFit]) -> dict[str, Any]:
    """Return all fitted laws as the content of `models.json`."""
    return {
        "format": FORMAT,
        "domains": list(swarm.domains),
        "metrics": {
            fitted.name: {
                "lower_is_better": swarm.lower_is_better[index],
                "objective_weight": float(swarm.objective_weights[index]),
                "chosen": fitted.chosen,
                "laws": {
                    name: candidate.law.to_plain() for name, candidate in fitted.candidates.items()
                },
            }
            for index, fitted in enumerate(fits)
        },
    }


def load_fit(folder: str | Path) -> LoadedFit:
    """Load the laws of a fit folder, such as `fit/latest`.

    Raises:
        DataError: `models.json` is missing, damaged, or of a format that this release does not
        read.
    """
    file = Path(folder) / "models.json"
    plain = read_json(file)
    try:
        if plain["format"] != FORMAT:
            raise DataError(
                f"{file}: format {plain['format']}; this release reads format {FORMAT}. Fit again"
            )
        entries = plain["metrics"]
        return LoadedFit(
            folder=Path(folder),
            domains=tuple(plain["domains"]),
            lower_is_better={name: entry["lower_is_better"] for name, entry in entries.items()},
            objective_weights={name: entry["objective_weight"] for name, entry in entries.items()},
            laws={
                name: _LAWS[entry["chosen"]].from_plain(entry["laws"][entry["chosen"]])
                for name, entry in entries.items()
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as fitted laws: {error!r}. Fit again") from error
