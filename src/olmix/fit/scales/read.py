"""The runs of a larger scale, read against the swarm of the smallest one.

A larger scale may lack metrics, and has far too few runs for a fit of its own. Otherwise its tables
are read as those of the swarm are, and mean the same.

Legend: ``k`` mixtures of the larger scale, ``D`` domains, ``M`` metrics of the swarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from olmix.config import FitConfig
from olmix.config.scales import SwarmScale
from olmix.fit.metrics import select_metrics
from olmix.fit.mixture_rows import without_noise
from olmix.fit.read_tables import (
    filtered_out,
    not_joined,
    of_scale,
    read_tables,
    stop_at,
    wrong_domains,
    wrong_rows,
)
from olmix.fit.swarm import Swarm
from olmix.fit.tied_domains import pin
from olmix.laws.outliers import without_accidents
from olmix.simplex import SAME_DECIMALS, Array
from olmix.text.csv import Table
from olmix.text.numbers import shortened

__all__ = ["ScaleRuns", "read_scale"]

_LEAST_FOR_ACCIDENTS = 8
"""Runs from which a value far out can be told from the spread of the others."""


@dataclass(frozen=True)
class ScaleRuns:
    """The different mixtures that were trained at a larger scale.

    Attributes:
        scale: its name and size.
        runs: (k,) the first run of each mixture.
        num_runs: all runs, replicates counted.
        mixtures: (k, D) in the domains of the swarm.
        values: (k, M) means over the runs of a mixture, in the order of the swarm's metrics, as
            they stand in the table; NaN where nothing was measured.
        dropped: run to the reason why it takes no part.
    """

    scale: SwarmScale
    runs: tuple[str, ...]
    num_runs: int
    mixtures: Array
    values: Array
    dropped: dict[str, str]


def read_scale(
    config: FitConfig,
    swarm: Swarm,
    scale: SwarmScale,
    tables: tuple[Table, Table] | None = None,
) -> ScaleRuns:
    """Read the runs of a larger scale.

    Args:
        config: as it was given.
        swarm: the runs of the smallest scale.
        scale: the larger one.
        tables: ratios and metrics of all scales, where they are not to be read from files.

    Raises:
        DataError: with all problems of its tables.
    """
    if tables is None:
        ratios, metrics = read_tables(config.swarm, scale)
        columns = read_tables(config.swarm)[1].columns
    else:
        ratios, metrics = of_scale(config.swarm, tables, scale)
        columns = metrics.columns
    if not ratios.runs or not metrics.runs:
        return _no_runs(scale, swarm)
    stop_at(_foreign(metrics, columns))
    # Its table may lack columns of the small one, and then nothing of them was measured.
    chosen = select_metrics(config, _with_columns(metrics, columns))
    domains = config.priors.domains
    stop_at([*not_joined(ratios, metrics), *wrong_domains(domains, ratios), *chosen.problems])
    stop_at(wrong_rows(ratios, domains))
    runs = sorted(set(ratios.runs) & set(metrics.runs))
    rows = without_noise(ratios.select(domains))
    weights = dict(zip(ratios.runs, rows / rows.sum(axis=1, keepdims=True), strict=True))
    dropped = filtered_out(config.filtering, domains, {run: weights[run] for run in runs})
    position = {run: index for index, run in enumerate(metrics.runs)}
    mixtures = swarm.collapse(np.array([weights[run] for run in runs]))
    values = np.array([chosen.values[position[run]] for run in runs])
    for run, mixture, row in zip(runs, mixtures, values, strict=True):
        if not np.isfinite(row).any():
            dropped[run] = "none of the metrics was measured"
        elif mixture[~swarm.live].sum() > 0:
            dropped[run] = "it gives weight to a domain that is in no small run"
    kept = [index for index, run in enumerate(runs) if run not in dropped]
    if not kept:
        return replace(_no_runs(scale, swarm), dropped=dropped)
    mixtures = pin(mixtures[kept], swarm.domains, swarm.pinned)
    named = [runs[index] for index in kept]
    return _averaged(
        swarm, scale, named, mixtures, _cleaned(swarm, mixtures, values[kept]), dropped
    )


def _foreign(metrics: Table, columns: Sequence[str]) -> list[str]:
    """Return what to say of a table that has none of the metrics of the small scale."""
    if set(metrics.columns) & set(columns):
        return []
    return [
        f"{metrics.path}: none of its columns is a metric of the smallest scale: found "
        f"{shortened(metrics.columns)}; there are {shortened(columns)}"
    ]


def _no_runs(scale: SwarmScale, swarm: Swarm) -> ScaleRuns:
    nothing = np.empty((0, len(swarm.domains))), np.empty((0, len(swarm.metrics)))
    return ScaleRuns(scale, (), 0, *nothing, {})


def _with_columns(table: Table, columns: Sequence[str]) -> Table:
    """Return the metrics that the small scale has, empty where the table lacks one."""
    lacking = tuple(name for name in columns if name not in table.columns)
    kept = tuple(name for name in table.columns if name in columns)
    empty = np.full((len(table.runs), len(lacking)), np.nan)
    return replace(table, columns=kept + lacking, values=np.hstack([table.select(kept), empty]))


def _cleaned(swarm: Swarm, mixtures: Array, values: Array) -> Array:
    """Return what was measured, (n, M), with accidents at the end of what is usual."""
    if len(mixtures) < _LEAST_FOR_ACCIDENTS:
        return values
    columns = zip(values.T, swarm.lower_is_better, strict=True)
    return np.stack(
        [without_accidents(mixtures, y, bad_is_high=lower) for y, lower in columns], axis=1
    )


def _averaged(
    swarm: Swarm,
    scale: SwarmScale,
    runs: Sequence[str],
    mixtures: Array,
    values: Array,
    dropped: dict[str, str],
) -> ScaleRuns:
    """Return the mean over the runs of each mixture, in the order of the first run of each."""
    groups: dict[bytes, list[int]] = {}
    for index, mixture in enumerate(mixtures):
        groups.setdefault((np.round(mixture, SAME_DECIMALS) + 0.0).tobytes(), []).append(index)
    members = list(groups.values())
    means = np.full((len(members), len(swarm.metrics)), np.nan)
    for row, own in enumerate(members):
        seen = np.isfinite(values[own])
        total = np.where(seen, values[own], 0.0).sum(axis=0)
        means[row, seen.any(axis=0)] = (total / np.maximum(seen.sum(axis=0), 1))[seen.any(axis=0)]
    first = [own[0] for own in members]
    names = tuple(runs[index] for index in first)
    return ScaleRuns(scale, names, len(runs), mixtures[first], means, dropped)
