"""Which metrics become columns, under which names, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmix.collect.record import Record
from olmix.domains import BPB, bits_per_byte_of
from olmix.errors import DataError, nearest
from olmix.records.metric import lower_is_better, sort_names
from olmix.text.numbers import shortened

__all__ = ["Selection", "select"]

_MOST_NAMED = 30


@dataclass(frozen=True)
class Selection:
    """The metric columns of a collection.

    Attributes:
        logged: column of `metrics.csv` to the name under which it was logged.
        families: family to its columns.
        lower_is_better: direction of each column.
        given: columns whose direction the user gave; that of the others is as their names say.
        errors: column to the name under which its standard error was logged, where there is one.
        notes: what was decided; the list of metrics first, where none were named.
    """

    logged: Mapping[str, str]
    families: Mapping[str, Sequence[str]]
    lower_is_better: Mapping[str, bool]
    given: frozenset[str]
    errors: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def directions(self) -> dict[str, bool]:
        """Directions that a fit must be told: all but those that it takes for granted."""
        families = {name: family for family, names in self.families.items() for name in names}
        return {
            name: lower
            for name, lower in self.lower_is_better.items()
            if not lower or not lower_is_better((name, families[name]), {})
        }


def select(
    records: Sequence[Record],
    evaluation: Mapping[str, object] | None,
    named: Sequence[str],
    directions: Mapping[str, bool],
) -> Selection:
    """Choose the metric columns.

    In this order: the metrics that the user names; those of an `eval` section, where in-loop tasks
    stand under their task id; what the summaries of the runs hold; all that was logged whose name
    starts with `eval` or ends with `_bpb`; all that was logged. What is no metric by its name
    (`olmix.records.metric`) is taken only where it is named, a standard error never.

    Args:
        records: the runs to be tabled.
        evaluation: an `eval` section as a mapping.
        named: names of logged metrics.
        directions: whether lower is better, by column or logged name, where the user says it.

    Raises:
        DataError: there is no such metric.
    """
    notes: tuple[str, ...] = ()
    families = _families(evaluation) if evaluation and not named else {}
    if not families:
        if named:
            names = _check(records, named)
        else:
            names, notes = _found(records)
        families = {"all": {name: name for name in names}}
    families, errors, more = _without_errors(records, families)
    logged = {column: name for members in families.values() for column, name in members.items()}
    if not logged:
        raise DataError("no run has logged any metric")
    _check_directions(logged, directions)
    told = {name: lower for record in records for name, lower in record.directions.items()}
    lower = {
        column: lower_is_better((column, name, family), {**told, **directions})
        for family, members in families.items()
        for column, name in members.items()
    }
    given = frozenset(c for c, name in logged.items() if c in directions or name in directions)
    by_name = [
        column
        for column, name in logged.items()
        if not lower[column] and column not in given and name not in told
    ]
    if by_name:
        more += (
            f"taking higher as better for {shortened(by_name, _MOST_NAMED)}, judging by the "
            "names; give --lower-is-better NAME where it is not",
        )
    columns = {family: tuple(members) for family, members in families.items()}
    return Selection(logged, columns, lower, given, errors, (*notes, *more))


def _families(evaluation: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return {family: {column: logged name}} of an eval section of any type."""
    if evaluation.get("type") == "validation":
        names = [bits_per_byte_of(str(name)) for name in evaluation.get("paths") or {}]
        return {"validation": {name: name for name in names}} if names else {}
    tasks = evaluation.get("tasks")
    if not isinstance(tasks, Mapping):
        return {}
    return {
        str(family): {str(column): str(name) for column, name in members.items()}
        if isinstance(members, Mapping)
        else {str(name): str(name) for name in members}
        for family, members in tasks.items()
    }


def _found(records: Sequence[Record]) -> tuple[list[str], tuple[str, ...]]:
    """Return the metrics of the summaries, or else those that were logged, and notes on both.

    Raises:
        DataError: all that was logged is no metric.
    """
    finals = list(dict.fromkeys(name for record in records for name in record.final))
    found = sort_names(finals)
    if found.metrics and not any(_is_tracker(record) for record in records):
        names: Sequence[str] = found.metrics
    else:
        if not found.metrics:
            found = sort_names(n for record in records for n in (*record.final, *record.curves()))
        measured = [n for n in found.metrics if n.lower().startswith("eval") or n.endswith(BPB)]
        names = measured or found.metrics
    if not names:
        others = shortened((*found.others, *found.errors), _MOST_NAMED) or "nothing"
        raise DataError(f"no run has logged any metric: {others} was logged. Choose with --metric")
    notes = [
        f"no metric was named; using {shortened(names, _MOST_NAMED)}. Choose others with --metric "
        "NAME"
    ]
    rest = [*found.others, *(name for name in found.metrics if name not in names)]
    if rest:
        notes.append(f"logged but not used: {shortened(rest, _MOST_NAMED)}")
    return list(names), tuple(notes)


def _is_tracker(record: Record) -> bool:
    """Whether the summary holds whatever was logged last, not the metrics alone."""
    return "wandb_group" in record.facts


def _check(records: Sequence[Record], named: Sequence[str]) -> list[str]:
    known = {name for record in records for name in record.final}
    missing = [name for name in named if name not in known]
    if missing:
        known |= {name for record in records for name in record.curves()}
    missing = [name for name in named if name not in known]
    if missing:
        guess = nearest(missing[0], known)
        listed = ", ".join(sorted(known)[:20]) or "none"
        hint = f"did you mean {guess}?" if guess else f"there are: {listed}"
        raise DataError(f"--metric {missing[0]}: no run has logged it; {hint}")
    errors = sort_names(known).errors
    wrong = [name for name in named if name in errors]
    if wrong:
        raise DataError(
            f"--metric {wrong[0]}: it is the standard error of {errors[wrong[0]]}; collect that, "
            "and its error goes to metrics_se.csv"
        )
    return list(dict.fromkeys(named))


def _without_errors(
    records: Sequence[Record], families: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, dict[str, str]], dict[str, str], tuple[str, ...]]:
    """Return the families without standard errors, those of their metrics, and notes."""
    wanted = [name for members in families.values() for name in members.values()]
    known = dict.fromkeys(name for record in records for name in record.final)
    if any(name not in known for name in wanted):
        known |= dict.fromkeys(name for record in records for name in record.curves())
    errors = sort_names((*known, *wanted)).errors
    owners = {metric: error for error, metric in errors.items() if error in known}
    kept = {
        family: {column: name for column, name in members.items() if name not in errors}
        for family, members in families.items()
    }
    gone = [name for name in wanted if name in errors]
    notes = (f"standard errors are not metrics: {shortened(gone, _MOST_NAMED)}",) if gone else ()
    of_columns = {
        column: owners[name]
        for members in kept.values()
        for column, name in members.items()
        if name in owners
    }
    return {family: members for family, members in kept.items() if members}, of_columns, notes


def _check_directions(logged: Mapping[str, str], directions: Mapping[str, bool]) -> None:
    """Refuse directions of metrics that are not there.

    Raises:
        DataError: names the first one.
    """
    known = (*logged, *logged.values())
    for name, lower in directions.items():
        if name not in known:
            guess = nearest(name, known)
            hint = f"did you mean {guess}?" if guess else f"there are: {', '.join(logged)}"
            option = "--lower-is-better" if lower else "--higher-is-better"
            raise DataError(f"{option} {name}: there is no such metric; {hint}")
