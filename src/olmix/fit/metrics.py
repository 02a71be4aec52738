"""Which columns of a table are fitted, in which direction, and with which weight.

What is a metric and what its name says of its direction is said in `olmix.records.metric`; here
stand the rules for what the config leaves open. A name that says "higher is better" is refused
where the objective counts it and the config does not say so: a fit that guesses wrongly proposes
the worst mixture. Where nothing depends on it (weight 0), the name is believed.

Legend: ``R`` runs, ``M`` metrics.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from olmix.config import FitConfig
from olmix.errors import nearest
from olmix.fit.mmlu import subtasks_of
from olmix.laws.outliers import winsorise
from olmix.records.metric import lower_is_better, sort_names
from olmix.simplex import Array
from olmix.text.csv import Table
from olmix.text.files import render_yaml

__all__ = ["Metrics", "scale_note", "select_metrics", "spreads"]

SCALES_APART = 20.0
"""Ratio of spreads above which one metric of an average decides it alone."""
_MOST_NAMED = 8

Families = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Metrics:
    """The metrics that are fitted.

    Attributes:
        names: (M,) names of metrics, or of families where these are averaged.
        values: (R, M) measured values in the order of the metrics table; NaN where there is none.
        lower_is_better: (M,) direction of each.
        weights: (M,) weight in the objective, not negative.
        notes: what was decided, as sentences.
        problems: what is wrong; where there is any, nothing else counts.
    """

    names: tuple[str, ...]
    values: Array
    lower_is_better: tuple[bool, ...]
    weights: Array
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def select_metrics(config: FitConfig, table: Table) -> Metrics:
    """Choose the metrics that a config asks for, and say what cannot be.

    Without `eval`, all columns take part that are metrics by their names, in the order of these.
    """
    families, notes = _metric_columns(config, table)
    table, problems = _with_categories(table, families)
    dropped, known = set(config.filtering.drop_metrics), set(table.columns)
    asked = {name for members in families.values() for name in members}
    problems += [*_unknown_names(config, table, families), *_unknown_floors(config, families)]
    kept = {
        family: tuple(name for name in members if name in known and name not in dropped)
        for family, members in families.items()
    }
    kept = {family: members for family, members in kept.items() if members}
    if not kept:
        problems.append(f"{table.path}: no metric is left to fit")
        nothing = np.empty((len(table.runs), 0))
        return Metrics((), nothing, (), np.empty(0), tuple(notes), tuple(problems))
    averaged = config.regression.aggregate_task_families
    names = tuple(kept) if averaged else tuple(n for members in kept.values() for n in members)
    weights = np.array([config.filtering.obj_weights.get(name, 1.0) for name in names])
    problems += _weight_problems(config, weights, set(names) if averaged else known | asked, table)
    counted = {name for name, weight in zip(names, weights, strict=True) if weight > 0}
    lower, more_notes, more = _directions(config, table, kept, counted)
    notes, problems = [*notes, *more_notes], [*problems, *more]
    if averaged:
        values = np.stack([table.select(m).mean(axis=1) for m in kept.values()], axis=1)
        problems += _mixed_families(kept, lower)
        notes += _scales_within(table, kept)
        direction = tuple(lower[members[0]] for members in kept.values())
    else:
        values, direction = table.select(names), tuple(lower[name] for name in names)
    return Metrics(names, values, direction, weights, tuple(notes), tuple(problems))


def spreads(values: Array) -> Array:
    """Return the standard deviation of each metric over runs (R, M), (M,).

    A diverged run counts as if it lay at the end of what is usual.
    """
    measured = [column[np.isfinite(column)] for column in values.T]
    return np.array([float(winsorise(one).std()) if one.size else 0.0 for one in measured])


def scale_note(names: Sequence[str], weights: Array, found: Array) -> str | None:
    """Return what to say where one metric decides the objective alone, else `None`.

    Both its spread and what it adds to the average must be far from those of another metric: a
    weight that evens scales out, or leaves a metric almost out, was chosen.

    Args:
        names: (M,) the metrics.
        weights: (M,) their weights in the objective.
        found: (M,) their spreads.
    """
    used = np.flatnonzero((weights > 0) & (found > 0))
    if len(used) < 2:
        return None
    share = (weights * found)[used]
    most, least = int(used[share.argmax()]), int(used[share.argmin()])
    ratio, by_spread = share.max() / share.min(), found[most] / found[least]
    if min(ratio, by_spread) <= SCALES_APART:
        return None
    return (
        f"{names[most]} varies {by_spread:.3g} times as much as {names[least]} (standard deviation "
        f"{found[most]:.3g} against {found[least]:.3g}), so that it decides the average almost "
        "alone."
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
    if asked & errors:
        notes.append(
            f"{_listed(sorted(asked & errors))}: standard errors, left out of the metrics."
        )
    if asked & others:
        notes.append(
            f"{_listed(sorted(asked & others))}: no metrics by their names, left out; one that is "
            "named in eval.tasks or lower_is_better counts."
        )
    return {
        family: [name for name in members if name not in errors | others]
        for family, members in families.items()
    }, notes


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


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
                "not there"
            )
    return replace(table, columns=tuple(columns), values=np.hstack(values)), problems


def _unknown_names(config: FitConfig, table: Table, families: Families) -> list[str]:
    """Return what is wrong with the metric names that the table lacks."""
    known = set(table.columns)
    asked = [name for members in families.values() for name in members]
    own = set(families) if config.regression.aggregate_task_families else set()
    places = (
        ("eval.tasks", [name for name in asked if name not in known]),
        ("filtering.drop_metrics", sorted({*config.filtering.drop_metrics} - known - {*asked})),
        ("lower_is_better", sorted({*config.lower_is_better} - known - {*asked} - own)),
    )
    return [
        f"{table.path}: {place}: there is no metric {name}{_hint(name, known)}"
        for place, names in places
        for name in names
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
        f"{where}: proposer.floors: no metric {name} is fitted{_hint(name, fitted)}"
        for name in sorted(set(floors) - fitted)
    ]


def _weight_problems(
    config: FitConfig, weights: Array, known: Collection[str], table: Table
) -> list[str]:
    """Return what is wrong with the weights of the objective."""
    where = "eval.tasks" if config.regression.aggregate_task_families else table.path
    problems = [
        f"{where}: filtering.obj_weights: there is no metric {name}{_hint(name, known)}"
        for name in sorted(set(config.filtering.obj_weights) - set(known))
    ]
    if not weights.sum() > 0:
        problems.append("filtering.obj_weights: all weights are 0, so there is nothing to optimise")
    return problems


def _directions(
    config: FitConfig, table: Table, kept: Families, counted: Collection[str]
) -> tuple[dict[str, bool], list[str], list[str]]:
    """Return the direction of each metric, notes, and what is wrong.

    Args:
        config: whose `lower_is_better` wins over all names.
        table: with the categories of MMLU.
        kept: metrics by family.
        counted: what the objective counts: metrics, or families where these are averaged.
    """
    given, averaged = config.lower_is_better, config.regression.aggregate_task_families
    lower, problems = {}, []
    unsaid: dict[str, None] = {}
    believed: list[str] = []
    for family, members in kept.items():
        for name in members:
            said = _given(name, family if averaged else name, given)
            if len(said) > 1:
                problems.append(
                    f"lower_is_better: lower is better for some subtasks of {name} and worse for "
                    f"others; give the direction of {name} itself"
                )
            lower[name] = next(iter(said), lower_is_better((name, family), {}))
            if not lower[name] and not said:
                owner = family if averaged else name
                if owner in counted:
                    unsaid[owner] = None
                else:
                    believed.append(name)
    notes = []
    if believed:
        notes.append(
            f"{_listed(believed)}: higher is taken as better, as the names say; the objective "
            "does not count them."
        )
    if unsaid:
        problems.append(_unsaid(list(unsaid), kept, table.path, averaged))
    return lower, notes, problems


def _given(name: str, family: str, given: Mapping[str, bool]) -> tuple[bool, ...]:
    """Return the direction that the config gives a metric: none, one, or two that contradict.

    What it says of the subtasks of a category of MMLU holds for the category.
    """
    for own in (name, family):
        if own in given:
            return (given[own],)
    parts = subtasks_of(name, ()) or {}
    return tuple({given[part] for part in parts if part in given})


def _unsaid(names: Sequence[str], kept: Families, path: str, averaged: bool) -> str:
    """Return the error about names that say "higher" where the config does not."""
    shown = [f"{n} ({_listed(kept[n])})" for n in names] if averaged else list(names)
    lines = render_yaml({"lower_is_better": dict.fromkeys(names, False)})
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return (
        f"{path}: {', '.join(shown)}: higher is better, as far as the name says, and the config "
        f"gives no direction. Write there\n{indented}  with `true` where lower is better after all"
    )


def _mixed_families(kept: Families, lower: Mapping[str, bool]) -> list[str]:
    return [
        f"eval.tasks.{family}: lower is better for some of its metrics and worse for others; their "
        "average means nothing. Split the family, or turn aggregate_task_families off"
        for family, members in kept.items()
        if len({lower[name] for name in members}) > 1
    ]


def _scales_within(table: Table, kept: Families) -> list[str]:
    """Say which families are the average of metrics on different scales."""
    notes = []
    for family, members in kept.items():
        found = spreads(table.select(members))
        note = scale_note(members, np.ones(len(members)), found)
        if note is not None:
            notes.append(f"eval.tasks.{family}: {note} Split the family.")
    return notes


def _hint(name: str, known: Collection[str]) -> str:
    guess = nearest(name, sorted(known))
    return f"; did you mean {guess}?" if guess is not None else ""
