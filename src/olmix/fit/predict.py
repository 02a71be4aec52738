"""Predicting mixtures of a table by the laws of a fit folder."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from olmix.errors import DataError, nearest
from olmix.fit.mixture_rows import rescaled_note, without_noise, wrong_weights
from olmix.fit.models_file import LoadedFit
from olmix.simplex import Array
from olmix.text.csv import Table
from olmix.text.numbers import counted

__all__ = ["predict_table"]

_MOST_SHOWN = 20

logger = logging.getLogger(__name__)


def predict_table(fit: LoadedFit, table: Table) -> tuple[list[str], dict[str, list[float | str]]]:
    """Return runs and columns of the predictions: a row per mixture and metric.

    Args:
        fit: the laws.
        table: a column per domain of the fit, in any order; rows summing to 1.

    Raises:
        DataError: with everything that is wrong with the table.
    """
    mixtures = _mixtures(fit, table)
    means, intervals = fit.predict(mixtures), fit.intervals(mixtures)
    runs: list[str] = []
    columns: dict[str, list[float | str]] = {k: [] for k in ("metric", "mean", "lower", "upper")}
    for metric, mean in means.items():
        runs.extend(table.runs)
        columns["metric"].extend([metric] * len(mean))
        columns["mean"].extend(mean.tolist())
        low, high = intervals[metric]
        columns["lower"].extend(low.tolist())
        columns["upper"].extend(high.tolist())
    return runs, columns


def _with_frozen(fit: LoadedFit, table: Table) -> Table:
    """Return the table with the sum of columns that the fit took as one domain."""
    columns, values = list(table.columns), table.values
    for domain, members in fit.frozen.items():
        if domain in columns or not set(members) <= set(columns):
            continue
        inside = np.array([name in members for name in columns])
        total = values[:, inside].sum(axis=1, keepdims=True)
        columns = [name for name in columns if name not in members] + [domain]
        values = np.hstack([values[:, ~inside], total])
    return replace(table, columns=tuple(columns), values=values)


def _mixtures(fit: LoadedFit, table: Table) -> Array:
    """Return the mixtures (n, D) in the order of the fit's domains, rows summing to 1."""
    problems = []
    table = _with_frozen(fit, table)
    missing = [name for name in fit.domains if name not in table.columns]
    for name in [name for name in table.columns if name not in fit.domains]:
        guess = nearest(name, fit.domains)
        hint = f"; did you mean {guess}?" if guess is not None else ""
        problems.append(f"{table.path}: the fit has no domain {name}{hint}")
    if missing:
        problems.append(f"{table.path}: it lacks the domains {', '.join(missing)}")
    if not problems:
        rows = table.select(fit.domains)
        for run, row in zip(table.runs, rows, strict=True):
            wrong = wrong_weights(fit.domains, row)
            if wrong is not None:
                problems.append(f"{table.path}: run {run}: {wrong}")
    if problems:
        shown = problems[:_MOST_SHOWN]
        if len(problems) > len(shown):
            shown.append(f"and {counted(len(problems) - len(shown), 'more problem')}")
        raise DataError("\n".join(shown))
    note = rescaled_note(table.runs, rows)
    if note is not None:
        logger.warning("%s: %s", table.path, note)
    rows = without_noise(rows)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))
