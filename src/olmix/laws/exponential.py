"""Fitting laws of the form ``y = c + exp(a + b . phi(x))``, with a shrinkage chosen by leaving out.

Swarms are small: with 36 runs and 7 domains the plain fit has 9 parameters and its slopes are
mostly noise. Both laws therefore carry a ridge on their slopes (in units of the metric, see
`solver`). Its strength, and the `eps` of the log-weight law, are those with the smallest
leave-one-out error. That error needs no refitting: at the solution ``r_i / (1 - h_ii)`` is the
residual of the fit without row ``i``, to first order (Allen's PRESS; exact where the law is
linear), with ``h`` the hat matrix of the last weighted least squares.

Rows are unique mixtures (replicates are averaged before), so that leaving one row out leaves out
every run of that mixture.

Legend: ``P`` problems, ``S`` settings, ``G`` designs, ``n`` rows, ``D`` domains, ``p`` features.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmix.laws.law import FittedLaw, Law, rows_for_settings
from olmix.laws.solver import Curves, Problems, hat_diagonal, huber, mean_value, solve
from olmix.simplex import Array

__all__ = ["PAPER_DELTA", "RIDGES", "ExponentialLaw", "FittedExponential"]

RIDGES = (1e-9, 1e-2, 0.1, 1.0, 10.0)
"""Strengths of the ridge that are tried, relative to the mean variance of the features."""
SEARCH_STEPS = 12
"""Steps of the solver while settings are compared; the chosen one is solved to the end."""
REFIT_STEPS = 12
"""Steps of the solver from one fit to that of a resampled swarm."""
_BEYOND = 0.5
_BEYOND_TRUSTED = 3.0
"""How far above the worst run a prediction may lie, as a share of the range of the runs: always,
and what is added where runs left out are predicted exactly. An exponential of slopes that few runs
determine would reach any number."""
PAPER_DELTA = 0.02
"""Where the Huber loss of RegMix and Olmix turns linear, in units of the metric."""


@dataclass(frozen=True)
class FittedExponential(FittedLaw):
    """``y = offset + exp(intercept + slopes . phi(x))``.

    Attributes:
        offset: `c`.
        intercept: `a`.
        slopes: (D,) `b`.
        ridge: strength of the ridge that was chosen, relative to the features' variance.
        most: largest rise above the offset that the runs support; the law is flat beyond it.
    """

    offset: float
    intercept: float
    slopes: Array
    ridge: float
    most: float = field(default=math.inf, kw_only=True)

    @abstractmethod
    def features(self, mixtures: Array) -> Array:
        """Return `phi`, (n, D)."""

    @abstractmethod
    def feature_slope(self, mixtures: Array) -> Array:
        """Return the derivative of each feature by its own weight, (n, D)."""

    @property
    def setting(self) -> dict[str, float]:
        """The settings of the features, such as `eps`."""
        return {}

    def _rise(self, mixtures: Array) -> Array:
        power = self.intercept + self.features(mixtures) @ self.slopes
        return np.asarray(np.exp(np.minimum(power, np.log(self.most))))

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        return self.offset + self._rise(np.atleast_2d(np.asarray(mixtures, dtype=np.float64)))

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        rise = self._rise(array)
        rise = np.where(rise < self.most, rise, 0.0)
        return rise[:, None] * self.slopes * self.feature_slope(array)

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        most = self.most if math.isfinite(self.most) else None
        return {"law": self.name, **plain, "slopes": self.slopes.tolist(), "most": most}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build the law from what `to_plain` returned."""
        names = [field.name for field in fields(cls) if field.name != "most"]
        given = {name: plain[name] for name in names}
        most = plain.get("most")
        given["most"] = math.inf if most is None else float(most)
        return cls(**{**given, "slopes": np.asarray(plain["slopes"], dtype=np.float64)})


