"""Gaussian processes of the mixture: `gp_sqrt` and `gp_log`.

    y = offset + exp(t)  or  y = t,    t ~ GP in phi(x)

A Gaussian process assumes no formula: nearby mixtures have similar metrics, and the data say how
far "nearby" reaches in each domain. What counts is the distance. Weights themselves are a poor
measure (0 to 1 % changes a model more than 50 to 51 %), so the laws use

    gp_sqrt   phi = sqrt(x + 1e-4)    Euclidean distance is Hellinger's up to a factor
    gp_log    phi = log(x + eps)      distance of log-ratios (Aitchison 1982), finite at 0

Losses have a floor that all runs stay above, so that bad mixtures differ by more than good ones.
The metric is therefore fitted on a logarithmic scale above an offset below the best run. How far
below, or whether at all, and `eps`, are those with the greatest marginal likelihood (MacKay 1992),
the one criterion that needs no runs left out. Predictions are medians.

Of the laws this is the one that predicts best: `benchmarks/fit_public.py` compares them on public
swarms. It is not convex and not readable; outside the runs it returns to their mean, and its own
variance says so.

Legend: ``P`` problems, ``n`` mixtures, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from olmix.laws.gaussian import MEAN, KernelSettings, factorise, kernel, kernel_slope, maximise
from olmix.laws.law import Draws, FittedLaw, SeparateLaw, rows_for_settings
from olmix.simplex import Array

__all__ = ["FittedGaussianProcess", "FittedGpLog", "FittedGpSqrt", "GpLog", "GpSqrt"]

_HELLINGER_SHIFT = 1e-4
_LOG_SHIFTS = (1e-3, 1e-2, 5e-2)
_REACHES = (None, 1.0, 0.25)
"""How far below the best run the offset lies, as a share of the metric's spread; None for none."""
_SEARCH_STEPS = 6
_FULL_STEPS = 60
_FOLD_SEARCH_STEPS = 0
_FOLD_STEPS = 12
_TINY_SD = 1e-9
_JITTER = 1e-10


