"""Which surface predicts best, where it is best, and how sure that is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.errors import DataError, needs
from olmix.fit.surface.polynomial import ORDERS, Surface, fit_terms, held_out, terms_of
from olmix.fit.surface.runs import Runs
from olmix.simplex import Array

__all__ = ["Interval", "Optimum", "SurfaceCandidate", "choose", "compare", "find_optimum"]

_MOST_CORNERS = 6


@dataclass(frozen=True)
class SurfaceCandidate:
    """A polynomial and how well it predicts points that it has not seen.

    Attributes:
        surface: the fit to all runs.
        predicted: (R,) value of each run from the runs at other points.
        rmse: root of the mean square of its error.
    """

    surface: Surface
    predicted: Array
    rmse: float


@dataclass(frozen=True)
class Interval:
    """A number and where it probably lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Optimum:
    """The best point of a surface within the tested ranges.

    Attributes:
        settings: value of each factor.
        predicted: metric of one new run there.
        tested: the run whose point the surface holds for the best tested one.
        gain: how much better the optimum is than that point, in units of the metric.
        edges: factors whose best value is the end of their tested range.
    """

    settings: Mapping[str, float]
    predicted: Interval
    tested: str
    gain: Interval
    edges: tuple[str, ...]


def compare(runs: Runs) -> dict[str, SurfaceCandidate]:
    """Return the polynomials that the runs determine, by order, from few terms to many.

    An order without a term of its own, or without a degree of freedom to measure its error, is not
    among them.
    """
    coded, group = runs.coded, runs.group
    found: dict[str, SurfaceCandidate] = {}
    seen: set[tuple[tuple[int, ...], ...]] = set()
    for order in ORDERS:
        terms = terms_of(order, runs.factors)
        surface = fit_terms(order, terms, coded, runs.values)
        predicted = held_out(terms, coded, runs.values, group)
        if surface is None or predicted is None or surface.degrees < 1 or terms in seen:
            continue
        seen.add(terms)
        rmse = float(np.sqrt(np.mean((runs.values - predicted) ** 2)))
        found[order] = SurfaceCandidate(surface, predicted, rmse)
    return found


def choose(candidates: Mapping[str, SurfaceCandidate], order: str) -> SurfaceCandidate:
    """Return the candidate that was asked for, or the one that predicts best.

    Raises:
        DataError: the runs do not determine the order asked for.
    """
    if order == "auto":
        return min(candidates.values(), key=lambda candidate: candidate.rmse)
    if order not in candidates:
        known = ", ".join(candidates)
        raise DataError(
            f"order: the runs cannot determine a {order} surface; they can determine: {known}. "
            "Run more levels or more points"
        )
    return candidates[order]


def find_optimum(
    runs: Runs, surface: Surface, *, lower_is_better: bool, coverage: float
) -> Optimum:
    """Return the best point within the tested ranges.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    with needs("fit", "A response surface"):
        from scipy import stats
    sign = 1.0 if lower_is_better else -1.0
    tested = runs.coded
    best = int(np.argmin(sign * surface.predict(tested)))
    coded = _lowest(lambda points: sign * surface.predict(points), tested)
    settings = _nearest_allowed(runs, coded, lambda points: sign * surface.predict(points))
    place = runs.code(settings[None, :])
    reference = tested[best : best + 1]
    mean = float(surface.predict(place)[0])
    one_run = float(np.hypot(surface.standard_error(place)[0], surface.residual_sd))
    reach = float(stats.t.ppf((1 + coverage) / 2, surface.degrees)) * one_run
    gain = float(sign * (surface.predict(reference)[0] - mean))
    freedom = len(surface.terms) - 1
    scheffe = np.sqrt(freedom * stats.f.ppf(coverage, freedom, surface.degrees))
    width = float(scheffe * surface.standard_error(place, reference)[0])
    # No loss is below 0, whatever a few runs allow.
    floor = 0.0 if lower_is_better and runs.values.min() >= 0 else -np.inf
    named = dict(zip((f.name for f in runs.factors), settings.tolist(), strict=True))
    edges = tuple(f.name for f in runs.factors if named[f.name] in (f.levels[0], f.levels[-1]))
    return Optimum(
        named,
        Interval(max(mean, floor), max(mean - reach, floor), mean + reach),
        runs.names[best],
        Interval(gain, gain - width, gain + width),
        edges,
    )


def _lowest(function: Callable[[Array], Array], tested: Array) -> Array:
    """Return the lowest point of a function on [-1, 1]^K, (K,).

    A polynomial of the second order has several low corners at the most, so searching down from all
    corners (of up to six factors), the middle and every tested point finds the lowest.
    """
    from scipy.optimize import minimize

    size = tested.shape[1]
    starts = [np.zeros(size), *np.unique(tested, axis=0)]
    if size <= _MOST_CORNERS:
        starts += [np.array(corner) for corner in itertools.product((-1.0, 1.0), repeat=size)]
    ends = [
        minimize(
            lambda x: float(function(x[None, :])[0]),
            start,
            method="L-BFGS-B",
            bounds=[(-1, 1)] * size,
        ).x
        for start in starts
    ]
    return np.asarray(min(ends, key=lambda end: float(function(end[None, :])[0])))


def _nearest_allowed(runs: Runs, coded: Array, function: Callable[[Array], Array]) -> Array:
    """Return the settings at a coded point; whole factors go up or down, whichever is better."""
    options: list[Sequence[float]] = []
    for factor, place in zip(runs.factors, coded, strict=True):
        value = factor.setting(float(place))
        near = [value - 1, value, value + 1] if factor.is_whole else [value]
        options.append([v for v in near if factor.levels[0] <= v <= factor.levels[-1]])
    points = np.array(list(itertools.product(*options)))
    return np.asarray(points[int(np.argmin(function(runs.code(points))))])
