"""How sure each measured value is, where its standard error is known.

Standard errors come from a file beside the metrics (`swarm.standard_errors`) or from columns such
as `acc_stderr`. They say how far single values may be off, so a run counts

    w_j = (seeds + usual) / (seeds + se_j^2),    at least 1e-6

times one whose error is the usual one. `usual` is the square of the median error. `seeds` is what
runs differ by besides: what replicates say, and at least `usual`, since seeds were never seen to
matter less. Only ratios of errors count for a fit. Items of an evaluation are the same for all
runs, so that runs differ by less than their errors say; how much an ordinary run is off is learnt
from the runs themselves.

Legend: ``R`` runs, ``M`` metrics, ``U`` unique mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olmix.config.fit import SwarmTables
from olmix.config.scales import SCALE_COLUMN
from olmix.laws.replicates import pooled_sd
from olmix.records.metric import error_of, sort_names
from olmix.records.mmlu import subtasks_of
from olmix.simplex import Array
from olmix.text.csv import Table, read_table

__all__ = [
    "Noise",
    "as_usual",
    "errors_of",
    "find_noise",
    "mean_errors",
    "noise_between",
    "read_metrics",
    "with_errors",
    "wrong_errors",
]

_COLUMN = "{}_stderr"
_LEAST = 1e-6
"""Weight of a run whose error is beyond all bounds."""


@dataclass(frozen=True)
class Noise:
    """How sure the values of a swarm are.

    Attributes:
        weights: (R, M) what a value counts, 1 with the usual error or an unknown one.
        usual: (M,) variance of a run with the usual error, 0 where no error is known.
    """

    weights: Array
    usual: Array

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which metrics have standard errors, (M,)."""
        return np.asarray(self.usual > 0)


def read_metrics(
    tables: SwarmTables, metrics: Table | None = None, errors: Table | None = None
) -> Table:
    """Return the metrics of a swarm, with their standard errors as columns of their own.

    Where no file of errors is named, ``NAME_se.csv`` beside ``NAME.csv`` is taken if it is there.

    Args:
        tables: where they lie.
        metrics: the metrics, where they are not to be read.
        errors: their standard errors, where these are not to be read.

    Raises:
        DataError: a table cannot be read.
    """
    file = tables.standard_errors
    group = SCALE_COLUMN if tables.one_table else None
    if metrics is None:
        metrics = read_table(tables.metrics, group)
        beside = Path(tables.metrics)
        beside = beside.with_name(f"{beside.stem}_se{beside.suffix}")
        if file is None and "://" not in tables.metrics and beside.is_file():
            file = str(beside)
    if errors is None and file is not None:
        errors = read_table(file, group)
    return metrics if errors is None else with_errors(metrics, errors)


def with_errors(metrics: Table, errors: Table) -> Table:
    """Return the metrics with columns for their standard errors, joined by run (and group).

    Args:
        metrics: the metrics.
        errors: a column for each metric, named as the metric or as its error; others are ignored,
            and so are those that the metrics have already.
    """
    have = set(sort_names(metrics.columns).errors.values())
    by_group = bool(metrics.groups and errors.groups)
    keys = [
        list(zip(t.runs, t.groups if by_group else t.runs, strict=True)) for t in (metrics, errors)
    ]
    position = {key: row for row, key in enumerate(keys[1])}
    columns, values = list(metrics.columns), [metrics.values]
    for index, name in enumerate(errors.columns):
        metric = name if name in metrics.columns else error_of(name)
        if metric not in metrics.columns or metric in have:
            continue
        have.add(metric)
        own = [errors.values[position[k], index] if k in position else np.nan for k in keys[0]]
        columns.append(_COLUMN.format(metric))
        values.append(np.array(own)[:, None])
    return replace(metrics, columns=tuple(columns), values=np.hstack(values))


