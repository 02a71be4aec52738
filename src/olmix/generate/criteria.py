"""How much a set of runs tells about a law: information matrices and the two criteria.

The laws are written as sums of features, ``value = f(w) . parameters``:

    linear       f(w) = w
    log_linear   f(w) = [1, exp(t.w) w]: the tangent of exp(c) + exp(t.w) by c and t. It depends on
                 t, which nobody knows before the runs, so criteria are averaged over draws of it
    gp           f(w) = features of the law `gp_sqrt` before any run: its kernel at the centre of
                 its prior (Nystroem)

With the information matrix ``M = ridge I + sum of f f'`` over the runs, D-optimality makes
``log det M`` large, which is the volume of what the parameters may still be; I-optimality makes
``trace(inverse(M) B)`` small, the mean variance of predictions, where ``B`` is the mean of ``f f'``
over the feasible set (Atkinson, Donev and Tobias 2007, chapters 10 and 11).

Legend: ``n`` mixtures, ``D`` domains, ``S`` draws of t, ``q`` features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from olmix.laws.gaussian import KernelSettings, kernel
from olmix.laws.gp import FittedGpSqrt, GpSqrt
from olmix.simplex import Array

__all__ = ["Criterion", "Features", "Information", "feature_map"]

Criterion = Literal["D", "I"]
Features = Callable[[Array], Array]
"""Mixtures (n, D) to features (S, n, q)."""

NUM_DRAWS = 6
"""Draws of t for the log-linear law."""
SLOPE_SD = 1.5
"""Deviation of the slopes t; fitted swarms of bits-per-byte metrics have slopes of this size."""
NUM_CENTRES = 96
RIDGE = 1e-6
_TINY_SD = 1e-9


def feature_map(model: str, reference: Array) -> Features:
    """Return the features of a law.

    Args:
        model: `linear`, `log_linear` or `gp`.
        reference: (N, D) mixtures spread over the feasible set; scales and centres come from them.
    """
    if model == "linear":
        return lambda weights: np.asarray(weights[None])
    if model == "gp":
        return _kernel_features(reference)
    slopes = SLOPE_SD * np.random.default_rng(0).standard_normal((NUM_DRAWS, reference.shape[1]))
    slopes[0] = 0.0

    def tangent(weights: Array) -> Array:
        scale = np.exp(weights @ slopes.T).T[:, :, None]
        ones = np.ones((len(slopes), len(weights), 1))
        return np.concatenate([ones, scale * weights[None]], axis=2)

    return tangent


def _kernel_features(reference: Array) -> Features:
    settings, shift = KernelSettings.start(reference.shape[1]), GpSqrt.shifts[0]
    phi = FittedGpSqrt.coordinates(reference, shift)
    middle, width = phi.mean(axis=0), phi.std(axis=0)
    width = np.where(width > _TINY_SD, width, 1.0)

    def place(weights: Array) -> Array:
        return np.asarray((FittedGpSqrt.coordinates(weights, shift) - middle) / width)

    centres = place(reference[:NUM_CENTRES])
    values, vectors = np.linalg.eigh(kernel(centres, centres, settings))
    kept = values > 1e-8 * values.max()
    root = vectors[:, kept] / np.sqrt(values[kept] * settings.noise)
    return lambda weights: np.asarray((kernel(place(weights), centres, settings) @ root)[None])


class Information:
    """The information of a set of runs, updated as runs come and go.

    Args:
        features: (S, n, q) features of the runs that are there from the start.
        mean: (S, q, q) mean of ``f f'`` over the feasible set, for the I criterion.
        criterion: D or I.
        ridge: what is known before any run, as a multiple of the unit matrix.
    """

    def __init__(self, features: Array, mean: Array, criterion: Criterion, ridge: float) -> None:
        size = features.shape[2]
        matrix = ridge * np.eye(size) + np.einsum("sni,snj->sij", features, features)
        self._inverse = np.linalg.inv(matrix)
        self._mean = mean
        self._criterion = criterion

    def gain(self, features: Array, *, sign: float = 1.0) -> Array:
        """Return what each run (S, n, q) would add to the criterion, (n,), larger is better.

        With `sign` -1: what taking it away would add, which is negative.
        """
        half = np.einsum("sij,snj->sni", self._inverse, features)
        leverage = np.einsum("sni,sni->sn", features, half)
        grown = np.maximum(1 + sign * leverage, 1e-12)
        if self._criterion == "D":
            return np.asarray(np.log(grown).mean(axis=0))
        spread = np.einsum("sni,sij,snj->sn", half, self._mean, half, optimize=True)
        scale = np.einsum("sij,sji->s", self._inverse, self._mean)[:, None]
        return np.asarray((sign * spread / grown / scale).mean(axis=0))

    def update(self, feature: Array, *, sign: float = 1.0) -> None:
        """Add a run (S, q), or with `sign` -1 take it away (Sherman and Morrison 1950)."""
        half = np.einsum("sij,sj->si", self._inverse, feature)
        grown = 1 + sign * np.einsum("si,si->s", feature, half)
        outer = np.einsum("si,sj->sij", half, half)
        self._inverse = self._inverse - sign * outer / np.maximum(grown, 1e-12)[:, None, None]
