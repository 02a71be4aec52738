"""The law `epochs`: benefit and harm of every domain in passes over its tokens.

    y = floor + exp(k - sum_i alpha_i b(E_i) + sum_i beta_i h(E_i)),     E_i = c_i x_i
    b(E) = 1 - exp(-(rho E)^p)              benefit that saturates
    h(E) = softplus(log(1 + E) - tau)^2     harm of too many passes
    alpha_i, beta_i >= 0

As in MARINER (marin-community/marin, Apache-2.0), the law that won their comparison of trained
proposals with 39 domains. Passes are a scale of the weights that makes domains of all sizes alike,
so that `rho`, `p` and `tau` can be shared; they are no cause, and a fit must not be moved to other
pools or budgets. The floor with the exponential above it keeps promises where losses can be: with a
plain sum in its place, small gains of many domains add up to losses below any floor.

Given shape and floor the logarithm above the floor is linear, and solved by non-negative least
squares with a ridge. Shape, ridge and floor are chosen by the error on blocks of similar mixtures
left out, in units of the metric. Theirs is a grid of 840, and a floor
far below the runs is moved up; ours is a choice after the other, and of floors that predict as well
the highest is taken.

Legend: ``n`` mixtures, ``D`` domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olmix.errors import needs
from olmix.laws.law import FittedLaw, SeparateLaw
from olmix.simplex import Array, hellinger

__all__ = ["EPOCHS", "Epochs", "EpochsShape", "FittedEpochs"]

EPOCHS = "epochs"
_RHO = (0.1, 0.5, 2.0)
_POWER = (0.5, 1.0)
_TAU = (1.0, 2.0, 4.0)
_RIDGES = (1e-3, 1e-2, 0.1, 1.0)
_FIRST_RIDGE = 1e-2
_FIRST_DEPTH = 2.5
_DEPTHS = (1.0, 1.5, 2.5, 4.0, 6.0)
"""How far below the natural mixture the floor lies, in gains of the best run over it."""
_AS_GOOD = 1.1
"""Ratio of losses up to which the floor that is nearer to the runs is taken: it promises less."""
_BLOCKS = 3
_LEAST_DEFICIT = 1e-9
_STEEPEST = 30.0
_NO_WEIGHT = 1e-9


@dataclass(frozen=True)
class EpochsShape:
    """The parameters that all domains share.

    Attributes:
        rho: passes after which 63 % of the benefit is there are ``1 / rho``.
        power: below 1 the benefit comes early and is long in ending.
        tau: harm begins around ``exp(tau) - 1`` passes.
    """

    rho: float
    power: float
    tau: float

    def columns(self, passes: Array) -> Array:
        """Return benefits, with their sign turned, and harms of passes (n, D), (n, 2 D)."""
        benefit = -np.expm1(-((self.rho * passes) ** self.power))
        return np.hstack([-benefit, np.logaddexp(0.0, np.log1p(passes) - self.tau) ** 2])

    def slopes(self, passes: Array) -> Array:
        """Return the derivatives of `columns` by the passes, (n, 2 D)."""
        inside = np.maximum(passes, _NO_WEIGHT)
        grown = (self.rho * inside) ** self.power
        benefit = self.power * grown / inside * np.exp(-grown)
        late = np.log1p(inside) - self.tau
        harm = 2 * np.logaddexp(0.0, late) / (1 + np.exp(-late)) / (1 + inside)
        return np.hstack([-benefit, harm])


@dataclass(frozen=True)
class FittedEpochs(FittedLaw):
    """One metric by the passes over every domain.

    Attributes:
        passes: (D,) passes over a domain that has the whole weight.
        shape: what all domains share.
        amplitudes: (2 D,) benefits `alpha`, then harms `beta`, not negative.
        intercept: `k`.
        floor: what the metric stays above.
        ridge: strength of the ridge that it was fitted with.
    """

    name: ClassVar[str] = EPOCHS
    convex: ClassVar[bool] = False

    passes: Array
    shape: EpochsShape
    amplitudes: Array
    intercept: float
    floor: float
    ridge: float

    def _exponent(self, mixtures: Array) -> Array:
        columns = self.shape.columns(np.maximum(mixtures, 0.0) * self.passes)
        return np.asarray(self.intercept + columns @ self.amplitudes)

    def predict(self, mixtures: ArrayLike) -> Array:
        """Return the predicted metric of mixtures (n, D), shape (n,)."""
        exponent = self._exponent(np.atleast_2d(np.asarray(mixtures, dtype=np.float64)))
        return np.asarray(self.floor + np.exp(np.clip(exponent, -_STEEPEST, _STEEPEST)))

    def gradient(self, mixtures: ArrayLike) -> Array:
        """Return the derivative of the prediction by each weight at mixtures (n, D), (n, D)."""
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        slopes = self.shape.slopes(np.maximum(array, 0.0) * self.passes) * self.amplitudes
        size = array.shape[1]
        above = np.exp(np.clip(self._exponent(array), -_STEEPEST, _STEEPEST))
        return np.asarray(above[:, None] * (slopes[:, :size] + slopes[:, size:]) * self.passes)

    def to_plain(self) -> dict[str, Any]:
        """Return the parameters as values that JSON can hold."""
        size = len(self.passes)
        return {
            "law": self.name,
            "passes": self.passes.tolist(),
            "rho": self.shape.rho,
            "power": self.shape.power,
            "tau": self.shape.tau,
            "benefits": self.amplitudes[:size].tolist(),
            "harms": self.amplitudes[size:].tolist(),
            "intercept": self.intercept,
            "floor": self.floor,
            "ridge": self.ridge,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FittedEpochs:
        """Build the law from what `to_plain` returned."""
        return cls(
            passes=np.asarray(plain["passes"], dtype=np.float64),
            shape=EpochsShape(plain["rho"], plain["power"], plain["tau"]),
            amplitudes=np.array([*plain["benefits"], *plain["harms"]], dtype=np.float64),
            intercept=plain["intercept"],
            floor=plain["floor"],
            ridge=plain["ridge"],
        )


@dataclass(frozen=True)
class _Rows:
    """The runs of one problem.

    Attributes:
        mixtures: (n, D) mixtures.
        passes: (n, D) passes over every domain.
        values: (n,) measured values, lower is better.
        weights: (n,) weight of each.
        natural: which row is nearest to the natural mixture.
    """

    mixtures: Array
    passes: Array
    values: Array
    weights: Array
    natural: int

    def floor(self, kept: NDArray[np.bool_], depth: float) -> float:
        """Return the floor that runs show: so many gains of the best below the natural mixture."""
        natural, best = float(self.values[self.natural]), float(self.values[kept].min())
        gain = natural - best
        if gain <= 0:
            gain = float(self.values[kept].std())
        return min(natural - depth * gain, best - 1e-3 * max(gain, 1e-12))


class Epochs(SeparateLaw):
    """The law `epochs`.

    Args:
        passes: (D,) passes over a domain that has the whole weight: the tokens of a run, or any
            multiple of them, by the tokens of the domain.
    """

    name: ClassVar[str] = EPOCHS
    convex: ClassVar[bool] = False
    fitted: ClassVar[type[FittedLaw]] = FittedEpochs

    def __init__(self, passes: Array) -> None:
        self.passes = np.asarray(passes, dtype=np.float64)

    def fit_one(
        self, mixtures: Array, values: Array, row_weights: Array, start: FittedLaw | None
    ) -> FittedLaw:
        """Choose shape, ridge and depth of the floor in turn, and fit."""
        del start  # its settings would tell of runs left out
        rows = self._rows(mixtures, values, row_weights)
        blocks = _blocks(rows)
        shapes = [EpochsShape(*one) for one in product(_RHO, _POWER, _TAU)]
        shape = min(shapes, key=lambda s: self._loss(rows, blocks, s, _FIRST_RIDGE, _FIRST_DEPTH))
        ridge = min(_RIDGES, key=lambda r: self._loss(rows, blocks, shape, r, _FIRST_DEPTH))
        losses = {d: self._loss(rows, blocks, shape, ridge, d) for d in _DEPTHS}
        depth = min(d for d, loss in losses.items() if loss <= _AS_GOOD * min(losses.values()))
        everything = np.ones(len(values), dtype=bool)
        return self._solve(rows, everything, shape, ridge, rows.floor(everything, depth))

    def refit_one(
        self, fitted: FittedLaw, mixtures: Array, values: Array, row_weights: Array
    ) -> FittedLaw:
        """Fit again to other weights, keeping shape, ridge and floor."""
        if not isinstance(fitted, FittedEpochs):
            raise TypeError(f"{fitted.name} is not a law of epochs")
        rows = self._rows(mixtures, values, row_weights)
        everything = np.ones(len(values), dtype=bool)
        return self._solve(rows, everything, fitted.shape, fitted.ridge, fitted.floor)

    def _rows(self, mixtures: Array, values: Array, row_weights: Array) -> _Rows:
        natural = 1 / self.passes
        nearest = int(hellinger(natural[None] / natural.sum(), mixtures)[0].argmin())
        return _Rows(mixtures, np.maximum(mixtures, 0) * self.passes, values, row_weights, nearest)

    def _loss(
        self, rows: _Rows, blocks: NDArray[np.intp], shape: EpochsShape, ridge: float, depth: float
    ) -> float:
        """Return the mean squared error on blocks left out, in units of the metric."""
        missed = np.zeros(len(rows.values))
        for block in np.unique(blocks[blocks >= 0]):
            kept = blocks != block
            law = self._solve(rows, kept, shape, ridge, rows.floor(kept, depth))
            missed[~kept] = rows.values[~kept] - law.predict(rows.mixtures[~kept])
        return float((rows.weights * missed**2).sum())

    def _solve(
        self, rows: _Rows, kept: NDArray[np.bool_], shape: EpochsShape, ridge: float, floor: float
    ) -> FittedEpochs:
        """Solve for the amplitudes, by non-negative least squares in the log above the floor."""
        with needs("fit", "Fitting a swarm"):
            from scipy import optimize
        columns, weights = shape.columns(rows.passes[kept]), rows.weights[kept]
        target = np.log(np.maximum(rows.values[kept] - floor, _LEAST_DEFICIT))
        share = weights / weights.sum()
        centre, level = share @ columns, float(share @ target)
        root = np.sqrt(weights)[:, None]
        x, z = root * (columns - centre), root[:, 0] * (target - level)
        # The normal equations are small where runs are many; the ridge keeps them regular.
        gram = x.T @ x + ridge * np.eye(x.shape[1])
        factor = np.linalg.cholesky(gram)
        amplitudes, _ = optimize.nnls(factor.T, np.linalg.solve(factor, x.T @ z))
        intercept = level - float(centre @ amplitudes)
        return FittedEpochs(self.passes, shape, amplitudes, intercept, floor, ridge)


def _blocks(rows: _Rows) -> NDArray[np.intp]:
    """Return the block of similar mixtures of each row, (n,); -1 for the natural mixture's.

    Blocks lie around mixtures far from each other, the first of them far from the natural one; the
    order of the rows does not count. The natural row stays in every fit, since the floor is
    measured from it.
    """
    distances = hellinger(rows.mixtures, rows.mixtures)
    nearest = distances[rows.natural]
    to_centres: list[Array] = []
    for _ in range(_BLOCKS):
        to_centres.append(distances[int(nearest.argmax())])
        nearest = to_centres[0] if len(to_centres) == 1 else np.minimum(nearest, to_centres[-1])
    found = np.stack(to_centres).argmin(axis=0)
    if np.bincount(found, minlength=_BLOCKS).min() < 2:
        found = np.argsort(np.argsort(to_centres[0])) * _BLOCKS // len(found)
    found[rows.natural] = -1
    return np.asarray(found, dtype=np.intp)
