"""Sums of power laws: `autoscale` and `bimix`.

    y = c + sum_d b_d u_d(x_d)
    u_d(x) = ((x + e_d)^-g_d - (1 + e_d)^-g_d) / (e_d^-g_d - (1 + e_d)^-g_d)

Each domain lowers the metric by a power law of its own weight, whatever the others are. `u_d` falls
from 1 where the domain is missing to 0 where it is everything, so `b_d` is the effect of all of it
against none, in units of the metric.

- `autoscale`: the law of AutoScale (Kang et al. 2024), ``sum_d (N_d + N0_d)^-g_d`` with tokens `N`;
at a fixed
  budget their equivalent tokens `N0_d` from other domains are our `e_d`. Unlike theirs, a domain
  may harm (`b_d` below 0), and all parameters are fitted at once from a swarm in place of a few
  runs a domain.
- `bimix`: the law of BiMix (Ge et al. 2024), ``A_d / r_d^a_d`` at a fixed budget, summed over
domains so that
  it can predict any metric. `e` is one small number for all, in place of ``r_d > 0``; no domain
  harms.

Fitted by a trust-region method on the soft absolute loss, with a weak ridge on `b`.

Legend: ``P`` problems, ``n`` mixtures, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from olmix.errors import needs
from olmix.laws.law import FittedLaw, SeparateLaw
from olmix.simplex import Array

__all__ = ["AutoScale", "BiMix", "FittedAutoScale", "FittedBiMix", "FittedPowerSum"]

_RIDGE = 0.02
_SHIFTS = (1e-4, 1.0)
_EXPONENTS = (0.05, 3.0)
_FIRST_SHIFT = 0.02
_FIRST_EXPONENT = 0.5
_BIMIX_SHIFT = 1e-2
_LOSS_SCALE = 0.3
"""Where the loss turns from squares to absolute values, in standard deviations of the metric."""


@dataclass(frozen=True)
class FittedPowerSum(FittedLaw):
    """``y = constant + sum_d effects_d u_d(x_d)``.

    Attributes:
        constant: `c`.
        effects: (D,) `b`.
        shifts: (D,) `e`.
        exponents: (D,) `g`.
    """

    constant: float
    effects: Array
    shifts: Array
    exponents: Array

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        share, *_ = _shares(array, self.shifts, self.exponents)
        return np.asarray(self.constant + share @ self.effects)

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        _, power, span = _shares(array, self.shifts, self.exponents)
        return np.asarray(-self.effects * self.exponents * power / (array + self.shifts) / span)

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        arrays = {key: getattr(self, key).tolist() for key in ("effects", "shifts", "exponents")}
        return {"law": self.name, "constant": self.constant, **arrays}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Build the law from what `to_plain` returned."""
        keys = ("effects", "shifts", "exponents")
        arrays = {key: np.asarray(plain[key], dtype=np.float64) for key in keys}
        return cls(constant=plain["constant"], **arrays)


@dataclass(frozen=True)
class FittedAutoScale(FittedPowerSum):
    """A sum of power laws, each with its own shift."""

    name: ClassVar[str] = "autoscale"
    convex: ClassVar[bool] = False


@dataclass(frozen=True)
class FittedBiMix(FittedPowerSum):
    """A sum of power laws of which none harms."""

    name: ClassVar[str] = "bimix"
    convex: ClassVar[bool] = True


def _shares(mixtures: Array, shifts: Array, exponents: Array) -> tuple[Array, Array, Array]:
    """Return `u`, ``(x + e)^-g`` and the span that `u` is divided by."""
    power = (mixtures + shifts) ** -exponents
    top = (1 + shifts) ** -exponents
    span = shifts**-exponents - top
    return (power - top) / span, power, span


def _share_slopes(mixtures: Array, shifts: Array, exponents: Array) -> tuple[Array, Array, Array]:
    """Return `u` and its derivatives by the shift and the exponent, each (n, D)."""
    share, power, span = _shares(mixtures, shifts, exponents)
    top, bottom = (1 + shifts) ** -exponents, shifts**-exponents
    by_shift, by_exponent = (
        ((own - first) - share * (last - first)) / span
        for own, first, last in (
            (
                -exponents * power / (mixtures + shifts),
                -exponents * top / (1 + shifts),
                -exponents * bottom / shifts,
            ),
            (
                -np.log(mixtures + shifts) * power,
                -np.log1p(shifts) * top,
                -np.log(shifts) * bottom,
            ),
        )
    )
    return share, by_shift, by_exponent