@dataclass(frozen=True)
class FittedGaussianProcess(FittedLaw):
    """One metric as a Gaussian process.

    Attributes:
        points: (n, D) mixtures it was fitted to.
        row_weights: (n,) runs behind each.
        solution: (n,) coefficients: the prediction is ``kernel @ solution``, then unscaled.
        middle: (D,) mean of the coordinates.
        width: (D,) standard deviation of the coordinates.
        settings: lengths, signal and noise in standardised units.
        shift: what is added to a weight before its root or logarithm.
        offset: what the logarithm of the metric is taken above; None where none is taken.
        centre: mean of the targets.
        scale: standard deviation of the targets.
    """

    convex: ClassVar[bool] = False

    points: Array
    row_weights: Array
    solution: Array
    middle: Array
    width: Array
    settings: KernelSettings
    shift: float
    offset: float | None
    centre: float
    scale: float

    @staticmethod
    def coordinates(mixtures: Array, shift: float) -> Array:
        """Return `phi`, (n, D)."""
        raise NotImplementedError

    @staticmethod
    def coordinate_slope(mixtures: Array, shift: float) -> Array:
        """Return the derivative of each coordinate by its own weight, (n, D)."""
        raise NotImplementedError

    def place(self, mixtures: Array) -> Array:
        """Return the standardised coordinates of mixtures, (n, D)."""
        return (self.coordinates(mixtures, self.shift) - self.middle) / self.width

    @cached_property
    def placed(self) -> Array:
        """The standardised coordinates of the mixtures it was fitted to, (n, D)."""
        return self.place(self.points)

    @cached_property
    def _factor(self) -> Array:
        return factorise(self.placed, self.row_weights, self.settings)

    def _targets(self, mixtures: Array) -> Array:
        return kernel(self.place(mixtures), self.placed, self.settings) @ self.solution

    def unscale(self, targets: Array) -> Array:
        """Return the metric of standardised targets, in the same shape."""
        level = self.centre + self.scale * targets
        return np.asarray(level if self.offset is None else self.offset + np.exp(level))

    def stretch(self, targets: Array) -> Array:
        """Return the derivative of the metric by the standardised target, (n,)."""
        if self.offset is None:
            return np.full(len(targets), self.scale)
        return np.asarray(self.scale * np.exp(self.centre + self.scale * targets))

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted median of mixtures (n, D), shape (n,)."""
        return self.unscale(self._targets(np.atleast_2d(np.asarray(mixtures, dtype=np.float64))))

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        placed = self.place(array)
        pull = kernel_slope(placed, self.placed, self.settings) * self.solution
        by_place = (placed * pull.sum(axis=1)[:, None] - pull @ self.placed) / (
            self.settings.lengths**2
        )
        slope = self.coordinate_slope(array, self.shift) / self.width
        return np.asarray(self.stretch(self._targets(array))[:, None] * by_place * slope)

    def sample(self, mixtures: ArrayLike, normals: Array) -> Array:
        """Draw from the posterior at mixtures (K, D), noise of runs left out, (B, K).

        Args:
            mixtures: (K, D) where; draws at different mixtures are correlated as they should be.
            normals: (B, K) independent standard normal numbers.
        """
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        placed = self.place(array)
        cross = kernel(placed, self.placed, self.settings)
        reduced = np.linalg.solve(self._factor, cross.T)
        covariance = kernel(placed, placed, self.settings) - reduced.T @ reduced
        # Rounding, and mixtures that are asked for twice, leave eigenvalues just below 0.
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, _JITTER))
        return self.unscale(cross @ self.solution + normals @ root.T)

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        return {
            "law": self.name,
            "shift": self.shift,
            "offset": self.offset,
            "centre": self.centre,
            "scale": self.scale,
            "middle": self.middle.tolist(),
            "width": self.width.tolist(),
            "lengths": self.settings.lengths.tolist(),
            "mean": MEAN,
            "signal": self.settings.signal,
            "noise": self.settings.noise,
            "weights": self.row_weights.tolist(),
            "solution": self.solution.tolist(),
            "points": self.points.tolist(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build the law from what `to_plain` returned."""
        keys = ("points", "weights", "solution", "middle", "width", "lengths")
        points, row_weights, solution, middle, width, lengths = (
            np.asarray(plain[key], dtype=np.float64) for key in keys
        )
        return cls(
            points=points,
            row_weights=row_weights,
            solution=solution,
            middle=middle,
            width=width,
            settings=KernelSettings(lengths, plain["signal"], plain["noise"]),
            shift=plain["shift"],
            offset=plain["offset"],
            centre=plain["centre"],
            scale=plain["scale"],
        )


@dataclass(frozen=True)
class FittedGpSqrt(FittedGaussianProcess):
    """A Gaussian process in the square roots of the weights."""

    name: ClassVar[str] = "gp_sqrt"

    @staticmethod
    def coordinates(mixtures: Array, shift: float) -> Array:
        """Return ``sqrt(x + shift)``, (n, D)."""
        return np.sqrt(mixtures + shift)

    @staticmethod
    def coordinate_slope(mixtures: Array, shift: float) -> Array:
        """Return the derivative of each coordinate by its own weight, (n, D)."""
        return np.asarray(0.5 / np.sqrt(mixtures + shift))


@dataclass(frozen=True)
class FittedGpLog(FittedGaussianProcess):
    """A Gaussian process in the logarithms of the weights."""

    name: ClassVar[str] = "gp_log"

    @staticmethod
    def coordinates(mixtures: Array, shift: float) -> Array:
        """Return ``log(x + shift)``, (n, D)."""
        return np.log(mixtures + shift)

    @staticmethod
    def coordinate_slope(mixtures: Array, shift: float) -> Array:
        """Return the derivative of each coordinate by its own weight, (n, D)."""
        return np.asarray(1 / (mixtures + shift))