def errors_of(table: Table, names: Sequence[str]) -> Array:
    """Return the standard error of each value of the metrics `names`, NaN where unknown, (R, M).

    That of a category of MMLU follows from those of its subtasks.
    """
    column = {metric: name for name, metric in sort_names(table.columns).errors.items()}
    unknown = np.full(len(table.runs), np.nan)

    def own(name: str) -> Array:
        if name in column:
            return table.select([column[name]])[:, 0]
        parts = subtasks_of(name, table.columns)
        if parts is None or not set(parts) <= set(column):
            return unknown
        errors = table.select([column[part] for part in parts])
        return np.asarray(np.sqrt((errors**2) @ np.array(list(parts.values())) ** 2))

    return np.stack([own(name) for name in names], axis=1)


def mean_errors(errors: Array) -> Array:
    """Return the standard error of the mean of metrics whose own are `errors` (R, n), (R,)."""
    return np.asarray(np.sqrt((errors**2).sum(axis=1)) / errors.shape[1])


def wrong_errors(table: Table, names: Sequence[str]) -> list[str]:
    """Return what is wrong with the standard errors of the metrics `names`."""
    return [
        f"{table.path}: the standard error of {name} is {column[rows[0]]:g} in run "
        f"{table.runs[rows[0]]}{f' and below 0 in {len(rows) - 1} more' if len(rows) > 1 else ''}; "
        "it cannot be below 0"
        for name, column in zip(names, errors_of(table, names).T, strict=True)
        if len(rows := np.flatnonzero(column < 0))
    ]


def find_noise(values: Array, errors: Array, group: NDArray[np.intp]) -> Noise | None:
    """Return what single values count, `None` where no error is known.

    Args:
        values: (R, M) measured values, accidents moved; NaN where there is none.
        errors: (R, M) their standard errors, NaN where unknown.
        group: (R,) which unique mixture a run trained on.
    """
    if not (errors > 0).any():
        return None
    weights, usual = np.ones_like(values), np.zeros(values.shape[1])
    for index, (column, own) in enumerate(zip(values.T, errors.T, strict=True)):
        if not (own > 0).any():
            continue
        middle = float(np.median(own[own > 0]))
        ratio = np.where(np.isnan(own), 1.0, np.minimum(own / middle, 1e6)) ** 2
        first = 2 / (1 + ratio)
        between, _ = noise_between(column, first, group)
        # In units of the usual error: what replicates differ by besides.
        seeds = max((between / middle) ** 2 - 1, 0.0) if between is not None else 0.0
        usual[index] = (seeds + 1) * middle**2
        seeds = max(seeds, 1.0)
        weights[:, index] = np.maximum((seeds + 1) / (seeds + ratio), _LEAST)
    return Noise(weights, usual)


def noise_between(
    values: Array, weights: Array, group: NDArray[np.intp]
) -> tuple[float | None, int]:
    """Return the standard deviation between runs of one mixture, pooled, and its freedom.

    Args:
        values: (R,) one metric; NaN where it was not measured.
        weights: (R,) what a run counts; the deviation is that of a run which counts 1.
        group: (R,) which unique mixture a run trained on.
    """
    seen = np.isfinite(values)
    rows = [np.flatnonzero((group == own) & seen) for own in np.unique(group)]
    return pooled_sd([values[own] for own in rows], [weights[own] for own in rows])


def as_usual(residuals: Array, weights: Array, usual: float) -> Array:
    """Return residuals of the size that they would have, had each run the usual error, (n,).

    The mean square of residuals is that of the law and that of the runs; a run that counts `w` has
    1/w times the variance of an ordinary one.

    Args:
        residuals: (n,) measured minus predicted.
        weights: (n,) what each counts.
        usual: variance of an ordinary run. Where the residuals are smaller, they show that it is
            overstated, and are those of runs alone.
    """
    mean = float((weights * residuals**2).sum() / weights.sum())
    share = len(weights) / float(weights.sum())
    own = min(usual, mean / share)
    if own <= 0:
        return residuals
    law = mean - own * share
    return np.asarray(residuals * np.sqrt((law + own) / (law + own / weights)))
