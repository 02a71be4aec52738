"""Laws: rules that predict one metric from a mixture.

Every law minimises: metrics of which more is better have their sign turned before they are fitted.
A law is fitted to many problems at once (metrics, folds, bootstrap samples), because a batch costs
little more than one.

Legend: ``P`` problems, ``n`` mixtures, ``D`` domains, ``B`` draws, ``K`` mixtures asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmix.laws.outliers import without_accidents
from olmix.simplex import Array

__all__ = ["Draws", "FittedLaw", "Law", "SeparateLaw", "rows_for_settings"]

MOST_IN_FULL = 640
SUBSET = 256
"""Settings (lengths, ridges, offsets) are chosen on all runs up to the first number, above it on so
many drawn at random: a few hundred tell them as well (`benchmarks/fit_large.py`), and a step on all
would cost the cube of the runs. The law itself is fitted to all."""


def rows_for_settings(number: int, live: int) -> NDArray[np.intp] | None:
    """Return the rows on which the settings of a law are chosen, `None` for all of them.

    Args:
        number: number of rows.
        live: rows that have a weight, so many in the problem with the fewest.
    """
    if live <= MOST_IN_FULL:
        return None
    size = min(number, -(-SUBSET * number // live))
    return np.sort(np.random.default_rng(0).choice(number, size, replace=False))


@dataclass(frozen=True)
class Draws:
    """Random numbers that all laws and metrics share, so that their errors are compared fairly.

    Attributes:
        row_weights: (B, n) weight of each mixture in each refit.
        normals: (B, K) standard normal numbers, one for each mixture that is predicted.
        uniforms: (B,) which member of a stack a draw comes from, in [0, 1).
    """

    row_weights: Array
    normals: Array
    uniforms: Array


class FittedLaw(ABC):
    """A law with its parameters, for one metric."""

    name: ClassVar[str]
    """Name of the law in configs and files."""
    convex: ClassVar[bool]
    """Whether the prediction is a convex function of the mixture."""
    smooth: ClassVar[bool] = True
    """Whether the prediction has a slope to follow."""

    @abstractmethod
    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""

    @abstractmethod
    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""

    @classmethod
    @abstractmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FittedLaw:
        """Build the law from what `to_plain` returned."""


class Law(ABC):
    """A family of laws that can be fitted."""

    name: ClassVar[str]
    """Name of the law in configs and files."""
    convex: ClassVar[bool]
    """Whether the prediction is a convex function of the mixture."""
    fitted: ClassVar[type[FittedLaw]]
    """The result of fitting a law."""

    @abstractmethod
    def fit_many(
        self,
        mixtures: Array,
        values: Array,
        row_weights: Array,
        start: Sequence[FittedLaw] | None = None,
    ) -> list[FittedLaw]:
        """Fit a batch of problems that share their mixtures.

        Args:
            mixtures: (n, D) mixtures.
            values: (P, n) measured values, lower is better; anything where the weight is 0.
            row_weights: (P, n) weight of each row in each problem.
            start: a fit to most of the same rows for each problem, where a search may begin. All
                settings are chosen again.
        """

    def refit_many(
        self, fitted: Sequence[FittedLaw], mixtures: Array, values: Array, row_weights: Array
    ) -> list[FittedLaw]:
        """Fit again to other weights, keeping settings and starting from `fitted` (one each)."""
        del fitted
        return self.fit_many(mixtures, values, row_weights)

    def sample(
        self,
        fitted: FittedLaw,
        mixtures: Array,
        values: Array,
        draws: Draws,
        at: Array,
    ) -> Array:
        """Return predictions by laws that could as well be true, (B, K).

        Here they are refits to reweighted mixtures (the Bayesian bootstrap).

        Args:
            fitted: the fit to all rows.
            mixtures: (n, D) mixtures.
            values: (n,) measured values, lower is better; anything where the weight is 0.
            draws: the random numbers.
            at: (K, D) mixtures to predict.
        """
        size = len(draws.row_weights)
        repeated = np.repeat(values[None], size, axis=0)
        refits = self.refit_many([fitted] * size, mixtures, repeated, draws.row_weights)
        return np.stack([refit.predict(at) for refit in refits])

    def fit(
        self, mixtures: ArrayLike, values: ArrayLike, row_weights: ArrayLike | None = None
    ) -> FittedLaw:
        """Fit one metric, accidents moved to the end of what is usual (`outliers`).

        Args:
            mixtures: (n, D) mixtures.
            values: (n,) measured values, lower is better.
            row_weights: (n,) weight of each row; 1 by default.
        """
        rows = np.asarray(mixtures, dtype=np.float64)
        array = without_accidents(rows, np.asarray(values, dtype=np.float64))[None]
        each = (
            np.ones_like(array)
            if row_weights is None
            else np.asarray(row_weights, dtype=float)[None]
        )
        return self.fit_many(rows, array, each)[0]


class SeparateLaw(Law):
    """A family whose problems are fitted one after the other, without rows of weight 0."""

    def fit_many(
        self,
        mixtures: Array,
        values: Array,
        row_weights: Array,
        start: Sequence[FittedLaw] | None = None,
    ) -> list[FittedLaw]:
        """Fit a batch of problems, one after the other."""
        begin = start if start is not None else [None] * len(values)
        return [
            self.fit_one(mixtures[row > 0], y[row > 0], row[row > 0], first)
            for y, row, first in zip(values, row_weights, begin, strict=True)
        ]

    def refit_many(
        self, fitted: Sequence[FittedLaw], mixtures: Array, values: Array, row_weights: Array
    ) -> list[FittedLaw]:
        """Fit again to other weights, keeping settings, one after the other."""
        return [
            self.refit_one(law, mixtures[row > 0], y[row > 0], row[row > 0])
            for law, y, row in zip(fitted, values, row_weights, strict=True)
        ]

    @abstractmethod
    def fit_one(
        self, mixtures: Array, values: Array, row_weights: Array, start: FittedLaw | None
    ) -> FittedLaw:
        """Fit one problem.

        Args:
            mixtures: (n, D) mixtures.
            values: (n,) measured values, lower is better.
            row_weights: (n,) weights, above 0.
            start: a fit to most of the same rows, where a search may begin.
        """

    def refit_one(
        self, fitted: FittedLaw, mixtures: Array, values: Array, row_weights: Array
    ) -> FittedLaw:
        """Fit one problem to other weights, keeping the settings of `fitted`."""
        return self.fit_one(mixtures, values, row_weights, fitted)
