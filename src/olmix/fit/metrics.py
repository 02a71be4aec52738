"""Which metrics of a table take part, their directions, and their families.

Legend: ``R`` runs, ``M`` metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from olmix.config import FitConfig
from olmix.errors import nearest
from olmix.fit.mmlu import subtasks_of
from olmix.simplex import Array
from olmix.text.csv import Table

__all__ = ["Metrics", "select_metrics"]


@dataclass(frozen=True)
class Metrics:
    """The metrics that are fitted.

    Attributes:
        names: (M,) names of metrics, or of families where these are averaged.
        values: (R, M) measured values in the order of the metrics table; NaN where there is none.
        lower_is_better: (M,) direction of each.
        weights: (M,) weight in the objective, not negative.
    """

    names: tuple[str, ...]
    values: Array
    lower_is_better: tuple[bool, ...]
    weights: Array


def select_metrics(config: FitConfig, table: Table, problems: list[str]) -> Metrics:
    """Choose the metrics that a config asks for, noting in `problems` what cannot be.

    Without `eval`, all columns take part, in the order of their names.
    """
    dropped = set(config.filtering.drop_metrics)
    families = _families(config, table)
    table = _with_categories(table, families, problems)
    known = set(table.columns)
    for name in [name for members in families.values() for name in members]:
        if name not in known:
            problems.append(
                f"{table.path}: eval.tasks: there is no metric {name}{_hint(name, known)}"
            )
    asked = {name for members in families.values() for name in members}
    for name in sorted(dropped - known - asked):
        problems.append(
            f"{table.path}: filtering.drop_metrics: there is no metric {name}{_hint(name, known)}"
        )
    for name in sorted(set(config.lower_is_better) - known - asked):
        problems.append(
            f"{table.path}: lower_is_better: there is no metric {name}{_hint(name, known)}"
        )
    kept = {
        family: tuple(name for name in members if name in known and name not in dropped)
        for family, members in families.items()
    }
    kept = {family: members for family, members in kept.items() if members}
    if not kept:
        problems.append(f"{table.path}: no metric is left to fit")
        return Metrics((), np.empty((len(table.runs), 0)), (), np.empty(0))
    if config.regression.aggregate_task_families:
        return _averaged(config, table, kept, problems)
    names = tuple(name for members in kept.values() for name in members)
    _check_floors(config, names, table.path, problems)
    lower = tuple(config.lower_is_better.get(name, True) for name in names)
    weights = _weights(config, names, known | asked, table.path, problems)
    return Metrics(names, table.select(names), lower, weights)


def _with_categories(
    table: Table, families: Mapping[str, Sequence[str]], problems: list[str]
) -> Table:
    """Return the table with the categories of MMLU that are asked for and that it can give."""
    columns, values = list(table.columns), [table.values]
    for name in [name for members in families.values() for name in members]:
        parts = subtasks_of(name, columns)
        if parts is None:
            continue
        missing = [part for part in parts if part not in table.columns]
        if not missing:
            shares = np.array(list(parts.values()))
            values.append((table.select(list(parts)) @ shares)[:, None])
            columns.append(name)
        elif len(missing) < len(parts):
            problems.append(
                f"{table.path}: eval.tasks: {name} is the average of {len(parts)} subtasks, of "
                f"which {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''} are "
                "not there"
            )
    return replace(table, columns=tuple(columns), values=np.hstack(values))


def _families(config: FitConfig, table: Table) -> dict[str, tuple[str, ...]]:
    """Return the metrics of each family."""
    if config.eval is None:
        return {"all": tuple(sorted(table.columns))}
    return {
        family: tuple(members.values() if isinstance(members, Mapping) else members)
        for family, members in config.eval.tasks.items()
    }


def _averaged(
    config: FitConfig, table: Table, kept: Mapping[str, Sequence[str]], problems: list[str]
) -> Metrics:
    """Return the plain average of each family; a run that lacks one of its metrics has none."""
    lower = []
    for family, members in kept.items():
        directions = {config.lower_is_better.get(name, True) for name in members}
        if len(directions) > 1:
            problems.append(
                f"eval.tasks.{family}: lower is better for some of its metrics and worse for "
                "others; their average means nothing. Split the family, or turn "
                "aggregate_task_families off"
            )
        lower.append(directions.pop())
    names = tuple(kept)
    _check_floors(config, names, "eval.tasks", problems)
    values = np.stack([table.select(members).mean(axis=1) for members in kept.values()], axis=1)
    weights = _weights(config, names, set(names), "eval.tasks", problems)
    return Metrics(names, values, tuple(lower), weights)


def _weights(
    config: FitConfig, names: Sequence[str], known: set[str], where: str, problems: list[str]
) -> Array:
    """Return the weights of the objective, noting names that nothing has."""
    given = config.filtering.obj_weights
    for name in sorted(set(given) - known):
        problems.append(
            f"{where}: filtering.obj_weights: there is no metric {name}{_hint(name, known)}"
        )
    weights = np.array([given.get(name, 1.0) for name in names])
    if not weights.sum() > 0:
        problems.append("filtering.obj_weights: all weights are 0, so there is nothing to optimise")
    return weights


def _check_floors(config: FitConfig, names: Sequence[str], where: str, problems: list[str]) -> None:
    """Note floors of metrics that are not fitted."""
    floors = config.proposer.floors
    for name in sorted(set(floors) - set(names)) if isinstance(floors, dict) else ():
        problems.append(
            f"{where}: proposer.floors: no metric {name} is fitted{_hint(name, set(names))}"
        )


def _hint(name: str, known: set[str]) -> str:
    guess = nearest(name, sorted(known))
    return f"; did you mean {guess}?" if guess is not None else ""
