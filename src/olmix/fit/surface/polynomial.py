"""Response surfaces: a metric as a polynomial of the settings that a factorial sweep varied.

Factors are coded to [-1, 1] over their tested range, on a linear or a logarithmic scale, and
``y = X b + e`` is fitted by least squares (Box and Draper, Response Surfaces, Mixtures, and Ridge
Analyses, 2007). Which terms X has is decided by prediction of points that were left out, replicates
included. The lowest point of a surface is chosen because it is low, so its gain over a tested point
has the interval of Scheffé, which holds for every pair of points at once.

Legend: ``R`` runs, ``K`` factors, ``p`` terms, ``X`` (R, p) design, ``b`` (p,) coefficients.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olmix.simplex import Array

__all__ = ["ORDERS", "Surface", "SweptFactor", "design_matrix", "fit_terms", "held_out", "terms_of"]

Term = tuple[int, ...]
"""Indices of the factors that a term multiplies: () is the constant, (0, 0) a square."""

ORDERS = ("mean", "linear", "squares", "interactions", "quadratic")
"""From few terms to many."""
_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class SweptFactor:
    """A setting over the range in which it was tested.

    Attributes:
        name: as the experiment has it.
        levels: values that were tested, ascending; at least two.
        is_log: whether it acts evenly on a logarithmic scale.
    """

    name: str
    levels: tuple[float, ...]
    is_log: bool

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers were tested."""
        return all(level == round(level) for level in self.levels)

    def code(self, values: Array) -> Array:
        """Map values to [-1, 1] over the tested range; same shape."""
        low, high = self._scaled(np.array([self.levels[0], self.levels[-1]]))
        coded: Array = 2 * (self._scaled(np.asarray(values)) - low) / (high - low) - 1
        return coded

    def value(self, coded: float) -> float:
        """Return the value at a coded place."""
        low, high = self._scaled(np.array([self.levels[0], self.levels[-1]]))
        place = low + (coded + 1) / 2 * (high - low)
        return float(np.exp(place) if self.is_log else place)

    @property
    def doubles(self) -> bool:
        """Whether only powers of 2 were tested, three or more, as of ranks and batch sizes."""
        return len(self.levels) > 2 and all(
            level >= 1 and math.log2(level).is_integer() for level in self.levels
        )

    def settings(self, coded: Array) -> Array:
        """Return the values at coded places (n,) as people write them, (n,).

        They have three digits, are whole where only whole numbers were tested, and powers of 2
        where only these were.
        """
        low, high = self._scaled(np.array([self.levels[0], self.levels[-1]]))
        place = low + (np.asarray(coded) + 1) / 2 * (high - low)
        values = np.exp(place) if self.is_log else place
        if self.doubles:
            values = 2.0 ** np.round(np.log2(np.maximum(values, self.levels[0])))
        elif self.is_whole:
            values = np.round(values)
        else:
            values = np.array([float(f"{value:.3g}") for value in values])
        return np.asarray(np.clip(values, self.levels[0], self.levels[-1]))

    def setting(self, coded: float) -> float:
        """Return the value at a coded place as people write it: three digits, or whole."""
        value = self.value(coded)
        value = round(value) if self.is_whole else float(f"{value:.3g}")
        return min(max(value, self.levels[0]), self.levels[-1])

    def _scaled(self, values: Array) -> Array:
        return np.log(values) if self.is_log else np.asarray(values, dtype=np.float64)


@dataclass(frozen=True)
class Surface:
    """A fitted polynomial.

    Attributes:
        order: one of `ORDERS`.
        terms: (p,) the terms.
        coefficients: (p,) b, in units of the metric.
        covariance: (p, p) of b; NaN where no degree of freedom is left.
        residual_sd: standard deviation of e.
        degrees: degrees of freedom, R - p.
    """

    order: str
    terms: tuple[Term, ...]
    coefficients: Array
    covariance: Array
    residual_sd: float
    degrees: int

    def predict(self, coded: Array) -> Array:
        """Return the metric at coded points (n, K), shape (n,)."""
        return np.asarray(design_matrix(coded, self.terms) @ self.coefficients)

    def standard_error(self, coded: Array, reference: Array | None = None) -> Array:
        """Return the standard error of the mean at coded points, or of its difference, (n,).

        Args:
            coded: points, (n, K).
            reference: a point (1, K); the difference from its mean is meant where it is given.
        """
        rows = design_matrix(coded, self.terms)
        if reference is not None:
            rows = rows - design_matrix(reference, self.terms)
        return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", rows, self.covariance, rows)))


def terms_of(order: str, factors: Sequence[SweptFactor]) -> tuple[Term, ...]:
    """Return the terms of an order; only a factor of three levels or more has a square."""
    indices = range(len(factors))
    terms: list[Term] = [()]
    if order in ORDERS[1:]:
        terms += [(index,) for index in indices]
    if order in ("interactions", "quadratic"):
        terms += itertools.combinations(indices, 2)
    if order in ("squares", "quadratic"):
        terms += [(index, index) for index in indices if len(factors[index].levels) > 2]
    return tuple(terms)


def design_matrix(coded: Array, terms: Sequence[Term]) -> Array:
    """Return the value of each term at coded points (n, K), shape (n, p)."""
    columns = [np.prod(coded[:, list(term)], axis=1) for term in terms]
    return np.asarray(np.stack(columns, axis=1))


def fit_terms(order: str, terms: tuple[Term, ...], coded: Array, values: Array) -> Surface | None:
    """Fit a polynomial to runs at coded points (R, K) with measured values (R,).

    Returns:
        The surface; `None` where the points do not determine all terms.
    """
    rows = design_matrix(coded, terms)
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    if len(rows) < len(terms) or sizes[-1] < _RANK_TOLERANCE * sizes[0]:
        return None
    inverse = basis.T @ np.diag(sizes**-2.0) @ basis
    coefficients = inverse @ rows.T @ values
    degrees = len(rows) - len(terms)
    squares = float(np.sum((values - rows @ coefficients) ** 2))
    variance = squares / degrees if degrees else np.nan
    return Surface(
        order, terms, coefficients, variance * inverse, float(np.sqrt(variance)), degrees
    )


def held_out(
    terms: tuple[Term, ...], coded: Array, values: Array, group: NDArray[np.intp]
) -> Array | None:
    """Predict every run from the runs at other points, (R,).

    Args:
        terms: terms of the polynomial.
        coded: (R, K) coded points.
        values: (R,) measured values.
        group: (R,) number of the point of each run; replicates share one.

    Returns:
        Predictions; `None` where the other points do not determine all terms.
    """
    predicted = np.empty(len(values))
    for number in np.unique(group):
        out = group == number
        surface = fit_terms("", terms, coded[~out], values[~out])
        if surface is None:
            return None
        predicted[out] = surface.predict(coded[out])
    return predicted
