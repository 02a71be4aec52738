"""Every run as a row of a table: its weights, its metrics, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.records.fit.folder import FitFolder
from olmix.report.mixture_names import label_of
from olmix.text.csv import Table
from olmix.text.numbers import fixed

__all__ = ["Cell", "RunsTable", "RunsTableRow", "runs_table", "verification_table"]


@dataclass(frozen=True)
class Cell:
    """One number: as it is shown, as it is sorted, and the share of its cell that is tinted."""

    text: str
    value: str
    fill: str = ""


@dataclass(frozen=True)
class RunsTableRow:
    """One run."""

    label: str
    is_best: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Column:
    """One column; `kind` is `fact`, `weight` or `metric`."""

    name: str
    kind: str


@dataclass(frozen=True)
class RunsTable:
    """A table of runs, the best one first.

    Attributes:
        columns: all columns but the first, which holds the labels.
        rows: the runs.
    """

    columns: tuple[Column, ...]
    rows: tuple[RunsTableRow, ...]


def runs_table(content: FitFolder) -> RunsTable:
    """Return the runs of the swarm: the objective, the weights in per cent, the other metrics."""
    domains = _present(content.leaves, content.ratios)
    metrics = [m.name for m in content.metrics if m.name in content.predictions or content.measured]
    measured = {name: _measured(content, name) for name in metrics}
    objective = {run: _objective(content, measured, run) for run in content.runs}
    first, others = _metric_columns(content, metrics)
    seeds = {run: content.run_facts.get(run, {}).get("seed") or "" for run in content.runs}
    has_seed = any(seeds.values())
    columns = (
        *([Column("seed", "fact")] if has_seed else []),
        *(Column(name, "metric") for name in first),
        *(Column(f"{name} %", "weight") for name in domains),
        *(Column(name, "metric") for name in others),
    )
    shares = _weights(content, domains)
    sign = content.objective.sign
    known = [run for run in content.runs if math.isfinite(objective[run])]
    best = min(known, key=lambda run: sign * objective[run], default=None)
    rows = []
    for run in content.runs:
        cells = [Cell(seeds[run], seeds[run])] if has_seed else []
        cells += [_cell(objective[run], 4) for _ in first]
        cells += [_share(weight) for weight in shares.get(run, [math.nan] * len(domains))]
        cells += [_cell(measured[name].get(run, math.nan), 4) for name in others]
        rows.append(
            (sign * objective[run], RunsTableRow(content.names[run], run == best, tuple(cells)))
        )
    rows.sort(key=lambda item: math.inf if math.isnan(item[0]) else item[0])
    return RunsTable(columns, tuple(row for _, row in rows))


def _metric_columns(content: FitFolder, metrics: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the column of the objective, and those of the metrics that are not it."""
    if len(content.objective.metrics) > 1:
        return ["objective"], list(metrics)
    target = [name for name in metrics if name in content.objective.weights]
    return target, [name for name in metrics if name not in target]


def verification_table(content: FitFolder) -> RunsTable | None:
    """Return the runs of the verification as `verification.csv` holds them."""
    found = content.verification
    measured = content.verification_rows
    if found is None or not measured:
        return None
    first = [key for key in ("seed", found.metric) if key in measured[0]]
    keys = [*first, *(key for key in measured[0] if key not in ("run", "mixture", *first))]
    rows = []
    for row in measured:
        cells = []
        for key in keys:
            text = row.get(key) or ""
            cells.append(Cell(text, text) if key == "seed" else _cell(_float(text), 4))
        mixture = row.get("mixture") or ""
        rows.append(RunsTableRow(label_of(content, mixture), False, tuple(cells)))
    columns = tuple(Column(key, "fact" if key == "seed" else "metric") for key in keys)
    return RunsTable(columns, tuple(rows))


def _present(names: Sequence[str], table: Table | None) -> list[str]:
    return [] if table is None else [name for name in names if name in table.columns]


def _weights(content: FitFolder, domains: Sequence[str]) -> dict[str, list[float]]:
    table = content.ratios
    if table is None:
        return {}
    return dict(zip(table.runs, table.select(domains).tolist(), strict=True))


def _measured(content: FitFolder, metric: str) -> dict[str, float]:
    """Return the measured values of a metric by run, from its table or from the predictions."""
    table = content.measured
    if table is not None and metric in table.columns:
        return dict(zip(table.runs, table.select([metric])[:, 0].tolist(), strict=True))
    found = content.predictions.get(metric)
    return {} if found is None else dict(zip(found.runs, found.measured.tolist(), strict=True))


def _objective(content: FitFolder, measured: Mapping[str, Mapping[str, float]], run: str) -> float:
    """Return the weighted average of a run's metrics; NaN where one of them is missing."""
    values = {
        name: np.array(measured.get(name, {}).get(run, math.nan))
        for name in content.objective.weights
    }
    return float(content.objective.average(values))


def _cell(value: float, places: int) -> Cell:
    return Cell(fixed(value, places), repr(value) if math.isfinite(value) else "")


def _share(weight: float) -> Cell:
    if not math.isfinite(weight):
        return Cell(fixed(weight), "")
    return Cell(fixed(100 * weight, 1), repr(weight), f"{100 * min(max(weight, 0.0), 1.0):.1f}%")


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
