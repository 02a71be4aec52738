"""Predicting mixtures of a table by the laws of a fit folder."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from olmix.errors import DataError, did_you_mean
from olmix.fit.mixture_rows import rescaled_note, without_noise, wrong_weights
from olmix.fit.models_file import LoadedFit
from olmix.simplex import Array
from olmix.text.csv import Table
from olmix.text.numbers import counted
from olmix.text.progress import OnProgress, Steps

__all__ = ["predict_table"]

_MOST_SHOWN = 20
_AT_ONCE = 2048
"""Mixtures that are predicted at once, so that long tables show how far they are."""

logger = logging.getLogger(__name__)


def predict_table(
    fit: LoadedFit, table: Table, on_progress: OnProgress | None = None
) -> tuple[list[str], dict[str, list[float | str]]]:
    """Return runs and columns of the predictions: a row per mixture and metric.

    Args:
        fit: the laws.
        table: a column per domain of the fit, in any order; rows summing to 1.
        on_progress: told of every `_AT_ONCE` mixtures that are predicted.

    Raises:
        DataError: with everything that is wrong with the table.
    """
    mixtures = _mixtures(fit, table)
    parts = np.array_split(mixtures, -(-len(mixtures) // _AT_ONCE))
    steps = Steps(on_progress, len(mixtures))
    means: dict[str, list[Array]] = {}
    intervals: dict[str, list[Array]] = {}
    for part in parts:
        within = fit.intervals(part)
        for metric, mean in fit.predict(part).items():
            means.setdefault(metric, []).append(mean)
            intervals.setdefault(metric, []).append(np.asarray(within[metric]))
        steps(count=len(part))
    runs: list[str] = []
    columns: dict[str, list[float | str]] = {k: [] for k in ("metric", "mean", "lower", "upper")}
    for metric, values in means.items():
        mean = np.concatenate(values)
        runs.extend(table.runs)
        columns["metric"].extend([metric] * len(mean))
        columns["mean"].extend(mean.tolist())
        low, high = np.concatenate(intervals[metric], axis=1)
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
        hint = did_you_mean(name, fit.domains)
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
