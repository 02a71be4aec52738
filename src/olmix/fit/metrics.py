"""Which columns of a table are fitted, with which weight, and where scales are apart.

Legend: ``R`` runs, ``M`` metrics.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from olmix.config import FitConfig
from olmix.config.fit import ALL_METRICS, FilteringConfig, ProposerConfig
from olmix.errors import did_you_mean
from olmix.fit.directions import Families, directions
from olmix.fit.noise import errors_of, mean_errors, wrong_errors
from olmix.laws.outliers import winsorise
from olmix.records.metric import sort_names
from olmix.records.mmlu import subtasks_of
from olmix.simplex import Array
from olmix.text.csv import Table
from olmix.text.numbers import shortened

__all__ = ["Metrics", "idle_floors", "may_be_scores", "scale_note", "select_metrics", "spreads"]

SCALES_APART = 20.0
"""Ratio of spreads above which one metric of an average decides it alone."""
_LARGE_LOSS = 15.0
"""Nats or bits that no loss of a language model exceeds."""


@dataclass(frozen=True)
class Metrics:
    """The metrics that are fitted.

    Attributes:
        names: (M,) names of metrics, or of families where these are averaged.
        values: (R, M) measured values in the order of the metrics table; NaN where there is none.
        errors: (R, M) their standard errors; NaN where none is known.
        lower_is_better: (M,) direction of each.
        objective_weights: (M,) weight in the objective, not negative.
        families: names of the metrics that each family averages, where families are asked for.
        parts: these metrics, one by one.
        notes: what was decided, as sentences.
        warnings: what its reader must know, as sentences.
        problems: what is wrong; where there is any, nothing else counts.
    """

    names: tuple[str, ...]
    values: Array
    errors: Array
    lower_is_better: tuple[bool, ...]
    objective_weights: Array
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: Metrics | None = None


def select_metrics(config: FitConfig, table: Table) -> Metrics:
    """Choose the metrics that a config asks for, and say which it cannot have.

    Without `eval`, all columns take part that are metrics by their names, in the order of these.
    """
    families, notes = _metric_columns(config, table)
    table, problems = _with_categories(table, families)
    dropped, known = set(config.filtering.drop_metrics), set(table.columns)
    asked = {name for members in families.values() for name in members}
    averaged = config.regression.aggregate_task_families
    problems += _unknown_names(config.lower_is_better, table, families, averaged)
    problems += _unknown_floors(config, families)
    kept = {
        family: tuple(name for name in members if name in known and name not in dropped)
        for family, members in families.items()
    }
    kept = {family: members for family, members in kept.items() if members}
    if not kept:
        problems.append(f"{table.path}: no metric is left to fit")
        nothing = np.empty((len(table.runs), 0))
        return Metrics(
            (), nothing, nothing, (), np.empty(0), tuple(notes), problems=tuple(problems)
        )
    names = tuple(kept) if averaged else tuple(n for members in kept.values() for n in members)
    objective_weights = np.array([config.filtering.obj_weights.get(name, 1.0) for name in names])
    where = "eval.tasks" if averaged else table.path
    problems += _weight_problems(
        config.filtering, objective_weights, set(names) if averaged else known | asked, where
    )
    counted = {name for name, weight in zip(names, objective_weights, strict=True) if weight > 0}
    found = directions(config.lower_is_better, table.path, kept, counted, averaged)
    notes, problems = [*notes, *found.notes], [*problems, *found.problems]
    members = tuple(dict.fromkeys(name for family in kept.values() for name in family))
    problems += wrong_errors(table, members)
    if averaged:
        values = np.stack([table.select(m).mean(axis=1) for m in kept.values()], axis=1)
        errors = np.stack([mean_errors(errors_of(table, m)) for m in kept.values()], axis=1)
        problems += _mixed_families(kept, found.lower_is_better)
        notes += _scales_within(table, kept)
        direction = tuple(found.lower_is_better[members[0]] for members in kept.values())
    else:
        values, errors = table.select(names), errors_of(table, names)
        direction = tuple(found.lower_is_better[name] for name in names)
    warnings = (
        *_not_dropped(config.filtering, table, families),
        *may_be_scores(table, found.guessed),
    )
    chosen = Metrics(
        names, values, errors, direction, objective_weights, tuple(notes), warnings, tuple(problems)
    )
    if not averaged:
        return chosen
    lower = tuple(found.lower_is_better[name] for name in members)
    own = errors_of(table, members)
    parts = Metrics(members, table.select(members), own, lower, np.ones(len(members)))
    return replace(chosen, families=kept, parts=parts)


def spreads(values: Array) -> Array:
    """Return the standard deviation of each metric over runs (R, M), (M,).

    A diverged run counts as if it lay at the end of what is usual.
    """
    measured = [column[np.isfinite(column)] for column in values.T]
    return np.array([float(winsorise(one).std()) if one.size else 0.0 for one in measured])


def scale_note(names: Sequence[str], objective_weights: Array, found: Array) -> str | None:
    """Return what to say where one metric decides the objective alone, else `None`.

    Both its spread and what it adds to the average must be far from those of another metric: a
    weight that evens scales out, or leaves a metric almost out, was chosen.

    Args:
        names: (M,) the metrics.
        objective_weights: (M,) their weights in the objective.
        found: (M,) their spreads.
    """
    used = np.flatnonzero((objective_weights > 0) & (found > 0))
    if len(used) < 2:
        return None
    share = (objective_weights * found)[used]
    most, least = int(used[share.argmax()]), int(used[share.argmin()])
    ratio, by_spread = share.max() / share.min(), found[most] / found[least]
    if min(ratio, by_spread) <= SCALES_APART:
        return None
    return (
        f"{names[most]} varies {by_spread:.3g} times as much as {names[least]} (standard "
        f"deviation {found[most]:.3g} against {found[least]:.3g}), so it decides the average "
        "almost alone."
    )


def may_be_scores(table: Table, guessed: Sequence[str]) -> tuple[str, ...]:
    """Return what to say of metrics that look like accuracies and have no direction.

    Args:
        table: the metrics.
        guessed: those of which neither the config nor the name says which way is better.
    """
    looks: dict[str, list[str]] = {}
    for name, column in zip(guessed, table.select(guessed).T, strict=True):
        seen = column[np.isfinite(column)]
        if seen.size:
            looks.setdefault(_looks_like(float(seen.min()), float(seen.max())), []).append(name)
    return tuple(
        f"{shortened(names)}: no direction in the name, and values {look}: lower is taken as "
        "better. Check lower_is_better."
        for look, names in looks.items()
        if look
    )


def _looks_like(low: float, high: float) -> str:
    """Return what of which more is better has such values; nothing where a loss may have them."""
    if low < 0:
        return "below 0 as of a log-likelihood" if high <= 0 else ""
    if high <= 1:
        return "within 0 to 1 as of an accuracy"
    per_cent = _LARGE_LOSS < high <= 100
    return "within 0 to 100 as of an accuracy in per cent" if per_cent else ""


def idle_floors(proposer: ProposerConfig, names: Sequence[str], values: Array) -> tuple[str, ...]:
    """Return what to say of a floor that no metric can reach, as it is larger than its range.

    Args:
        proposer: the section with the floors.
        names: (M,) the metrics.
        values: (R, M) their values; NaN where there is none.
    """
    floors = proposer.floors
    given = floors if isinstance(floors, dict) else {ALL_METRICS: floors}
    ranges = {
        name: float(np.ptp(column[np.isfinite(column)]))
        for name, column in zip(names, values.T, strict=True)
    }
    rest = [name for name in names if name not in given]
    return tuple(
        f"proposer.floors: {name}: {floor:g} is in the unit of the metric, which varies by "
        f"{widest:.3g} over the swarm, so it limits nothing; `{floor:g} %` is relative."
        for name, floor in given.items()
        if isinstance(floor, float | int)
        for widest in [
            max((ranges[n] for n in (rest if name == ALL_METRICS else [name])), default=0)
        ]
        if floor > widest > 0
    )


def _metric_columns(config: FitConfig, table: Table) -> tuple[dict[str, list[str]], list[str]]:
    """Return the metrics of each family, and what was left out because of its name."""
    sorted_names = sort_names(table.columns)
    named = {*config.lower_is_better, *config.filtering.obj_weights}
    floors = config.proposer.floors
    named |= set(floors) if isinstance(floors, dict) else set()
    errors = {n for n in sorted_names.errors if n not in config.lower_is_better}
    others = {n for n in sorted_names.others if n not in named}
    if config.eval is None:
        families = {"all": sorted(table.columns)}
    else:
        families = {
            family: list(members.values() if isinstance(members, Mapping) else members)
            for family, members in config.eval.tasks.items()
        }
        others = set()
    asked = {name for members in families.values() for name in members}
    asked -= set(config.filtering.drop_metrics)
    notes = []
    used = {name for name in errors if sorted_names.errors[name] in sorted_names.metrics}
    if asked & used:
        notes.append(
            f"{shortened(sorted(asked & used))}: standard errors, no metrics: they set how much "
            "each run counts."
        )
    if asked & (errors - used):
        notes.append(
            f"{shortened(sorted(asked & (errors - used)))}: standard errors of metrics that are "
            "not in the table: left out."
        )
    if asked & others:
        notes.append(
            f"{shortened(sorted(asked & others))}: left out, as their names are not those of "
            "metrics; name them in eval.tasks or lower_is_better to use them."
        )
    return {
        family: [name for name in members if name not in errors | others]
        for family, members in families.items()
    }, notes


def _with_categories(table: Table, families: Families) -> tuple[Table, list[str]]:
    """Return the table with the categories of MMLU that are asked for and that it can give."""
    columns, values, problems = list(table.columns), [table.values], []
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
                "missing"
            )
    return replace(table, columns=tuple(columns), values=np.hstack(values)), problems


def _unknown_names(
    given: Collection[str], table: Table, families: Families, averaged: bool
) -> list[str]:
    """Return what is wrong with the metric names that the table lacks."""
    known = set(table.columns)
    asked = [name for members in families.values() for name in members]
    own = set(families) if averaged else set()
    places = (
        ("eval.tasks", [name for name in asked if name not in known]),
        ("lower_is_better", sorted({*given} - known - {*asked} - own)),
    )
    return [
        f"{table.path}: {place}: there is no metric {name}{did_you_mean(name, known)}"
        for place, names in places
        for name in names
    ]


def _not_dropped(filtering: FilteringConfig, table: Table, families: Families) -> list[str]:
    """Return what to say of metrics that are to be dropped and are not there."""
    known = {*table.columns, *(name for members in families.values() for name in members)}
    return [
        f"filtering.drop_metrics: there is no metric {name} to drop{did_you_mean(name, known)}"
        for name in sorted(set(filtering.drop_metrics) - known)
    ]


def _unknown_floors(config: FitConfig, families: Families) -> list[str]:
    """Return what is wrong with floors of metrics that are not fitted."""
    floors, dropped = config.proposer.floors, set(config.filtering.drop_metrics)
    if not isinstance(floors, dict):
        return []
    members = {family: [n for n in names if n not in dropped] for family, names in families.items()}
    averaged = config.regression.aggregate_task_families
    fitted = {family for family, names in members.items() if names}
    fitted = fitted if averaged else {name for names in members.values() for name in names}
    where = "eval.tasks" if averaged else config.swarm.metrics
    return [
        f"{where}: proposer.floors: no metric {name} is fitted"
        f"{did_you_mean(name, {*fitted, ALL_METRICS})}"
        for name in sorted(set(floors) - fitted - {ALL_METRICS})
    ]


def _weight_problems(
    filtering: FilteringConfig, objective_weights: Array, known: Collection[str], where: str
) -> list[str]:
    """Return what is wrong with the weights of the objective."""
    problems = [
        f"{where}: filtering.obj_weights: there is no metric {name}{did_you_mean(name, known)}"
        for name in sorted(set(filtering.obj_weights) - set(known))
    ]
    if not objective_weights.sum() > 0:
        problems.append("filtering.obj_weights: all weights are 0, so there is nothing to optimise")
    return problems


def _mixed_families(kept: Families, lower: Mapping[str, bool]) -> list[str]:
    return [
        f"eval.tasks.{family}: lower is better for some of its metrics and worse for others; "
        "their average is meaningless. Split the family, or turn aggregate_task_families off"
        for family, members in kept.items()
        if len({lower[name] for name in members}) > 1
    ]


def _scales_within(table: Table, kept: Families) -> list[str]:
    """Name the families that are the average of metrics on different scales."""
    notes = []
    for family, members in kept.items():
        found = spreads(table.select(members))
        note = scale_note(members, np.ones(len(members)), found)
        if note is not None:
            notes.append(f"eval.tasks.{family}: {note} Split the family.")
    return notes