class ExponentialLaw(Law):
    """Fits laws of this form; a law adds its features.

    Args:
        ridges: strengths of the ridge to choose from.
        delta: where the Huber loss turns linear, in units of the metric; by default half the robust
            standard deviation of the metric. The 0.02 of the papers (`PAPER_DELTA`) makes the loss
            nearly an absolute one for most metrics; it ranked held-out runs worse on all three
            swarms that we tried.
    """

    fitted: ClassVar[type[FittedExponential]]
    thorough: ClassVar[bool] = False
    """Whether the fit to all runs starts from everywhere, see `solver.solve`."""
    reach: float
    """How close the offset may come to the best run, see `solver.Problems`."""

    def __init__(self, ridges: Sequence[float] = RIDGES, delta: float | None = None) -> None:
        self.ridges = tuple(ridges)
        self.delta = delta

    @abstractmethod
    def candidates(self) -> list[dict[str, float]]:
        """Return the settings of the features that are compared, such as values of `eps`."""

    @abstractmethod
    def design(self, mixtures: Array, setting: Mapping[str, float]) -> Array:
        """Return the features of a setting, (n, D)."""

    def fit_many(
        self,
        mixtures: Array,
        values: Array,
        row_weights: Array,
        start: Sequence[FittedLaw] | None = None,
    ) -> list[FittedLaw]:
        """Fit a batch of problems, choosing the settings of each by leave-one-out error."""
        settings = self.candidates()
        phi = np.stack([self.design(mixtures, setting) for setting in settings])
        middle = phi.mean(axis=1)
        designs = phi - middle[:, None, :]
        unit = designs.var(axis=1).mean(axis=1)
        pairs = [(g, ridge) for g in range(len(settings)) for ridge in self.ridges]
        units = _units(values, row_weights)
        design = np.array([g for g, _ in pairs])
        ridge = np.array([strength for _, strength in pairs])
        some = rows_for_settings(len(mixtures), int((row_weights > 0).sum(axis=1).min()))
        rows = np.arange(len(mixtures)) if some is None else some
        searched = self._problems(
            designs[:, rows],
            np.tile(design, len(values)),
            np.repeat(values[:, rows], len(pairs), axis=0),
            np.repeat(row_weights[:, rows], len(pairs), axis=0),
            np.tile(ridge * unit[design], len(values)),
            np.repeat(units, len(pairs)),
        )
        found = solve(searched, max_steps=SEARCH_STEPS)
        score = left_out_error(searched, found).reshape(len(values), len(pairs))
        chosen = score.argmin(axis=1)
        index = np.arange(len(values)) * len(pairs) + chosen
        thorough = self.thorough and start is None
        problems, begin = searched.take(index), found.take(index)
        if some is not None:
            strength = (ridge * unit[design])[chosen]
            problems = self._problems(designs, design[chosen], values, row_weights, strength, units)
            begin = replace(begin, mu=mean_value(problems))
        ends = solve(problems, start=begin, thorough=thorough)
        final, top = _in_units(ends, units), _highest(values, row_weights, _trust(problems, ends))
        return [
            self._build(final, i, middle[design[pick]], settings[design[pick]], ridge[pick], top[i])
            for i, pick in enumerate(chosen)
        ]

    def refit_many(
        self, fitted: Sequence[FittedLaw], mixtures: Array, values: Array, row_weights: Array
    ) -> list[FittedLaw]:
        """Fit again to other weights, keeping settings and starting from `fitted` (one each)."""
        laws = [law for law in fitted if isinstance(law, FittedExponential)]
        settings = self.candidates()
        phi = np.stack([self.design(mixtures, setting) for setting in settings])
        middle = phi.mean(axis=1)
        designs = phi - middle[:, None, :]
        unit = designs.var(axis=1).mean(axis=1)
        design = np.array([settings.index(law.setting) for law in laws])
        ridge = np.array([law.ridge for law in laws])
        units = _units(values, row_weights)
        problems = self._problems(designs, design, values, row_weights, ridge * unit[design], units)
        start = _as_curves(laws, middle[design], mean_value(problems) * units)
        start = _in_units(start, 1 / units)
        found = _in_units(solve(problems, start=start, max_steps=REFIT_STEPS), units)
        top = [law.offset + law.most for law in laws]
        return [
            self._build(found, i, middle[design[i]], settings[design[i]], law.ridge, top[i])
            for i, law in enumerate(laws)
        ]

    def _problems(
        self,
        designs: Array,
        design: NDArray[np.intp],
        values: Array,
        row_weights: Array,
        ridge: Array,
        units: Array,
    ) -> Problems:
        """Set up problems in which values count in `units` (P,), so that tolerances make sense."""
        values = values / units[:, None]
        live = np.where(row_weights > 0, values, np.nan)
        # Losses, errors and bits per byte cannot fall below 0; other metrics have no such floor.
        lowest = np.where(np.nanmin(live, axis=1) > 0, 0.0, -np.inf)
        delta = 0.5 * _spread(live)
        if self.delta is not None:
            delta = np.minimum(delta, self.delta / units)
        size = len(values)
        return Problems(
            designs=designs,
            design=design,
            y=values,
            row_weights=row_weights,
            ridge=ridge,
            delta=np.maximum(delta, 1e-3),
            lowest=lowest,
            reach=np.full(size, self.reach),
        )

    def _build(
        self,
        curves: Curves,
        i: int,
        middle: Array,
        setting: Mapping[str, float],
        ridge: float,
        highest: float,
    ) -> FittedExponential:
        """Write a solution of the solver as the law's own parameters."""
        k = float(curves.curvature[i])
        slopes = k * curves.beta[i]
        intercept = k * float(curves.alpha[i]) - float(np.log(k)) - float(slopes @ middle)
        return self.fitted(
            offset=float(curves.offset[i]),
            most=max(highest - float(curves.offset[i]), 1e-300),
            intercept=intercept,
            slopes=slopes,
            ridge=float(ridge),
            **setting,
        )


