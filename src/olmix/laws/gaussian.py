"""Fitting one Gaussian process by maximising its posterior density over its settings.

    t_i = g(z_i) + noise_i,    g ~ GP(0, k),    noise_i ~ N(0, noise / w_i)
    k(z, z') = MEAN + signal * (1 + sqrt(3) r) exp(-sqrt(3) r),    r = |(z - z') / lengths|

The kernel is Matern 3/2 with a length for each domain (Rasmussen and Williams 2006, sections 4.2
and 5.1); `t` is standardised, `z` are standardised coordinates, and the constant stands for an
unknown mean. Rough kernels rank runs left out better than smooth ones on all public swarms that we
tried.

With tens of runs the likelihood alone would let lengths collapse or run away. Each length has a
log-normal prior around ``2 sqrt(D)`` (a domain matters moderately until the data say more), the
noise a wide one around a hundredth of the variance.

The gradient costs no array of size (n, n, D): with ``M = A * dk/d(r^2)`` the derivative by the
length of domain `d` is ``sum_ij M_ij (z_id - z_jd)^2``, which two matrix products give for all
domains at once.

Legend: ``n`` runs, ``D`` coordinates, ``q`` runs asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from olmix.errors import needs
from olmix.simplex import Array

__all__ = ["LENGTH_SD", "KernelSettings", "factorise", "kernel", "kernel_slope", "maximise"]

MEAN = 1.0
"""Variance of the unknown mean, in units of the variance of the targets."""
_ROOT = float(np.sqrt(3.0))
LENGTH_SD = 1.5
"""Standard deviation of the logarithm of a length in its prior."""
_NOISE = 0.01
_WIDE_SD = 3.0
_BOUNDS = {"length": (-3.0, 7.0), "signal": (-8.0, 8.0), "noise": (-14.0, 2.0)}
_FAILED = 1e12
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class KernelSettings:
    """The numbers that maximising chooses, for standardised coordinates and targets.

    Attributes:
        lengths: (D,) distance over which the metric changes, per coordinate.
        signal: variance of what the coordinates explain.
        noise: variance of the noise of one run.
    """

    lengths: Array
    signal: float
    noise: float

    def to_vector(self) -> Array:
        """Return the logarithms of all settings, (D + 2,)."""
        return np.append(np.log(self.lengths), np.log([self.signal, self.noise]))

    @classmethod
    def from_vector(cls, vector: Array) -> KernelSettings:
        """Return the settings of a vector of logarithms, (D + 2,)."""
        values = np.exp(vector)
        return cls(values[:-2], float(values[-2]), float(values[-1]))

    @classmethod
    def start(cls, size: int) -> KernelSettings:
        """Return the centre of the prior for `size` coordinates."""
        return cls(np.full(size, _usual_length(size)), 1.0, _NOISE)


def _usual_length(size: int) -> float:
    return 2.0 * float(np.sqrt(size))


def _distances(left: Array, right: Array) -> Array:
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def kernel(left: Array, right: Array, settings: KernelSettings) -> Array:
    """Return the covariance of the targets at coordinates (q, D) and (n, D), (q, n)."""
    bent = _ROOT * _distances(left / settings.lengths, right / settings.lengths)
    return np.asarray(MEAN + settings.signal * (1 + bent) * np.exp(-bent))


def kernel_slope(left: Array, right: Array, settings: KernelSettings) -> Array:
    """Return ``dk/d(r^2)`` twice over at (q, D) and (n, D), (q, n).

    The derivative of the kernel by coordinate `d` of the left side is this times
    ``(left_d - right_d) / lengths_d ** 2``.
    """
    bent = _ROOT * _distances(left / settings.lengths, right / settings.lengths)
    return np.asarray(-3.0 * settings.signal * np.exp(-bent))


def factorise(points: Array, row_weights: Array, settings: KernelSettings) -> Array:
    """Return the lower Cholesky factor of the covariance of the measured targets, (n, n)."""
    covariance = kernel(points, points, settings)
    covariance[np.diag_indices(len(points))] += settings.noise / row_weights
    return np.asarray(np.linalg.cholesky(covariance))


def maximise(
    points: Array,
    targets: Array,
    row_weights: Array,
    start: KernelSettings,
    max_steps: int,
    length_sd: float = LENGTH_SD,
) -> tuple[KernelSettings, float]:
    """Return the most probable settings, and minus the logarithm of their posterior density.

    Args:
        points: (n, D) standardised coordinates.
        targets: (n,) standardised targets.
        row_weights: (n,) runs behind each target, above 0.
        start: where the search begins.
        max_steps: most steps of L-BFGS; 0 judges the start.
        length_sd: standard deviation of the logarithm of a length in its prior.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    with needs("fit", "Fitting a swarm"):
        from scipy import optimize
    if max_steps == 0:
        return start, _surprise(start.to_vector(), points, targets, row_weights, length_sd)[0]
    size = points.shape[1]
    bounds = [_BOUNDS["length"]] * size + [_BOUNDS["signal"], _BOUNDS["noise"]]
    found = optimize.minimize(
        lambda vector: _surprise(vector, points, targets, row_weights, length_sd),
        start.to_vector(),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": max_steps, "ftol": _TOLERANCE},
    )
    return KernelSettings.from_vector(found.x), float(found.fun)


def _surprise(
    vector: Array, points: Array, targets: Array, row_weights: Array, length_sd: float
) -> tuple[float, Array]:
    """Return minus the log posterior density of the settings, and its derivative."""
    from scipy.linalg import lapack

    size = points.shape[1]
    settings = KernelSettings.from_vector(vector)
    scaled = points / settings.lengths
    bent = _ROOT * _distances(scaled, scaled)
    decay = np.exp(-bent)
    matern = settings.signal * (1 + bent) * decay
    covariance = MEAN + matern
    diagonal = np.diag_indices(len(points))
    covariance[diagonal] += settings.noise / row_weights
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return _FAILED, np.zeros_like(vector)
    inverse, _ = lapack.dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    solved = inverse @ targets
    value = 0.5 * targets @ solved + np.log(np.diag(factor)).sum()
    inner = inverse - np.outer(solved, solved)
    gradient = np.empty_like(vector)
    spread = inner * (3.0 * settings.signal * decay)
    gradient[:size] = (scaled**2 * spread.sum(axis=1)[:, None]).sum(axis=0)
    gradient[:size] -= (scaled * (spread @ scaled)).sum(axis=0)
    gradient[size] = 0.5 * (inner * matern).sum()
    gradient[size + 1] = 0.5 * settings.noise * (inner[diagonal] / row_weights).sum()
    prior = np.append(np.full(size, np.log(_usual_length(size))), [0.0, np.log(_NOISE)])
    width = np.append(np.full(size, length_sd), [_WIDE_SD, _WIDE_SD])
    away = (vector - prior) / width
    return float(value + 0.5 * away @ away), gradient + away / width
