"""Fitting laws of the form ``y = c + exp(a + b . phi(x))``, with a shrinkage chosen by leaving out.

Swarms are small: with 36 runs and 7 domains the plain fit has 9 parameters and its slopes are mostly
noise. Both laws therefore carry a ridge on their slopes (in units of the metric, see `solver`). Its
strength, and the `eps` of the log-weight law, are those with the smallest leave-one-out error. That
error needs no refitting: at the solution ``r_i / (1 - h_ii)`` is the residual of the fit without row
``i``, to first order (Allen's PRESS; exact where the law is linear), with ``h`` the hat matrix of the
last weighted least squares.

Rows are unique mixtures (replicates are averaged before), so that leaving one row out leaves out
every run of that mixture.

Legend: ``P`` problems, ``S`` settings, ``G`` designs, ``n`` rows, ``D`` domains, ``p`` features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from olmix.fit.law import FittedLaw, Law
from olmix.fit.solver import Curves, Problems, concatenate, hat_diagonal, huber, solve
from olmix.simplex import Array

__all__ = ["ExponentialLaw", "FittedExponential"]

RIDGES = (1e-9, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
"""Strengths of the ridge that are tried, relative to the mean variance of the features."""
SEARCH_STEPS = 12
"""Steps of the solver while settings are compared; the chosen one is solved to the end."""
DELTA = 0.02
"""Where the Huber loss turns linear, in units of the metric; as RegMix and Olmix have it."""


@dataclass(frozen=True)
class FittedExponential(FittedLaw):
    """``y = offset + exp(intercept + slopes . phi(x))``.

    Attributes:
        offset: `c`.
        intercept: `a`.
        slopes: (D,) `b`.
        ridge: strength of the ridge that was chosen, relative to the features' variance.
    """

    offset: float
    intercept: float
    slopes: Array
    ridge: float

    @abstractmethod
    def features(self, mixtures: Array) -> Array:
        """Return `phi`, (n, D)."""

    @abstractmethod
    def feature_slope(self, mixtures: Array) -> Array:
        """Return the derivative of each feature by its own weight, (n, D)."""

    def _rise(self, mixtures: Array) -> Array:
        return np.asarray(np.exp(self.intercept + self.features(mixtures) @ self.slopes))

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        return self.offset + self._rise(np.atleast_2d(np.asarray(mixtures, dtype=np.float64)))

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        return self._rise(array)[:, None] * self.slopes * self.feature_slope(array)
