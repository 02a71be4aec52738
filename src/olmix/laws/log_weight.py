"""The log-weight law ``y = c + exp(a + b . log(x + eps))``.

A power law in every weight, ``y = c + e^a * prod_d (x_d + eps)^(b_d)``: the first tokens of a
domain help most and more of them less and less, as power laws in the number of tokens say (Kaplan
et al. 2020; AutoScale and BiMix use sums of such terms, Kang et al. 2024, Ge et al. 2024). Where
several domains help (``b_d < 0``), the best mixture for one metric is inside the simplex, with
weights ``x_d + eps`` in proportion to ``-b_d``; the log-linear law could only answer with a vertex.

How it differs from those: one product in place of a sum, so that the number of parameters stays at
the number of domains + 2; ``eps`` (in place of a pseudo-count of tokens) keeps weights of 0 finite.
It is taken from a short list by leave-one-out error, as the ridge on the slopes is (`exponential`).

The law is not convex where a ``b_d`` is positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from olmix.laws.exponential import RIDGES, ExponentialLaw, FittedExponential
from olmix.simplex import Array

__all__ = ["FittedLogWeight", "LogWeight"]

EPSILONS = (0.01, 0.03, 0.1)
"""Few values, far apart: a longer list lost more to the noise of choosing than it won in fit."""


@dataclass(frozen=True)
class FittedLogWeight(FittedExponential):
    """``y = offset + exp(intercept + slopes . log(x + eps))``.

    Attributes:
        eps: what is added to every weight before the logarithm.
    """

    eps: float

    name: ClassVar[str] = "log_weight"
    convex: ClassVar[bool] = False

    @property
    def setting(self) -> dict[str, float]:
        """The value of `eps`."""
        return {"eps": self.eps}

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
    reach = 1.0

    def __init__(
        self,
        ridges: Sequence[float] = RIDGES,
        delta: float | None = None,
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