def left_out_error(problems: Problems, curves: Curves) -> Array:
    """Return the mean Huber loss of the leave-one-out residuals, (P,)."""
    residuals, leverage = hat_diagonal(problems, curves)
    left_out = residuals / np.maximum(1 - leverage, 0.02)
    loss = problems.row_weights * huber(left_out, problems.delta[:, None])
    return np.asarray(loss.sum(axis=1) / problems.row_weights.sum(axis=1))


def _trust(problems: Problems, curves: Curves) -> Array:
    """Return how well runs left out are predicted, (P,): 1 exactly, 0 by a third of a spread."""
    residuals, leverage = hat_diagonal(problems, curves)
    left_out = residuals / np.maximum(1 - leverage, 0.02)
    weights = problems.row_weights
    error = np.sqrt((weights * left_out**2).sum(axis=1) / weights.sum(axis=1))
    return np.asarray(np.clip(1 - 3 * error, 0.0, 1.0))


def _highest(values: Array, row_weights: Array, trust: Array) -> Array:
    """Return the largest value that each problem's runs support, (P,)."""
    live = np.where(row_weights > 0, values, np.nan)
    low, high = np.nanmin(live, axis=1), np.nanmax(live, axis=1)
    return np.asarray(high + (_BEYOND + _BEYOND_TRUSTED * trust) * (high - low))


def _spread(live: Array) -> Array:
    """Return a robust standard deviation of each row, NaN ignored, (P,)."""
    low, high = np.nanpercentile(live, [25, 75], axis=1)
    return np.asarray((high - low) / 1.349)


def _units(values: Array, row_weights: Array) -> Array:
    """Return the standard deviation of each problem's values, (P,)."""
    live = np.where(row_weights > 0, values, np.nan)
    spread, size = np.nanstd(live, axis=1), np.nanmax(np.abs(live), axis=1)
    return np.asarray(np.where(spread > 1e-12 * size, spread, np.where(size > 0, size, 1.0)))


def _in_units(curves: Curves, units: Array) -> Curves:
    """Write solutions for values that count in `units` (P,) for values that count in ones."""
    return Curves(
        mu=curves.mu * units,
        alpha=curves.alpha * units,
        beta=curves.beta * units[:, None],
        curvature=curves.curvature / units,
        loss=curves.loss * units**2,
    )


def _as_curves(laws: Sequence[FittedExponential], middle: Array, mu: Array) -> Curves:
    """Write the laws' own parameters in the form of the solver, the inverse of `_build`."""
    gap = np.array([m - law.offset for law, m in zip(laws, mu, strict=True)])
    k = 1 / np.maximum(gap, 1e-12)
    slopes = np.stack([law.slopes for law in laws])
    intercept = np.array([law.intercept for law in laws])
    alpha = (intercept + np.log(k) + (slopes * middle).sum(axis=1)) / k
    return Curves(mu, alpha, slopes / k[:, None], k, np.zeros(len(laws)))