class GaussianProcess(SeparateLaw):
    """Fits Gaussian processes; a law names its coordinates and their shifts."""

    convex: ClassVar[bool] = False
    fitted: ClassVar[type[FittedGaussianProcess]]
    shifts: ClassVar[tuple[float, ...]]

    def sample(
        self, fitted: FittedLaw, mixtures: Array, values: Array, draws: Draws, at: Array
    ) -> Array:
        """Return draws from the posterior at mixtures (K, D), (B, K)."""
        del mixtures, values
        if not isinstance(fitted, FittedGaussianProcess):
            raise TypeError(f"{fitted.name} is not a Gaussian process")
        return fitted.sample(at, draws.normals)

    def fit_one(
        self, mixtures: Array, values: Array, row_weights: Array, start: FittedLaw | None
    ) -> FittedLaw:
        """Search every choice of offset and shift a little, and the best one to the end."""
        whole = (mixtures, values, row_weights)
        some = rows_for_settings(len(values), len(values))
        if some is not None:
            mixtures, values, row_weights = (array[some] for array in whole)
        # A search never begins at a fit to other runs: its lengths would tell of runs left out.
        first, shift = KernelSettings.start(mixtures.shape[1]), self.shifts[0]
        search, last = (
            (_SEARCH_STEPS, _FULL_STEPS) if start is None else (_FOLD_SEARCH_STEPS, _FOLD_STEPS)
        )
        tried = [
            self._try(mixtures, values, row_weights, shift, offset, first, search)
            for offset in _offsets(whole[1])  # below every run, not only those of a subset
        ]
        best = min(tried, key=lambda one: one[1])
        others = [other for other in self.shifts if other != shift]
        tried = [
            self._try(mixtures, values, row_weights, other, best[0].offset, first, search)
            for other in others
        ]
        law, _ = min([best, *tried], key=lambda one: one[1])
        law, _ = self._try(mixtures, values, row_weights, law.shift, law.offset, law.settings, last)
        return self._condition(law, *whole)

    def refit_one(
        self, fitted: FittedLaw, mixtures: Array, values: Array, row_weights: Array
    ) -> FittedLaw:
        """Condition on other weights, keeping the settings of `fitted`."""
        if not isinstance(fitted, FittedGaussianProcess):
            raise TypeError(f"{fitted.name} is not a Gaussian process")
        return self._condition(fitted, mixtures, values, row_weights)

    def _try(
        self,
        mixtures: Array,
        values: Array,
        row_weights: Array,
        shift: float,
        offset: float | None,
        start: KernelSettings,
        max_steps: int,
    ) -> tuple[FittedGaussianProcess, float]:
        """Return the law with its settings chosen, and minus its log evidence for the metric."""
        phi = self.fitted.coordinates(mixtures, shift)
        middle, width = phi.mean(axis=0), phi.std(axis=0)
        width = np.where(width > _TINY_SD, width, 1.0)
        level = values if offset is None else np.log(values - offset)
        centre, scale = float(level.mean()), max(float(level.std()), 1e-300)
        settings, surprise = maximise(
            (phi - middle) / width, (level - centre) / scale, row_weights, start, max_steps
        )
        # Densities of the metric itself, so that offsets can be compared.
        surprise += len(values) * float(np.log(scale))
        surprise += 0.0 if offset is None else float(level.sum())
        law = self.fitted(
            points=mixtures,
            row_weights=row_weights,
            solution=np.zeros(len(mixtures)),
            middle=middle,
            width=width,
            settings=settings,
            shift=shift,
            offset=offset,
            centre=centre,
            scale=scale,
        )
        return law, surprise

    @staticmethod
    def _condition(
        law: FittedGaussianProcess, mixtures: Array, values: Array, row_weights: Array
    ) -> FittedGaussianProcess:
        """Return the law with its settings, conditioned on these runs."""
        from scipy.linalg import cho_solve

        level = values if law.offset is None else np.log(np.maximum(values - law.offset, 1e-300))
        law = replace(law, points=mixtures, row_weights=row_weights)
        targets = (level - law.centre) / law.scale
        return replace(law, solution=cho_solve((law._factor, True), targets))


def _offsets(values: Array) -> list[float | None]:
    """Return the offsets to compare: none, and some below the best run."""
    best = float(values.min())
    spread = float(np.quantile(values, 0.95)) - best
    if spread <= 0:
        return [None]
    return [None if reach is None else best - reach * spread for reach in _REACHES]


class GpSqrt(GaussianProcess):
    """The law `gp_sqrt`."""

    name: ClassVar[str] = "gp_sqrt"
    fitted: ClassVar[type[FittedGaussianProcess]] = FittedGpSqrt
    shifts: ClassVar[tuple[float, ...]] = (_HELLINGER_SHIFT,)


class GpLog(GaussianProcess):
    """The law `gp_log`."""

    name: ClassVar[str] = "gp_log"
    fitted: ClassVar[type[FittedGaussianProcess]] = FittedGpLog
    shifts: ClassVar[tuple[float, ...]] = _LOG_SHIFTS