class _PowerSum(SeparateLaw):
    """Fits sums of power laws.

    Attributes:
        harms: whether a domain may raise the metric.
        own_shifts: whether each domain has its own shift.
    """

    fitted: ClassVar[type[FittedPowerSum]]
    harms: ClassVar[bool]
    own_shifts: ClassVar[bool]

    def fit_one(
        self, mixtures: Array, values: Array, row_weights: Array, start: FittedLaw | None
    ) -> FittedLaw:
        """Fit constant, effects, exponents and shifts together."""
        with needs("fit", "Fitting a swarm"):
            from scipy import optimize
        size = mixtures.shape[1]
        centre, scale = float(values.mean()), max(float(values.std()), 1e-300)
        targets = (values - centre) / scale
        root = np.sqrt(row_weights / row_weights.mean())
        if isinstance(start, FittedPowerSum):
            shifts, exponents = start.shifts, start.exponents
        else:
            first = _FIRST_SHIFT if self.own_shifts else _BIMIX_SHIFT
            shifts, exponents = np.full(size, first), np.full(size, _FIRST_EXPONENT)
        constant, effects = self._linear(mixtures, targets, root, shifts, exponents)
        low, high = (
            np.concatenate(
                [
                    [edge],
                    np.full(size, edge if self.harms else max(edge, 0.0)),
                    np.full(size, np.log(_EXPONENTS[side])),
                    np.full(size if self.own_shifts else 0, np.log(_SHIFTS[side])),
                ]
            )
            for side, edge in enumerate((-np.inf, np.inf))
        )

        def unpack(vector: Array) -> tuple[float, Array, Array, Array]:
            own = np.exp(vector[1 + 2 * size :]) if self.own_shifts else shifts
            return vector[0], vector[1 : 1 + size], np.exp(vector[1 + size : 1 + 2 * size]), own

        ridge = np.sqrt(_RIDGE)

        def residuals(vector: Array) -> Array:
            constant, effects, exponents, own = unpack(vector)
            share, *_ = _shares(mixtures, own, exponents)
            return np.append(root * (constant + share @ effects - targets), ridge * effects)

        def jacobian(vector: Array) -> Array:
            _, effects, exponents, own = unpack(vector)
            share, by_shift, by_exponent = _share_slopes(mixtures, own, exponents)
            columns = [np.ones((len(mixtures), 1)), share, by_exponent * effects * exponents]
            if self.own_shifts:
                columns.append(by_shift * effects * own)
            top = root[:, None] * np.concatenate(columns, axis=1)
            bottom = np.zeros((size, top.shape[1]))
            bottom[:, 1 : 1 + size] = ridge * np.eye(size)
            return np.vstack([top, bottom])

        guess = np.concatenate(
            [[constant], effects, np.log(exponents), np.log(shifts) if self.own_shifts else []]
        )
        found = optimize.least_squares(
            residuals,
            np.clip(guess, low, high),
            jac=jacobian,
            bounds=(low, high),
            loss="soft_l1",
            f_scale=_LOSS_SCALE,
            max_nfev=60,
        )
        constant, effects, exponents, own = unpack(found.x)
        return self.fitted(centre + scale * float(constant), scale * effects, own, exponents)

    def _linear(
        self, mixtures: Array, targets: Array, root: Array, shifts: Array, exponents: Array
    ) -> tuple[float, Array]:
        """Return constant and effects for given shifts and exponents, by ridge regression."""
        size = mixtures.shape[1]
        share, *_ = _shares(mixtures, shifts, exponents)
        design = root[:, None] * np.hstack([np.ones((len(mixtures), 1)), share])
        gram = design.T @ design
        gram[np.arange(1, size + 1), np.arange(1, size + 1)] += _RIDGE
        gram[0, 0] += 1e-12
        theta = np.linalg.solve(gram, design.T @ (root * targets))
        effects = theta[1:] if self.harms else np.maximum(theta[1:], 1e-3)
        return float(theta[0]), np.asarray(effects)

    def refit_one(
        self, fitted: FittedLaw, mixtures: Array, values: Array, row_weights: Array
    ) -> FittedLaw:
        """Fit the effects again to other weights, keeping shifts and exponents."""
        if not isinstance(fitted, FittedPowerSum):
            raise TypeError(f"{fitted.name} is not a sum of power laws")
        centre, scale = float(values.mean()), max(float(values.std()), 1e-300)
        root = np.sqrt(row_weights / row_weights.mean())
        targets = (values - centre) / scale
        constant, effects = self._linear(mixtures, targets, root, fitted.shifts, fitted.exponents)
        return self.fitted(
            centre + scale * constant, scale * effects, fitted.shifts, fitted.exponents
        )


class AutoScale(_PowerSum):
    """The law `autoscale`."""

    name: ClassVar[str] = "autoscale"
    convex: ClassVar[bool] = False
    fitted: ClassVar[type[FittedPowerSum]] = FittedAutoScale
    harms: ClassVar[bool] = True
    own_shifts: ClassVar[bool] = True


class BiMix(_PowerSum):
    """The law `bimix`."""

    name: ClassVar[str] = "bimix"
    convex: ClassVar[bool] = True
    fitted: ClassVar[type[FittedPowerSum]] = FittedBiMix
    harms: ClassVar[bool] = False
    own_shifts: ClassVar[bool] = False
