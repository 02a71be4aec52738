"""The log-weight law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from olmix.fit.exponential import DELTA, RIDGES, ExponentialLaw, FittedExponential
from olmix.simplex import Array

__all__ = ["FittedLogWeight", "LogWeight"]

EPSILONS = (0.003, 0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True)
class FittedLogWeight(FittedExponential):
    """``y = offset + exp(intercept + slopes . log(x + eps))``.

    Attributes:
        eps: what is added to every weight before the logarithm.
    """

    eps: float

    name: ClassVar[str] = "log_weight"
    convex: ClassVar[bool] = False

    def features(self, mixtures: Array) -> Array:
        """Return the logarithms of the weights, (n, D)."""
        return np.asarray(np.log(mixtures + self.eps))

    def feature_slope(self, mixtures: Array) -> Array:
        """Return the derivative of the logarithms, (n, D)."""
        return np.asarray(1 / (mixtures + self.eps))


class LogWeight(ExponentialLaw):
    """Fits the log-weight law."""

    name: ClassVar[str] = "log_weight"
    convex: ClassVar[bool] = False
    fitted: ClassVar[type[FittedExponential]] = FittedLogWeight

    def __init__(
        self,
        ridges: Sequence[float] = RIDGES,
        delta: float = DELTA,
        epsilons: Sequence[float] = EPSILONS,
    ) -> None:
        super().__init__(ridges, delta)
        self.epsilons = tuple(epsilons)

    def candidates(self) -> list[dict[str, float]]:
        """Return the values of `eps` that are compared."""
        return [{"eps": eps} for eps in self.epsilons]

    def design(self, mixtures: Array, setting: Mapping[str, float]) -> Array:
        """Return the logarithms of the weights, (n, D)."""
        return np.asarray(np.log(mixtures + setting["eps"]))
