"""Which metrics become columns, under which names, and which way is better."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmix.collect.record import Record
from olmix.errors import DataError, nearest

__all__ = ["Selection", "select"]

_HIGHER = re.compile(r"(^|[^a-z])(acc|accuracy|rewards?|f1|exact_match|pass@\d+)([^a-z]|$)", re.I)


@dataclass(frozen=True)
class Selection:
    """The metric columns of a collection.

    Attributes:
        logged: column of `metrics.csv` to the name under which it was logged.
        families: family to its columns.
        lower_is_better: direction of each column.
        suspects: columns taken as lower is better whose names sound as if higher were.
    """

    logged: Mapping[str, str]
    families: Mapping[str, Sequence[str]]
    lower_is_better: Mapping[str, bool]
    suspects: Sequence[str]


def select(
    records: Sequence[Record],
    evaluation: Mapping[str, Any] | None,
    named: Sequence[str],
    higher_is_better: Sequence[str],
) -> Selection:
    """Choose the metric columns.

    In this order: the metrics that the user names; those of an `eval` section, where in-loop tasks
    stand under their task id; what the summaries of the runs hold; all that was logged whose name
    starts with `eval` or ends with `_bpb`; all that was logged.

    Args:
        records: the runs to be tabled.
        evaluation: an `eval` section as a mapping.
        named: names of logged metrics.
        higher_is_better: columns, or logged names, of which more is better.

    Raises:
        DataError: there is no such metric.
    """
    families = _families(evaluation) if evaluation and not named else {}
    if not families:
        names = _check(records, named) if named else _found(records)
        families = {"all": {name: name for name in names}}
    logged = {column: name for members in families.values() for column, name in members.items()}
    if not logged:
        raise DataError("no run has logged any metric")
    unknown = [n for n in higher_is_better if n not in logged and n not in logged.values()]
    if unknown:
        known = (*logged, *logged.values())
        guess = nearest(unknown[0], known)
        hint = f"did you mean {guess}?" if guess else f"there are: {', '.join(logged)}"
        raise DataError(f"--higher-is-better {unknown[0]}: there is no such metric; {hint}")
    lower = {
        column: column not in higher_is_better and name not in higher_is_better
        for column, name in logged.items()
    }
    suspects = [column for column in logged if lower[column] and _HIGHER.search(logged[column])]
    columns = {family: tuple(members) for family, members in families.items()}
    return Selection(logged, columns, lower, suspects)


def _families(evaluation: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return {family: {column: logged name}} of an eval section of any type."""
    if evaluation.get("type") == "validation":
        names = [f"{name}_bpb" for name in evaluation.get("paths") or {}]
        return {"validation": {name: name for name in names}} if names else {}
    tasks = evaluation.get("tasks")
    if not isinstance(tasks, Mapping):
        return {}
    return {
        str(family): dict(members)
        if isinstance(members, Mapping)
        else {str(name): str(name) for name in members}
        for family, members in tasks.items()
    }


def _found(records: Sequence[Record]) -> list[str]:
    """Return the metrics of the summaries, or else those that were logged."""
    finals = dict.fromkeys(name for record in records for name in record.final)
    if finals and all(not _is_tracker(record) for record in records):
        return list(finals)
    names = list(finals or dict.fromkeys(n for record in records for n in record.curves()))
    measured = [n for n in names if n.lower().startswith("eval") or n.endswith("_bpb")]
    return measured or names


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
    return list(dict.fromkeys(named))
