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
from dataclasses import dataclass, fields
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

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"law": self.name, **plain, "slopes": self.slopes.tolist()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build the law from what `to_plain` returned."""
        given = {field.name: plain[field.name] for field in fields(cls)}
        return cls(**{**given, "slopes": np.asarray(plain["slopes"], dtype=np.float64)})


class ExponentialLaw(Law):
    """Fits laws of this form; a law adds its features.

    Args:
        ridges: strengths of the ridge to choose from.
        delta: where the Huber loss turns linear, in units of the metric.
    """

    fitted: ClassVar[type[FittedExponential]]

    def __init__(self, ridges: Sequence[float] = RIDGES, delta: float = DELTA) -> None:
        self.ridges = tuple(ridges)
        self.delta = delta

    @abstractmethod
    def candidates(self) -> list[dict[str, float]]:
        """Return the settings of the features that are compared, such as values of `eps`."""

    @abstractmethod
    def design(self, mixtures: Array, setting: Mapping[str, float]) -> Array:
        """Return the features of a setting, (n, D)."""

    def fit_many(self, mixtures: Array, values: Array, weights: Array) -> list[FittedLaw]:
        """Fit a batch of problems, choosing the settings of each by leave-one-out error."""
        settings = self.candidates()
        phi = np.stack([self.design(mixtures, setting) for setting in settings])
        middle = phi.mean(axis=1)
        designs = phi - middle[:, None, :]
        unit = designs.var(axis=1).mean(axis=1)
        pairs = [(g, ridge) for g in range(len(settings)) for ridge in self.ridges]
        design = np.array([g for g, _ in pairs])
        ridge = np.array([strength for _, strength in pairs])
        searched = self._problems(
            designs,
            np.tile(design, len(values)),
            np.repeat(values, len(pairs), axis=0),
            np.repeat(weights, len(pairs), axis=0),
            np.tile(ridge * unit[design], len(values)),
        )
        found = solve(searched, max_steps=SEARCH_STEPS)
        score = left_out_error(searched, found).reshape(len(values), len(pairs))
        chosen = score.argmin(axis=1)
        index = np.arange(len(values)) * len(pairs) + chosen
        final = solve(searched.take(index), start=found.take(index))
        return [
            self._build(final, i, middle[design[pick]], settings[design[pick]], ridge[pick])
            for i, pick in enumerate(chosen)
        ]

    def _problems(
        self, designs: Array, design: Any, values: Array, weights: Array, ridge: Array
    ) -> Problems:
        live = weights > 0
        lowest = np.where(np.where(live, values, np.inf).min(axis=1) > 0, 0.0, -np.inf)
        d = np.full(len(values), self.delta)
        if self.delta < 0:
            y = np.where(live, values, np.nan)
            q = np.nanpercentile(y, [25, 75], axis=1)
            d = np.maximum(0.02, -self.delta * (q[1] - q[0]) / 1.349)
        return Problems(designs, design, values, weights, ridge, d, lowest)

    def _build(
        self, curves: Curves, i: int, middle: Array, setting: Mapping[str, float], ridge: float
    ) -> FittedExponential:
        """Write a solution of the solver as the law's own parameters."""
        k = float(curves.curvature[i])
        slopes = k * curves.beta[i]
        intercept = k * float(curves.alpha[i]) - float(np.log(k)) - float(slopes @ middle)
        return self.fitted(
            offset=float(curves.offset[i]),
            intercept=intercept,
            slopes=slopes,
            ridge=float(ridge),
            **setting,
        )


def left_out_error(problems: Problems, curves: Curves) -> Array:
    """Return the mean Huber loss of the leave-one-out residuals, (P,)."""
    residuals, leverage = hat_diagonal(problems, curves)
    left_out = residuals / np.maximum(1 - leverage, 0.02)
    loss = problems.weights * huber(left_out, problems.delta[:, None])
    return np.asarray(loss.sum(axis=1) / problems.weights.sum(axis=1))
