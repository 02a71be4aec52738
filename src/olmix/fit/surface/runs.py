"""Reading the two tables of a sweep: settings and metrics, joined by run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olmix.config.surface import SurfaceConfig
from olmix.errors import DataError, nearest
from olmix.fit.surface.polynomial import SweptFactor
from olmix.laws.replicates import pooled_sd
from olmix.simplex import Array
from olmix.text.csv import Table, read_table

__all__ = ["Runs", "load_runs"]

_FEWEST = 3


@dataclass(frozen=True)
class Runs:
    """The runs that a surface is fitted to.

    Attributes:
        names: (R,) ids.
        factors: (K,) what was varied.
        settings: (R, K) values of the factors.
        values: (R,) measured metric.
        left_out: runs of the factors' table without the metric.
    """

    names: tuple[str, ...]
    factors: tuple[SweptFactor, ...]
    settings: Array
    values: Array
    left_out: tuple[str, ...] = ()

    @property
    def coded(self) -> Array:
        """The settings in [-1, 1], (R, K)."""
        return self.code(self.settings)

    @property
    def group(self) -> NDArray[np.intp]:
        """Number of the point of each run, (R,); replicates share one."""
        _, numbers = np.unique(self.settings, axis=0, return_inverse=True)
        return np.asarray(numbers.reshape(-1), dtype=np.intp)

    def code(self, settings: Array) -> Array:
        """Map settings (n, K) to [-1, 1]."""
        columns = [f.code(settings[:, index]) for index, f in enumerate(self.factors)]
        return np.stack(columns, axis=1)

    def noise_sd(self) -> float | None:
        """Return the standard deviation between replicates, pooled; `None` without replicates."""
        return pooled_sd(self.values[self.group == own] for own in np.unique(self.group))[0]


def load_runs(config: SurfaceConfig) -> Runs:
    """Read and check the runs.

    Raises:
        DataError: with everything that is wrong: columns that are missing, factors that do not vary
            or cannot be told apart, too few runs.
    """
    settings, metrics = read_table(config.tables.factors), read_table(config.tables.metrics)
    problems = [
        *_missing(settings, tuple(config.factors)),
        *_missing(metrics, (config.metric,)),
    ]
    _stop(problems)
    measured = dict(zip(metrics.runs, metrics.select([config.metric])[:, 0], strict=True))
    names = tuple(run for run in settings.runs if np.isfinite(measured.get(run, np.nan)))
    if len(names) < _FEWEST:
        raise DataError(
            f"{metrics.path}: {len(names)} runs of {settings.path} have the metric "
            f"{config.metric}; a surface needs at least {_FEWEST}"
        )
    rows = settings.select(tuple(config.factors))
    rows = rows[[settings.runs.index(run) for run in names]]
    for index, (name, scale) in enumerate(config.factors.items()):
        problems += _unusable(settings, names, name, rows[:, index], scale)
    _stop(problems)
    factors = tuple(
        SweptFactor(name, tuple(np.unique(rows[:, index]).tolist()), scale == "log")
        for index, (name, scale) in enumerate(config.factors.items())
    )
    left_out = tuple(run for run in settings.runs if run not in names)
    values = np.array([measured[run] for run in names])
    runs = Runs(names, factors, rows, values, left_out)
    _stop(_confounded(settings, runs))
    return runs


def _missing(table: Table, wanted: tuple[str, ...]) -> list[str]:
    problems = []
    for name in wanted:
        if name not in table.columns:
            guess = nearest(name, table.columns)
            hint = f"did you mean `{guess}`?" if guess else f"it has: {', '.join(table.columns)}"
            problems.append(f"{table.path}: there is no column {name}; {hint}")
    return problems


def _unusable(
    table: Table, names: tuple[str, ...], name: str, column: Array, scale: str
) -> list[str]:
    if np.isnan(column).any():
        empty = [run for run, value in zip(names, column, strict=True) if np.isnan(value)]
        return [f"{table.path}: {name} is empty for {', '.join(empty[:8])}"]
    if np.ptp(column) == 0:
        return [
            f"{table.path}: {name} is {column[0]:g} in every run, so nothing can be learned about "
            "it; remove it from factors"
        ]
    if scale == "log" and column.min() <= 0:
        return [
            f"{table.path}: {name} has the value {column.min():g}; a log scale needs values above 0"
        ]
    return []


def _confounded(table: Table, runs: Runs) -> list[str]:
    """Name the factors that always move together, whose effects cannot be told apart."""
    return [
        f"{table.path}: {first.name} and {second.name} always move together, so their effects "
        "cannot be told apart; keep one of them in factors"
        for (i, first), (j, second) in itertools.combinations(enumerate(runs.factors), 2)
        if _is_monotone(np.unique(runs.settings[:, [i, j]], axis=0))
    ]


def _is_monotone(pairs: Array) -> bool:
    """Whether the second column always rises, or always falls, where the first one rises."""
    first, second = np.diff(pairs, axis=0).T
    return bool((first > 0).all() and ((second > 0).all() or (second < 0).all()))


def _stop(problems: list[str]) -> None:
    if problems:
        raise DataError("\n".join(problems))
