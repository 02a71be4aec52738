"""The next runs of a sweep: where one more run is worth most, one after the other.

A Gaussian process of the settings says what is known. A run at ``x`` is worth how far the least
mean among the tested points and ``x`` is expected to fall once it was made, which is the knowledge
gradient of Scott, Frazier and Powell (2011), and without noise expected improvement:

    worth(x) = min_s m(s) - E min_s (m(s) + u(s, x) Z),    u(s, x) = c(s, x) / sqrt(c(x, x) + noise)

Most candidates lie in a region around the best tested point, and some lie anywhere; tested points
are candidates as well. Where the noise of a run is larger than what is unknown of the new point,
one run in four repeats the best tested point: neighbours tell nearly as much of the mean, but
nothing of the noise. After each choice the covariance is that after its run, and the mean stays, so
that a larger batch begins with a smaller one.

Legend: ``R`` runs, ``q`` places, ``K`` factors, each in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from olmix.errors import DataError, nearest, needs
from olmix.fit.surface.polynomial import SweptFactor
from olmix.fit.surface.runs import Runs
from olmix.laws.gaussian import MEAN, KernelSettings, factorise, kernel, maximise
from olmix.records.fit.next_batch import NextBatch, NextRun
from olmix.records.fit.scores import NORMAL_QUANTILE
from olmix.simplex import Array

__all__ = ["Belief", "believe", "choose_batch", "next_batch"]

NUM_RUNS = 16
"""Runs of the list; `olmix sweep generate --after` takes the first ones."""

_ANYWHERE = 512
_NEAR = 1024
_NEAREST, _FARTHEST = 0.005, 0.8
"""How far candidates move a factor from the best point: typically so much, of its range of 2."""
_FINER = (0.2, 0.05, 0.0125)
"""How far the best candidate is moved, round by round, to find a better one."""
_REFINED = 128
_REPEATED = 4
"""One of so many runs repeats the best tested point where noise is large."""
_MAX_STEPS = 60
_REACHES = (None, 1.0, 0.1)
"""How far below the best run the offset lies, in spreads of the runs; None for no logarithm."""
_LENGTH_SD = 0.7
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(31)
_JITTER = 1e-10
_SAME = 1e-9


@dataclass(frozen=True)
class Belief:
    """Predictions of all settings.

    Attributes:
        points: (R, K) points of the runs; replicates share one.
        settings: lengths, signal and noise of the standardised metric.
        targets: (R,) standardised values of the runs; less is better.
        offset: what the logarithm of the metric is taken above; `None` where none is taken.
        centre: what a target of 0 is, in units of the metric or its logarithm.
        scale: how much more a target of 1 is.
    """

    points: Array
    settings: KernelSettings
    targets: Array
    offset: float | None
    centre: float
    scale: float

    @cached_property
    def _factor(self) -> Array:
        return factorise(_stretch(self.points), np.ones(len(self.points)), self.settings)

    @cached_property
    def _solution(self) -> Array:
        return np.asarray(np.linalg.solve(self._factor, self.targets))

    def posterior(self, places: Array) -> tuple[Array, Array, Array]:
        """Return what is known of the standardised metric at places (q, K).

        Returns:
            mean (q,), variance (q,), and covariance with the points of the runs (q, R).
        """
        at, tested = _stretch(places), _stretch(self.points)
        cross = kernel(at, tested, self.settings)
        reduced = np.linalg.solve(self._factor, cross.T)
        known = np.linalg.solve(self._factor, kernel(tested, tested, self.settings))
        variance = MEAN + self.settings.signal - (reduced**2).sum(axis=0)
        return reduced.T @ self._solution, np.maximum(variance, 0.0), cross - reduced.T @ known

    def with_run(self, point: Array) -> Belief:
        """Return the belief once a point (K,) was run, and its value is as it was expected."""
        expected = self.posterior(point[None, :])[0]
        points, targets = np.vstack([self.points, point]), np.append(self.targets, expected)
        return replace(self, points=points, targets=targets)

    def unscale(self, targets: Array) -> Array:
        """Return the metric of standardised targets, in the same shape; less is better."""
        levels = self.centre + self.scale * targets
        return np.asarray(levels if self.offset is None else self.offset + np.exp(levels))


def next_batch(
    runs: Runs, metric: str, limits: Mapping[str, tuple[float, float]], *, lower_is_better: bool
) -> NextBatch:
    """Return the runs to make next.

    Args:
        runs: all runs so far.
        metric: name of their metric.
        limits: least and largest value of factors; others keep to the tested range.
        lower_is_better: direction of the metric.

    Raises:
        DataError: limits are of no factor, or do not hold all tested values.
        MissingPackageError: scipy is not installed.
    """
    searched = _searched(runs, limits)
    sign = 1.0 if lower_is_better else -1.0
    space = replace(runs, factors=searched)
    belief = believe(space.coded, sign * runs.values)

    def settings_of(points: Array) -> Array:
        columns = [factor.settings(points[:, index]) for index, factor in enumerate(searched)]
        return np.stack(columns, axis=1)

    points = choose_batch(belief, lambda places: space.code(settings_of(places)), NUM_RUNS)
    mean, variance, _ = belief.posterior(points)
    reach = NORMAL_QUANTILE * np.sqrt(variance)
    ends = np.sort(sign * belief.unscale(np.stack([mean - reach, mean + reach])), axis=0)
    at_runs = belief.posterior(space.coded)[0]
    rows = zip(points, sign * belief.unscale(mean), *ends, strict=True)
    listed = []
    for point, predicted, low, high in rows:
        same = np.flatnonzero(np.abs(space.coded - point).max(axis=1) < _SAME)
        values = runs.settings[same[0]] if len(same) else settings_of(point[None, :])[0]
        settings = dict(zip((f.name for f in searched), values.tolist(), strict=True))
        repeats = runs.names[same[0]] if len(same) else None
        listed.append(NextRun(settings, repeats, float(predicted), float(low), float(high)))
    return NextBatch(metric=metric, best=runs.names[int(np.argmin(at_runs))], runs=tuple(listed))


def _searched(runs: Runs, limits: Mapping[str, tuple[float, float]]) -> tuple[SweptFactor, ...]:
    """Return the factors over the range in which they are searched."""
    names = [factor.name for factor in runs.factors]
    problems = []
    for name in limits.keys() - set(names):
        guess = nearest(name, names)
        hint = f"did you mean `{guess}`?" if guess else f"the factors are {', '.join(names)}"
        problems.append(f"limits: {name} is not a factor; {hint}")
    found = []
    for factor in runs.factors:
        low, high = limits.get(factor.name, (factor.levels[0], factor.levels[-1]))
        if low > factor.levels[0] or high < factor.levels[-1]:
            problems.append(
                f"limits.{factor.name}: found {low:g} to {high:g}; {factor.levels[0]:g} to "
                f"{factor.levels[-1]:g} were tested, and limits must include them"
            )
        elif factor.is_log and low <= 0:
            problems.append(
                f"limits.{factor.name}: found {low:g}; a log scale needs values above 0"
            )
        found.append(replace(factor, levels=(low, *factor.levels[1:-1], high)))
    if problems:
        raise DataError("\n".join(problems))
    return tuple(found)


def _stretch(points: Array) -> Array:
    """Return points in coordinates in which half a range is the length that a kernel expects."""
    return points * KernelSettings.start(points.shape[1]).lengths


def believe(coded: Array, values: Array) -> Belief:
    """Fit the process to runs at coded points (R, K) with values (R,), of which less is better.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    fits = [_fit(coded, values, reach) for reach in _REACHES]
    return min(fits, key=lambda fit: fit[1])[0]


