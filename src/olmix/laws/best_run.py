"""The best run seen: `search`, no law at all.

The prediction for a mixture is what the nearest run measured (Hellinger distance), so the best
mixture is the best run. It is the honest floor: a law that ranks runs left out no better than their
nearest neighbour has found no structure. Use the proposer `search` with it.

Legend: ``P`` problems, ``n`` mixtures, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from olmix.laws.law import FittedLaw, Law
from olmix.simplex import Array, hellinger

__all__ = ["FittedSearch", "Search"]


@dataclass(frozen=True)
class FittedSearch(FittedLaw):
    """The runs themselves.

    Attributes:
        points: (n, D) mixtures of the runs.
        values: (n,) what they measured.
    """

    name: ClassVar[str] = "search"
    convex: ClassVar[bool] = False
    smooth: ClassVar[bool] = False

    points: Array
    values: Array

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return what the nearest run measured, for mixtures (n, D), shape (n,)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        return np.asarray(self.values[hellinger(array, self.points).argmin(axis=1)])

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return zeros: there is no slope."""
        return np.zeros_like(np.atleast_2d(np.asarray(mixtures, dtype=np.float64)))

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        return {"law": self.name, "values": self.values.tolist(), "points": self.points.tolist()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build the law from what `to_plain` returned."""
        return cls(*(np.asarray(plain[key], dtype=np.float64) for key in ("points", "values")))


class Search(Law):
    """The law `search`."""

    name: ClassVar[str] = "search"
    convex: ClassVar[bool] = False
    fitted: ClassVar[type[FittedLaw]] = FittedSearch

    def fit_many(
        self,
        mixtures: Array,
        values: Array,
        row_weights: Array,
        start: Sequence[FittedLaw] | None = None,
    ) -> list[FittedLaw]:
        """Keep the runs of each problem."""
        del start
        return [
            FittedSearch(mixtures[row > 0], y[row > 0])
            for y, row in zip(values, row_weights, strict=True)
        ]
