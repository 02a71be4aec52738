"""The tables of a collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.collect.record import FACTS, Record
from olmix.collect.selection import Selection
from olmix.text.csv import write_table

__all__ = [
    "FIT_CONFIG",
    "METRICS",
    "RATIOS",
    "STANDARD_ERRORS",
    "write_checkpoints",
    "write_metrics",
    "write_ratios",
    "write_runs",
]

RATIOS, METRICS, FIT_CONFIG = "ratios.csv", "metrics.csv", "fit.yaml"
STANDARD_ERRORS = "metrics_se.csv"


def write_ratios(path: Path, records: Sequence[Record], domains: Sequence[str]) -> None:
    """Write the mixture of each run; a domain that a run does not name weighs 0."""
    columns = {d: [float(record.mixture.get(d, 0.0)) for record in records] for d in domains}
    write_table(path, [record.name for record in records], columns)


def write_metrics(
    path: Path, values: Mapping[str, Mapping[str, float]], columns: Sequence[str]
) -> None:
    """Write the metrics of each run; what was not measured becomes an empty cell."""
    table = {column: [row[column] for row in values.values()] for column in columns}
    write_table(path, list(values), table)


def write_runs(path: Path, records: Sequence[Record], domains: Sequence[str]) -> None:
    """Write one row for every run that was launched, finished or not."""
    columns: dict[str, list[Any]] = {"state": [record.state for record in records]}
    for key in FACTS:
        columns[key] = [record.facts.get(key) for record in records]
    columns["why"] = [record.why or None for record in records]
    for domain in domains:
        columns[f"asked:{domain}"] = [_share(record.asked, domain) for record in records]
        columns[f"trained:{domain}"] = [_share(record.shares, domain) for record in records]
        columns[f"passes:{domain}"] = [_share(record.passes, domain) for record in records]
    write_table(path, [record.name for record in records], columns)


def _share(shares: Mapping[str, float], domain: str) -> float | None:
    """Return a domain's number; `None` where the run has none for any domain."""
    return float(shares.get(domain, 0.0)) if shares else None


def write_checkpoints(path: Path, records: Sequence[Record], selection: Selection) -> None:
    """Write one row for every step of every run at which some metric was measured."""
    names: list[str] = []
    columns: dict[str, list[Any]] = {"step": [], **{column: [] for column in selection.logged}}
    for record in records:
        curves = record.curves()
        points = {column: curves.get(name, {}) for column, name in selection.logged.items()}
        for step in sorted({step for curve in points.values() for step in curve}):
            names.append(record.name)
            columns["step"].append(step)
            for column, curve in points.items():
                columns[column].append(curve.get(step))
    write_table(path, names, columns)