def _fit(points: Array, values: Array, reach: float | None) -> tuple[Belief, float]:
    """Return a belief, and minus the log density of the values under it.

    Args:
        points: (R, K) points of the runs.
        values: (R,) their metric.
        reach: how far below the least value the offset lies above which logarithms are taken, in
            standard deviations of the values; `None` for none.
    """
    spread = float(values.std()) or 1.0
    offset = None if reach is None else float(values.min()) - reach * spread
    levels = values if offset is None else np.log(values - offset)
    centre, scale = float(levels.mean()), float(levels.std()) or 1.0
    targets = (levels - centre) / scale
    start = KernelSettings.start(points.shape[1])
    even = np.ones(len(points))
    settings, surprise = maximise(_stretch(points), targets, even, start, _MAX_STEPS, _LENGTH_SD)
    surprise += len(values) * np.log(scale) + (0.0 if offset is None else float(levels.sum()))
    return Belief(points, settings, targets, offset, centre, scale), surprise


def choose_batch(
    belief: Belief, allow: Callable[[Array], Array], number: int, seed: int = 0
) -> Array:
    """Return the points of the next runs, (number, K); some may have been tested before.

    Args:
        belief: what is known.
        allow: moves points (q, K) to the nearest allowed ones.
        number: of runs.
        seed: of the candidates.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    rng = np.random.default_rng([seed, len(belief.points)])
    tested = belief.points
    chosen: list[Array] = []
    for _ in range(number):
        best = tested[int(np.argmin(belief.posterior(tested)[0]))]
        places = np.vstack([belief.points, allow(_anywhere_and_near(best, rng))])
        found = places[int(np.argmax(_worth(belief, places)))]
        for size in _FINER:
            places = np.vstack([found, allow(_moved(found, _REFINED, size, size, rng))])
            found = places[int(np.argmax(_worth(belief, places)))]
        noisy = belief.settings.noise > belief.posterior(found[None, :])[1][0]
        if noisy and len(chosen) % _REPEATED == _REPEATED - 1:
            found = best
        chosen.append(found)
        belief = belief.with_run(found)
    return np.array(chosen)


def _worth(belief: Belief, places: Array) -> Array:
    """Return how far the least mean is expected to fall by a run at each of places (q, K), (q,)."""
    means = belief.posterior(belief.points)[0]
    mean, variance, covariance = belief.posterior(places)
    spread = np.sqrt(variance + belief.settings.noise) + _JITTER
    moved = covariance / spread[:, None]
    expected = np.zeros(len(places))
    for node, share in zip(_NODES, _SHARES / _SHARES.sum(), strict=True):
        least = (means + moved * node).min(axis=1)
        expected += share * np.minimum(least, mean + variance / spread * node)
    return np.asarray(means.min() - expected)


def _anywhere_and_near(best: Array, rng: np.random.Generator) -> Array:
    with needs("fit", "The next batch of a sweep"):
        from scipy.stats import qmc
    anywhere = 2 * qmc.Sobol(len(best), rng=rng).random(_ANYWHERE) - 1
    return np.vstack([anywhere, _moved(best, _NEAR, _NEAREST, _FARTHEST, rng)])


def _moved(
    point: Array, number: int, nearest: float, farthest: float, rng: np.random.Generator
) -> Array:
    """Return points (number, K) around a point (K,), some with half of the factors as they are."""
    size = len(point)
    step = np.exp(rng.uniform(np.log(nearest), np.log(farthest), (number, 1)))
    moves = rng.random((number, size)) < max(0.5, 1 / size)
    moves[np.arange(number), rng.integers(0, size, number)] = True
    return np.clip(point + step * moves * rng.normal(size=(number, size)), -1.0, 1.0)
