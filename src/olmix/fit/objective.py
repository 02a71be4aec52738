"""What a proposal minimises.

    F(x) = sum_m v_m f_m(x)  +  kl_reg * s * KL(x || reference),      sum_m v_m = 1

with the law ``f_m`` of each metric (less is better; signs are turned where more is) and its weight
``v_m``. `s` is the standard deviation of the average over the swarm's mixtures: `kl_reg` is a
number without unit, and 0.05 means that a mixture with a KL of 1 must gain a twentieth of the
swarm's spread to be worth it. The reference is the prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from olmix.fit.law import FittedLaw
from olmix.simplex import Array

__all__ = ["Objective"]

_TINY = 1e-300


@dataclass(frozen=True)
class Objective:
    """A weighted sum of laws and the divergence from a reference mixture.

    Attributes:
        laws: laws with a weight above 0.
        weights: their weights; negative ones look for the worst mixture.
        kl_weight: weight of the divergence, in units of the average.
        reference: (D,) reference mixture.
    """

    laws: Sequence[FittedLaw]
    weights: Array
    kl_weight: float
    reference: Array

    @property
    def convex(self) -> bool:
        """Whether every local minimum is the global one."""
        return all(law.convex for law in self.laws) and bool((self.weights >= 0).all())

    def average(self, mixtures: Array) -> Array:
        """Return the weighted sum of the laws at mixtures (n, D), (n,)."""
        parts = [w * law.predict(mixtures) for w, law in zip(self.weights, self.laws, strict=True)]
        return np.asarray(np.sum(parts, axis=0)) if parts else np.zeros(len(mixtures))

    def value(self, mixtures: Array) -> Array:
        """Return the objective at mixtures (n, D), (n,)."""
        ratio = np.log(np.maximum(mixtures, _TINY) / np.maximum(self.reference, _TINY))
        divergence = np.where(mixtures > 0, mixtures * ratio, 0.0).sum(axis=1)
        return np.asarray(self.average(mixtures) + self.kl_weight * divergence)

    def gradient(self, mixtures: Array) -> Array:
        """Return the derivative of the objective by each weight, (n, D)."""
        total = np.zeros_like(mixtures)
        for weight, law in zip(self.weights, self.laws, strict=True):
            total += weight * law.gradient(mixtures)
        if self.kl_weight > 0:
            ratio = np.maximum(mixtures, _TINY) / np.maximum(self.reference, _TINY)
            total += self.kl_weight * (np.log(ratio) + 1)
        return total
