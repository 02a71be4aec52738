"""The function that a proposer minimises.

    F(x) = sum_m v_m f_m(x) + kl_reg s KL(x || reference) + risk sd(x),      sum_m v_m = 1
    where  f_j(x) <= f_j(prior) + floor_j  for metrics with a floor

with the law ``f_m`` of each metric (less is better; signs are turned where more is) and its weight
``v_m``. `s` is the standard deviation of the average over the swarm's mixtures: `kl_reg` is a
number without unit, and 0.05 means that a mixture with a KL of 1 must gain a twentieth of the
swarm's spread to be worth it. The reference is the prior. ``sd`` is the calibrated error of a
prediction, ``base + slope d(x)`` with `d` the Hellinger distance from the nearest run
(`calibration`): it is measured on runs left out, so where errors do not grow with the distance,
`risk` changes nothing.

Legend: ``n`` mixtures, ``D`` domains, ``U`` mixtures that were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from olmix.laws.law import FittedLaw
from olmix.simplex import Array, hellinger

__all__ = ["MetricFloor", "ProposerObjective", "Risk"]

_TINY = 1e-300
_NEAR = 1e-4
"""Distance below which the cone that a run is in the error has no slope."""


@dataclass(frozen=True)
class Risk:
    """The error of a prediction, which grows with the distance from the nearest run.

    Attributes:
        mixtures: (U, D) mixtures that were trained.
        base: error at one of them, times the number of standard errors that count.
        slope: what a Hellinger distance of 1 adds to it.
    """

    mixtures: Array
    base: float
    slope: float

    def value(self, mixtures: Array) -> Array:
        """Return the error at mixtures (n, D), (n,)."""
        nearest = hellinger(mixtures, self.mixtures).min(axis=1)
        return np.asarray(self.base + self.slope * nearest)

    def gradient(self, mixtures: Array) -> Array:
        """Return the derivative of the error by each weight, (n, D)."""
        distances = hellinger(mixtures, self.mixtures)
        nearest = self.mixtures[distances.argmin(axis=1)]
        distance = np.maximum(distances.min(axis=1), _NEAR)[:, None]
        ratio = np.sqrt(nearest / np.maximum(mixtures, _TINY))
        return np.asarray(-0.25 * self.slope / distance * ratio)


@dataclass(frozen=True)
class MetricFloor:
    """A limit on one metric: the mixture must not be predicted to be worse than this.

    Attributes:
        name: the metric.
        law: its law, less is better.
        bound: largest prediction that is allowed.
        scale: standard deviation of the metric over the swarm.
    """

    name: str
    law: FittedLaw
    bound: float
    scale: float

    def excess(self, mixtures: Array) -> Array:
        """Return by how many standard deviations mixtures (n, D) miss it, (n,); 0 if none."""
        over = (self.law.predict(mixtures) - self.bound) / self.scale
        return np.asarray(np.maximum(over, 0.0))


@dataclass(frozen=True)
class ProposerObjective:
    """A weighted sum of laws, the divergence from a reference mixture, and the risk.

    Attributes:
        laws: laws with a weight above 0.
        metric_weights: their weights; negative ones look for the worst mixture.
        kl_weight: weight of the divergence, in units of the average.
        reference: (D,) reference mixture.
        risk: error that is added, if any.
        floors: limits on single metrics.
        penalty: weight of the squared excess over the floors, in units of the average.
    """

    laws: Sequence[FittedLaw]
    metric_weights: Array
    kl_weight: float
    reference: Array
    risk: Risk | None = None
    floors: tuple[MetricFloor, ...] = ()
    penalty: float = 0.0

    @property
    def convex(self) -> bool:
        """Whether every local minimum is the global one."""
        laws = [*self.laws, *(floor.law for floor in self.floors)]
        return (
            all(law.convex for law in laws)
            and bool((self.metric_weights >= 0).all())
            and (self.risk is None or self.risk.slope == 0)
        )

    def average(self, mixtures: Array) -> Array:
        """Return the weighted sum of the laws at mixtures (n, D), (n,)."""
        parts = [
            w * law.predict(mixtures) for w, law in zip(self.metric_weights, self.laws, strict=True)
        ]
        return np.asarray(np.sum(parts, axis=0)) if parts else np.zeros(len(mixtures))

    def excess(self, mixtures: Array) -> Array:
        """Return the largest excess over a floor at mixtures (n, D), in its spread, (n,)."""
        parts = [floor.excess(mixtures) for floor in self.floors]
        return np.max(parts, axis=0) if parts else np.zeros(len(mixtures))

    def value(self, mixtures: Array) -> Array:
        """Return the objective at mixtures (n, D), (n,)."""
        total = self.average(mixtures)
        if self.kl_weight > 0:
            ratio = np.log(np.maximum(mixtures, _TINY) / np.maximum(self.reference, _TINY))
            total += self.kl_weight * np.where(mixtures > 0, mixtures * ratio, 0.0).sum(axis=1)
        if self.risk is not None:
            total += self.risk.value(mixtures)
        if self.penalty > 0:
            for floor in self.floors:
                total += self.penalty * floor.excess(mixtures) ** 2
        return np.asarray(total)

    def gradient(self, mixtures: Array) -> Array:
        """Return the derivative of the objective by each weight, (n, D)."""
        total = np.zeros_like(mixtures)
        for weight, law in zip(self.metric_weights, self.laws, strict=True):
            total += weight * law.gradient(mixtures)
        if self.kl_weight > 0:
            ratio = np.maximum(mixtures, _TINY) / np.maximum(self.reference, _TINY)
            total += self.kl_weight * (np.log(ratio) + 1)
        if self.risk is not None:
            total += self.risk.gradient(mixtures)
        if self.penalty > 0:
            for floor in self.floors:
                steep = 2 * self.penalty * floor.excess(mixtures) / floor.scale
                total += steep[:, None] * floor.law.gradient(mixtures)
        return total
