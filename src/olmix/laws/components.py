"""Metrics that lend each other strength: Gaussian processes of their principal components.

    y_m = centre_m + scale_m sum_k loading_mk g_k(x),    g_k ~ GP in sqrt(x), as `gp_sqrt`

Many noisy metrics of one swarm move together. The leading components of the standardised metrics
(`K` of them) hold what they share with little of their noise, and each is fitted once for all
metrics (the linear model of coregionalisation, Goovaerts 1997, with the loadings of a principal
component analysis). What a metric has for itself is lost, so that this is one member of a stack.

Legend: ``M`` metrics, ``n`` mixtures, ``D`` domains, ``K`` components, ``B`` draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from olmix.laws.gaussian import MEAN
from olmix.laws.gp import FittedGaussianProcess, FittedGpSqrt, GpSqrt
from olmix.laws.law import FittedLaw
from olmix.simplex import Array

__all__ = ["COMPONENTS", "NUM_COMPONENTS", "Basis", "FittedComponents", "fit_components"]

COMPONENTS = "components"
NUM_COMPONENTS = 8


class Basis:
    """The Gaussian processes that all metrics share.

    The last answers are kept: an average of a hundred metrics asks for the same mixtures a hundred
    times.

    Args:
        members: one per component.
    """

    def __init__(self, members: Sequence[FittedGaussianProcess]) -> None:
        self.members = tuple(members)
        self._solutions = np.stack([one.solution for one in self.members], axis=1)
        self._narrow = np.stack([one.settings.lengths for one in self.members], axis=1) ** -2.0
        self._signals = np.array([one.settings.signal for one in self.members])
        self._known: dict[str, tuple[bytes, Array]] = {}

    def predict(self, mixtures: Array) -> Array:
        """Return every component at mixtures (n, D), (K, n)."""
        if len(mixtures) == 1:
            return self._once("both", mixtures, lambda: self._both(mixtures))[:, :1]
        return self._once(
            "predict", mixtures, lambda: [one.predict(mixtures) for one in self.members]
        )

    def gradient(self, mixtures: Array) -> Array:
        """Return the derivative of every component at mixtures (n, D), (K, n, D)."""
        if len(mixtures) == 1:
            return self._once("both", mixtures, lambda: self._both(mixtures))[:, None, 1:]
        return self._once(
            "gradient", mixtures, lambda: [one.gradient(mixtures) for one in self.members]
        )

    def sample(self, mixtures: Array, normals: Array) -> Array:
        """Draw every component at mixtures (n, D), each from numbers of its own, (K, B, n)."""
        shift = max(len(normals) // (len(self.members) + 1), 1)
        return self._once(
            "sample",
            np.vstack([mixtures.T, normals]),
            lambda: [
                one.sample(mixtures, np.roll(normals, k * shift, axis=0))
                for k, one in enumerate(self.members)
            ],
        )

    def _both(self, mixture: Array) -> Array:
        """Return value and derivative of every component at a mixture (1, D), (K, 1 + D).

        A search asks for one mixture at a time. Members differ by their lengths alone, so that one
        product gives the distances of all.
        """
        first = self.members[0]
        away = first.place(mixture) - first.placed
        bent = np.sqrt(3 * (away**2 @ self._narrow))
        decay = self._signals * np.exp(-bent)
        targets = ((MEAN + (1 + bent) * decay) * self._solutions).sum(axis=0)
        by_place = (away.T @ (-3 * decay * self._solutions) * self._narrow).T
        slope = first.coordinate_slope(mixture, first.shift)[0] / first.width
        found = np.empty((len(self.members), 1 + mixture.shape[1]))
        for row, one, target, own in zip(found, self.members, targets, by_place, strict=True):
            row[0] = one.unscale(target[None])[0]
            row[1:] = one.stretch(target[None])[0] * own * slope
        return found

    def _once(
        self, what: str, asked: Array, answer: Callable[[], Sequence[Array] | Array]
    ) -> Array:
        key = np.ascontiguousarray(asked).tobytes()
        known = self._known.get(what)
        if known is None or known[0] != key:
            known = self._known[what] = (key, np.asarray(answer()))
        return known[1]

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the members as values that JSON can hold."""
        return [member.to_plain() for member in self.members]

    @classmethod
    def from_plain(cls, plain: Sequence[Mapping[str, Any]]) -> Basis:
        """Build a basis from what `to_plain` returned."""
        return cls([FittedGpSqrt.from_plain(member) for member in plain])


@dataclass(frozen=True)
class FittedComponents(FittedLaw):
    """One metric as a sum of components.

    Attributes:
        basis: the components.
        intercept: value where all components are 0.
        loadings: (K,) what a unit of each component adds.
    """

    name: ClassVar[str] = COMPONENTS
    convex: ClassVar[bool] = False

    basis: Basis
    intercept: float
    loadings: Array

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        return np.asarray(self.intercept + self.loadings @ self.basis.predict(array))

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        return np.asarray(np.tensordot(self.loadings, self.basis.gradient(array), axes=1))

    def sample(self, mixtures: Array, normals: Array) -> Array:
        """Draw from the posterior at mixtures (n, D), noise of runs left out, (B, n)."""
        drawn = self.basis.sample(mixtures, normals)
        return np.asarray(self.intercept + np.tensordot(self.loadings, drawn, axes=1))

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        return {
            "law": self.name,
            "intercept": self.intercept,
            "loadings": self.loadings.tolist(),
            "basis": self.basis.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FittedComponents:
        """Build the law from what `to_plain` returned; `basis` may be a `Basis` too."""
        basis = plain["basis"]
        return cls(
            basis if isinstance(basis, Basis) else Basis.from_plain(basis),
            float(plain["intercept"]),
            np.asarray(plain["loadings"], dtype=np.float64),
        )


def fit_components(
    mixtures: Array,
    values: Array,
    row_weights: Array,
    start: FittedComponents | None = None,
) -> list[FittedComponents]:
    """Fit the components of many metrics.

    Args:
        mixtures: (n, D) mixtures that all metrics were measured at.
        values: (M, n) measured values, lower is better.
        row_weights: (M, n) runs behind each, above 0.
        start: a fit to most of the same rows: fewer steps are taken then.

    Returns:
        the law of each metric; all share one basis.
    """
    own = row_weights.mean(axis=0)
    centre = np.average(values, axis=1, weights=own)
    scale = np.sqrt(np.average((values - centre[:, None]) ** 2, axis=1, weights=own))
    scale = np.where(scale > 0, scale, 1.0)
    standard = (values - centre[:, None]) / scale[:, None]
    left, _, _ = np.linalg.svd(standard * np.sqrt(own), full_matrices=False)
    directions = left[:, : min(NUM_COMPONENTS, left.shape[1])]
    scores = directions.T @ standard
    law = GpSqrt()
    begin = None if start is None else start.basis.members[0]
    fitted = [law.fit_one(mixtures, score, own, begin) for score in scores]
    basis = Basis([one for one in fitted if isinstance(one, FittedGaussianProcess)])
    return [
        FittedComponents(basis, float(middle), spread * row)
        for middle, spread, row in zip(centre, scale, directions, strict=True)
    ]
