"""The log-linear law ``y = exp(c) + exp(t . x)``.

Ye et al., "Data Mixing Laws" (ICLR 2025, arXiv:2403.16952), equation 7; Olmix and RegMix compare
against it. Each domain pulls the reducible part of the loss by a constant factor per unit of
weight.

How it differs from the paper: the slopes carry a ridge whose strength is chosen by leave-one-out
error (`exponential`); the offset ``exp(c)`` may be 0 and, where a metric has negative values, below
it; it stays below 30 % of the way from the mean to the best run, without which some fits explode.
The loss is the same Huber loss with delta 0.02 (less where a metric varies by less), minimised from
closed-form starts by damped Gauss-Newton in place of random restarts.

The law is convex in ``x``, so its best mixture can be found exactly. It is also monotone along
every line of the simplex up to that line's one turn at infinity: for one metric alone the best
mixture is always a vertex of what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from olmix.laws.exponential import PAPER_DELTA, RIDGES, ExponentialLaw, FittedExponential
from olmix.simplex import Array

__all__ = ["FittedLogLinear", "LogLinear"]


@dataclass(frozen=True)
class FittedLogLinear(FittedExponential):
    """``y = offset + exp(intercept + slopes . x)``; as x sums to 1, ``t = intercept + slopes``."""

    name: ClassVar[str] = "log_linear"
    convex: ClassVar[bool] = True

    def features(self, mixtures: Array) -> Array:
        """Return the weights themselves, (n, D)."""
        return mixtures

    def feature_slope(self, mixtures: Array) -> Array:
        """Return ones, (n, D)."""
        return np.ones_like(mixtures)


class LogLinear(ExponentialLaw):
    """Fits the log-linear law."""

    name: ClassVar[str] = "log_linear"
    convex: ClassVar[bool] = True
    fitted: ClassVar[type[FittedExponential]] = FittedLogLinear
    reach = 0.3
    thorough: ClassVar[bool] = True

    def __init__(self, ridges: Sequence[float] = RIDGES, delta: float | None = PAPER_DELTA) -> None:
        super().__init__(ridges, delta)

    def candidates(self) -> list[dict[str, float]]:
        """Return the one setting: there is nothing to choose."""
        return [{}]

    def design(self, mixtures: Array, setting: Mapping[str, float]) -> Array:  # noqa: ARG002
        """Return the weights, (n, D)."""
        return mixtures
