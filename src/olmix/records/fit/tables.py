"""The tables of a fit folder: predictions, responses, a triangle, a Pareto front, effects.

They are CSV files for people and for spreadsheets. A cell that is no number is NaN.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from olmix.errors import DataError
from olmix.records.fit.scores import AGAIN
from olmix.records.typed_json import Items, Name, Table, read_record
from olmix.records.typed_json import Number as Value
from olmix.simplex import Array
from olmix.text.csv import unguarded
from olmix.text.files import read_json

__all__ = [
    "FAMILY",
    "FrontFamily",
    "FrontSummary",
    "FrontTable",
    "Predictions",
    "Triangle",
    "read_effects",
    "read_front",
    "read_mixture",
    "read_predictions",
    "read_responses",
    "read_rows",
    "read_triangle",
]

FAMILY = "family:"
"""Start of the columns of `pareto.csv` that hold families: one may have the name of a domain."""
_MOST_BYTES = 256 * 1024**2

Row = Mapping[str, str]


@dataclass(frozen=True)
class Predictions:
    """Predictions of one metric: arrays of shape (R,) in the order of `runs`; NaN where missing."""

    runs: tuple[str, ...]
    measured: Array
    fitted: Array
    held_out: Array


@dataclass(frozen=True)
class Triangle:
    """The objective over mixtures of three domains: arrays (n, 3) and (n,)."""

    domains: tuple[str, ...]
    weights: Array
    values: Array


@dataclass(frozen=True)
class FrontFamily:
    """One family of a Pareto front.

    Attributes:
        metrics: names of its metrics.
        lower_is_better: its direction.
    """

    metrics: Items[Name]
    lower_is_better: bool


@dataclass(frozen=True, kw_only=True)
class FrontSummary:
    """The content of `pareto.json`.

    Attributes:
        format: version of this file.
        families: metrics and direction of each family.
        mixtures: average of each family at named mixtures.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    families: Annotated[Table[FrontFamily], Field(min_length=1)]
    mixtures: Table[Table[Value]] = field(default_factory=dict)


@dataclass(frozen=True)
class FrontTable:
    """The Pareto front over families.

    Attributes:
        families: names.
        values: (n, F) predicted average of each family.
        lower_is_better: direction of each family.
        marked: average of each family at named mixtures.
    """

    families: tuple[str, ...]
    values: Array
    lower_is_better: tuple[bool, ...]
    marked: Mapping[str, Mapping[str, float]]


def read_rows(path: Path) -> tuple[Row, ...]:
    """Return the rows of a CSV file as they are; a missing file has none.

    Raises:
        DataError: the file is too large, no UTF-8, or no CSV.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: larger than {_MOST_BYTES:,} bytes. {AGAIN}")
        text = path.read_text(encoding="utf-8")
    except OSError:
        return ()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}. {AGAIN}") from error
    try:
        lines = csv.reader(StringIO(text, newline=""))
        header = [unguarded(cell) for cell in next(lines, [])]
        empty = dict.fromkeys(header, "")
        return tuple(
            empty | dict(zip(header, map(unguarded, cells), strict=False))
            for cells in lines
            if cells
        )
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}. {AGAIN}") from error


def _cell(row: Row, name: str) -> float:
    try:
        return float(row.get(name) or "")
    except ValueError:
        return math.nan


def read_predictions(path: Path) -> dict[str, Predictions]:
    """Return the predictions of every metric of a `predictions.csv`."""
    by_metric: dict[str, list[Row]] = {}
    for row in read_rows(path):
        by_metric.setdefault(row.get("metric") or "", []).append(row)
    return {
        metric: Predictions(
            tuple(row.get("run") or "" for row in group),
            *(
                np.array([_cell(row, name) for row in group])
                for name in ("measured", "fitted", "held_out")
            ),
        )
        for metric, group in by_metric.items()
    }


def read_responses(path: Path) -> dict[str, tuple[Array, Array]]:
    """Return weights and predictions of the objective of a `responses.csv`, by domain."""
    by_domain: dict[str, list[tuple[float, float]]] = {}
    for row in read_rows(path):
        cells = (_cell(row, "weight"), _cell(row, "predicted"))
        by_domain.setdefault(row.get("domain") or "", []).append(cells)
    arrays = {domain: np.array(cells) for domain, cells in by_domain.items()}
    return {domain: (cells[:, 0], cells[:, 1]) for domain, cells in arrays.items()}


def read_triangle(path: Path) -> Triangle | None:
    """Return the content of a `ternary.csv`; `None` where there is none."""
    rows = read_rows(path)
    if not rows:
        return None
    domains = tuple(list(rows[0])[:3])
    weights = np.array([[_cell(row, domain) for domain in domains] for row in rows])
    return Triangle(domains, weights, np.array([_cell(row, "predicted") for row in rows]))


def read_front(folder: Path) -> FrontTable | None:
    """Return the Pareto front of a fit folder; `None` where none was asked for.

    Raises:
        DataError: `pareto.json` is not as docs/files.md says.
    """
    rows = read_rows(folder / "pareto.csv")
    file = folder / "pareto.json"
    if not rows or not file.is_file():
        return None
    summary = read_record(FrontSummary, file, AGAIN)
    families = tuple(summary.families)
    lacking = [
        f"{name}: {family}"
        for name, values in summary.mixtures.items()
        for family in families
        if family not in values
    ]
    if lacking:
        raise DataError(f"{file}: mixtures: these lack a family: {', '.join(lacking[:8])}. {AGAIN}")
    return FrontTable(
        families,
        np.array([[_cell(row, f"{FAMILY}{family}") for family in families] for row in rows]),
        tuple(family.lower_is_better for family in summary.families.values()),
        summary.mixtures,
    )


def read_effects(path: Path, metrics: Sequence[str], domains: Sequence[str]) -> Array | None:
    """Return an interaction matrix (M, D), whichever way round it was written.

    Returns:
        `None` where there is no such file.

    Raises:
        DataError: it names none of the metrics and domains.
    """
    rows = read_rows(path)
    if not rows:
        return None
    key, *columns = list(rows[0])
    labels = [row[key] for row in rows]
    turned = set(labels) == set(domains) and not set(columns) <= set(domains)
    cells = {
        (column, row[key]) if turned else (row[key], column): _cell(row, column)
        for row in rows
        for column in columns
    }
    effects = np.array(
        [[cells.get((metric, domain), math.nan) for domain in domains] for metric in metrics]
    )
    if np.isfinite(effects).any():
        return effects
    raise DataError(f"{path.name}: it names none of the metrics and domains of the fit")


def read_mixture(path: Path) -> dict[str, float] | None:
    """Return a mixture from a list of ``{"domain", "weight"}``; `None` where it cannot be read."""
    try:
        return {str(entry["domain"]): float(entry["weight"]) for entry in read_json(path)}
    except (DataError, ValueError, KeyError, TypeError):
        return None
