"""A law of small models carried over to larger ones: one linear map per metric.

    y_large(x) = level + slope (f_small(x) - middle) + r(x)

The law `f_small` gives the shape; a few larger runs give `level` and `slope`. With so few runs a
slope of one metric alone is poorly known, so it is pulled towards the median of all metrics, the
more so the less its own runs say (empirical Bayes: the spread of the true slopes is the one with
the greatest marginal likelihood). `r`, a Gaussian process of what the map leaves over, pays only
from some dozens of larger runs on.

Legend: ``n`` mixtures, ``D`` domains, ``M`` metrics, ``k`` larger runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmix.laws.law import FittedLaw
from olmix.laws.stack import FittedAverage, parts_of
from olmix.simplex import Array

__all__ = ["SCALED", "FittedScaled", "ScaleMaps", "additive_parts", "fit_maps"]

SCALED = "scaled"
_POOLED_FREEDOM = 4
"""Degrees of freedom that the noise of the other metrics adds to that of one."""
_SPREADS = np.geomspace(1e-4, 1.0, 61)
"""Variances of the slopes that are tried, in units of the squared median slope."""
_TINY = 1e-300


@dataclass(frozen=True)
class ScaleMaps:
    """The maps of all metrics from a small scale to a larger one.

    Attributes:
        slopes: (M,) change of the large metric by that of the small one, shrunk; NaN only where no
            metric has a map.
        errors: (M,) standard deviation of each slope.
        own_slopes: (M,) slopes by least squares alone; NaN for a metric without a map.
        middles: (M,) mean prediction of the small scale over the larger runs.
        levels: (M,) mean of the metric over these; NaN for a metric without a map.
    """

    slopes: Array
    errors: Array
    own_slopes: Array
    middles: Array
    levels: Array

    def apply(self, small: Array) -> Array:
        """Return the large metrics from the small ones, (n, M) each; NaN without a map."""
        return np.asarray(self.levels + self.slopes * (small - self.middles))


def fit_maps(small: Array, large: Array) -> ScaleMaps:
    """Fit one linear map per metric.

    Args:
        small: (k, M) predictions of the small scale at the mixtures of the larger runs.
        large: (k, M) what these measured; NaN where nothing was. A metric with fewer than two
            different predictions gets the median slope.
    """
    seen = np.isfinite(large)
    count = seen.sum(axis=0)
    some = np.maximum(count, 1)
    middles = np.where(seen, small, 0.0).sum(axis=0) / some
    levels = np.where(count > 0, np.where(seen, large, 0.0).sum(axis=0) / some, np.nan)
    u = np.where(seen, small - middles, 0.0)
    z = np.where(seen, large - levels, 0.0)
    squares = (u**2).sum(axis=0)
    known = squares > _TINY
    own = np.full(large.shape[1], np.nan)
    own[known] = (u * z).sum(axis=0)[known] / squares[known]
    variances = _slope_variances(u, z, own, squares, count, known)
    slopes, errors = _shrink(own, variances, known)
    return ScaleMaps(slopes, errors, own, middles, levels)


def _slope_variances(
    u: Array,
    z: Array,
    own: Array,
    squares: Array,
    count: Array,
    known: NDArray[np.bool_],
) -> Array:
    """Return the sampling variance of each slope, with the noise of all metrics for company.

    The noise is taken relative to the spread of the predictions, in which metrics are alike.
    """
    left = ((z - u * np.where(known, own, 0.0)) ** 2).sum(axis=0)
    freedom = np.maximum(count - 2, 0)
    relative = left / np.maximum(squares / np.maximum(count, 1), _TINY)
    usable = np.asarray(known & (freedom > 0), dtype=bool)
    if not usable.any():
        return np.full(len(own), np.inf)
    pooled = float((relative[usable] / freedom[usable]).mean())
    noise = (_POOLED_FREEDOM * pooled + relative) / (_POOLED_FREEDOM + freedom)
    return np.asarray(np.where(known, noise / np.maximum(count, 1), np.inf))


def _shrink(own: Array, variances: Array, known: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return slopes pulled to their median, with their standard deviations, (M,) each."""
    if not known.any():
        return np.full(len(own), np.nan), np.full(len(own), np.nan)
    centre = float(np.median(own[known]))
    usable = known & np.isfinite(variances)
    if usable.sum() < 2:  # nothing tells how slopes differ: a single one stays as it is
        return np.where(known, own, centre), np.sqrt(np.where(usable, variances, 0.0))
    tried = _SPREADS[:, None] * max(centre**2, _TINY)
    total = tried + variances[usable]
    likelihood = -0.5 * (np.log(total) + (own[usable] - centre) ** 2 / total).sum(axis=1)
    between = float(tried[int(likelihood.argmax()), 0])
    trust = np.where(usable, between / (between + np.where(usable, variances, 1.0)), 0.0)
    slopes = trust * np.where(known, own, centre) + (1 - trust) * centre
    return slopes, np.sqrt(between * (1 - trust))


@dataclass(frozen=True)
class FittedScaled(FittedLaw):
    """A law of small models, mapped to larger ones.

    Attributes:
        small: the law of the small models.
        slope: change of the large metric by that of the small one.
        intercept: the large metric where the small one is 0.
        residual: what the map leaves over, by the mixture; `None` for none.
    """

    name: ClassVar[str] = SCALED
    convex: ClassVar[bool] = False

    small: FittedLaw
    slope: float
    intercept: float
    residual: FittedLaw | None = None

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        """Whether the law of the small models has a slope to follow."""
        return self.small.smooth

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        mapped = self.intercept + self.slope * self.small.predict(mixtures)
        return mapped if self.residual is None else mapped + self.residual.predict(mixtures)

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        mapped = self.slope * self.small.gradient(mixtures)
        return mapped if self.residual is None else mapped + self.residual.gradient(mixtures)

    def to_plain(self) -> dict[str, Any]:
        """Return the map and the residual's parameters; the small law stands beside it."""
        residual = None if self.residual is None else self.residual.to_plain()
        return {"slope": self.slope, "intercept": self.intercept, "residual": residual}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FittedScaled:
        """Refuse: it is built around the law of the small models, which the map does not hold."""
        raise TypeError(
            f"a law for larger models is built around one for small models, not {sorted(plain)}"
        )


def additive_parts(law: FittedLaw) -> list[tuple[FittedLaw, float]]:
    """Return laws and factors whose sum differs from a law by a constant at most.

    This lets a sum of convex laws be recognised as convex. Stacks stay whole: they are fitted as
    one law.
    """
    if isinstance(law, FittedScaled):
        rest = [] if law.residual is None else [(law.residual, 1.0)]
        return [(part, law.slope * factor) for part, factor in additive_parts(law.small)] + rest
    return parts_of(law) if isinstance(law, FittedAverage) else [(law, 1.0)]
