"""The two tables of a swarm: read for one scale or the only one, and checked row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from olmix.config.fit import FilteringConfig, SwarmTables
from olmix.config.scales import SCALE_COLUMN, SwarmScale
from olmix.domains import is_below
from olmix.errors import DataError
from olmix.fit.mixture_rows import wrong_weights
from olmix.fit.noise import read_metrics
from olmix.records.metric_identity import MetricIdentity, join_identities, read_identities
from olmix.simplex import Array
from olmix.text.csv import FALLBACK_ID, Table, read_table
from olmix.text.numbers import counted, listed

__all__ = [
    "filtered_out",
    "metric_identities",
    "not_joined",
    "of_scale",
    "read_tables",
    "stop_at",
    "wrong_domains",
    "wrong_rows",
]

_MOST_SHOWN = 50
_MOST_ALIKE = 5
"""Runs with the same problem that are named one by one."""


def read_tables(swarm: SwarmTables, scale: SwarmScale | None = None) -> tuple[Table, Table]:
    """Read ratios and metrics of a scale; the smallest, or the only one, if none is named.

    Standard errors of the metrics are columns beside them.

    Raises:
        DataError: a table cannot be read, or holds no run of the smallest scale.
    """
    if not swarm.one_table:
        ratios, metrics = swarm.ratios, swarm.metrics
        own = swarm
        if scale is not None and scale.ratios is not None and scale.metrics is not None:
            ratios = scale.ratios
            if scale.metrics != metrics:
                changes = {"metrics": scale.metrics, "standard_errors": None}
                own = swarm.model_copy(update=changes)
        return read_table(ratios), read_metrics(own)
    whole = (read_table(swarm.ratios, SCALE_COLUMN), read_metrics(swarm))
    return of_scale(swarm, whole, scale)


def of_scale(
    swarm: SwarmTables, tables: tuple[Table, Table], scale: SwarmScale | None = None
) -> tuple[Table, Table]:
    """Return the runs of a scale, of two tables that all scales share.

    A table without a column `scale` has those of the other, by run.

    Args:
        swarm: names the scales.
        tables: ratios and metrics.
        scale: the smallest if left out.

    Raises:
        DataError: no table has the column, it names a scale that `swarm` lacks, the two tables
            disagree on a run, or no run has the smallest scale.
    """
    smallest = swarm.ordered_scales[0].name
    ratios, metrics = tables
    if not ratios.groups and not metrics.groups:
        stop_at([f"{ratios.path} and {metrics.path}: neither has a column `{SCALE_COLUMN}`"])
    ratios, metrics = _grouped(ratios, metrics, smallest), _grouped(metrics, ratios, smallest)
    known = {one.name for one in swarm.scales}
    for table in (ratios, metrics):
        strange = sorted(set(table.groups) - known)
        if strange:
            found = ", ".join(one or "an empty cell" for one in strange)
            stop_at([f"{table.path}: {SCALE_COLUMN}: found {found}, which swarm.scales lacks"])
        if scale is None and smallest not in table.groups:
            stop_at([f"{table.path}: no run has the scale {smallest}, which gives the shape"])
    left, right = _scales_by_run(ratios), _scales_by_run(metrics)
    stop_at(
        [
            f"run {run} has the scale {listed(sorted(left[run]))} in {ratios.path} and "
            f"{listed(sorted(right[run]))} in {metrics.path}"
            for run in ratios.runs
            if run in right and not left[run] & right[run]
        ]
    )
    name = smallest if scale is None else scale.name
    return ratios.of_group(name), metrics.of_group(name)


def _scales_by_run(table: Table) -> dict[str, set[str]]:
    """Return the scales that each run was trained at."""
    found: dict[str, set[str]] = {}
    for run, scale in zip(table.runs, table.groups, strict=True):
        found.setdefault(run, set()).add(scale)
    return found


def _grouped(table: Table, other: Table, smallest: str) -> Table:
    """Return a table with the scales that its runs have in another, where it names none itself.

    A run that the other table lacks counts as one of the smallest scale, where it will be missed.
    """
    if table.groups:
        return table
    scales = _scales_by_run(other)
    stop_at(
        [
            f"{table.path}: a column `{SCALE_COLUMN}` is needed: run {run} has the scales "
            f"{listed(sorted(own))} in {other.path}"
            for run, own in scales.items()
            if len(own) > 1
        ]
    )
    return replace(table, groups=tuple(min(scales.get(run, {smallest})) for run in table.runs))


def metric_identities(swarm: SwarmTables) -> dict[str, MetricIdentity]:
    """Return what the metrics of all tables were computed with, as far as companions say.

    Raises:
        DataError: two tables hold different metrics under one name.
    """
    scales = swarm.ordered_scales or (None,)
    files = dict.fromkeys(
        own for one in scales if (own := (one and one.metrics) or swarm.metrics) is not None
    )
    return join_identities((file, read_identities(file)) for file in files)


def stop_at(problems: Sequence[str]) -> None:
    """Raise what is wrong, if anything is.

    Raises:
        DataError: with the first of the problems, and the number of the others.
    """
    if problems:
        shown = list(problems[:_MOST_SHOWN])
        if len(problems) > len(shown):
            shown.append(f"and {counted(len(problems) - len(shown), 'more problem')}")
        raise DataError("\n".join(shown))


def not_joined(ratios: Table, metrics: Table) -> list[str]:
    """Return what to say of two tables that share no run, nothing where they do."""
    if set(ratios.runs) & set(metrics.runs):
        return _other_names(ratios, metrics)
    return [
        f"{ratios.path} and {metrics.path} have no run in common: the first starts with "
        f"{ratios.runs[0]}, the second with {metrics.runs[0]}. The tables are joined on `run`"
    ]


def _other_names(ratios: Table, metrics: Table) -> list[str]:
    """Return what to say of tables that are joined by the number of a row and disagree in names."""
    if not ratios.key == metrics.key == FALLBACK_ID:
        return []
    left, right = (dict(zip(table.runs, table.names, strict=True)) for table in (ratios, metrics))
    # A row without a name of its own is named as its index.
    pairs = [(run, left[run], right[run]) for run in ratios.runs if run in right]
    wrong = [(run, one, two) for run, one, two in pairs if len({run, one, two}) == 3]
    return [
        f"{ratios.path} and {metrics.path} are joined on `index`, but disagree in `name` for "
        f"{counted(len(wrong), 'run')}: {run} is {one} in the first and {two} in the second. If "
        "`index` is the number of a row, remove it and rename `name` to `run`; else remove `name`"
        for run, one, two in wrong[:1]
    ]


def wrong_domains(domains: Sequence[str], ratios: Table) -> list[str]:
    """Return what is wrong with the columns of a table of mixtures."""
    given, known = set(ratios.columns), set(domains)
    if given == known:
        return []
    parts = []
    if given - known:
        parts.append(f"the priors lack {', '.join(sorted(given - known))}")
    if known - given:
        parts.append(f"the table lacks {', '.join(sorted(known - given))}")
    return [f"{ratios.path}: its columns are not the domains of priors: {'; '.join(parts)}"]


def wrong_rows(ratios: Table, domains: tuple[str, ...]) -> list[str]:
    """Return what is wrong with the runs whose weights are no mixture; many alike are one."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for run, row in zip(ratios.runs, ratios.select(domains), strict=True):
        what = wrong_weights(domains, row)
        if what is not None:
            kind = re.sub(r"(?<![\w.])-?[\d.]+(e[-+]?\d+)?(?![\w.]*\w)", "", what)
            alike.setdefault(kind, []).append((run, what))
    problems = []
    for found in alike.values():
        run, what = found[0]
        if len(found) > _MOST_ALIKE:
            problems.append(f"{ratios.path}: {len(found)} runs, the first of them {run}: {what}")
        else:
            problems += [f"{ratios.path}: run {run}: {what}" for run, what in found]
    return problems


def filtered_out(
    filtering: FilteringConfig, domains: tuple[str, ...], weights: Mapping[str, Array]
) -> dict[str, str]:
    """Return the runs that `filtering` leaves out, with the reason."""
    out = {}
    wanted, support = filtering.keep_sources, filtering.support_domains
    members = [np.array([is_below(domain, node) for domain in domains]) for node in wanted]
    inside = np.any([np.zeros(len(domains), dtype=bool), *members], axis=0)
    supported = np.array([name in support for name in domains])
    for run, row in weights.items():
        if wanted and (row[~inside].sum() > 1e-9 or not all(row[own].sum() > 0 for own in members)):
            out[run] = "filtering.keep_sources: its mixture has other sources too"
        elif support and abs(row[supported].sum() - 1) > 1e-6:
            out[run] = "filtering.support_domains: its mixture has other domains too"
    return out
