"""Whether runs that are joined were trained on the same files, and measured in one way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmix.collect.record import Record
from olmix.records.fingerprint import changed_contents, explain_change
from olmix.records.metric_identity import MetricIdentity, join_identities

__all__ = ["Contents", "compare_contents", "compare_metrics"]


@dataclass(frozen=True)
class Contents:
    """The token files of the domains of joined runs, by their fingerprints.

    Attributes:
        by_group: folder of a group to the fingerprint of each of its domains.
        common: fingerprints that all groups and the priors agree on.
        changed: domains with several.
        notes: which they are and what to do, in words.
    """

    by_group: Mapping[str, Mapping[str, str]]
    common: Mapping[str, str]
    changed: tuple[str, ...]
    notes: tuple[str, ...]


def compare_contents(
    records: Sequence[Record], priors: Mapping[str, str], counted: str
) -> Contents:
    """Compare the token files of runs by domain, and with those whose tokens were counted.

    Args:
        records: the runs in the tables.
        priors: fingerprints of the files that were counted.
        counted: which these are, in words: such as `that priors.yaml counts`.
    """
    groups = {record.group: record for record in records if record.contents}
    notes = [
        explain_change(one.changed, f"the first runs in {name}", f"of later runs in {name}")
        for name, one in groups.items()
        if one.changed
    ]
    changed = [name for one in groups.values() for name in one.changed]
    common: dict[str, str] = {}
    places: dict[str, str] = {}
    sides = [(name, f"of {name}", one.contents) for name, one in groups.items()]
    for place, which, contents in (*sides, ("", counted, priors)):
        others: dict[str, list[str]] = {}
        for name in changed_contents(common, contents):
            others.setdefault(places[name], []).append(name)
            changed.append(name)
        notes += [
            explain_change(names, f"the runs in {other}", which) for other, names in others.items()
        ]
        for name in contents:
            common.setdefault(name, contents[name])
            places.setdefault(name, place)
    unique = tuple(dict.fromkeys(changed))
    agreed = {name: mark for name, mark in common.items() if name not in unique}
    by_group = {name: one.contents for name, one in groups.items()}
    return Contents(by_group, agreed, unique, tuple(notes))


def compare_metrics(
    records: Sequence[Record], logged: Mapping[str, str]
) -> dict[str, MetricIdentity]:
    """Return what each column was computed with.

    Args:
        records: the runs in the tables.
        logged: column to the name under which it was logged.

    Raises:
        DataError: two runs computed different metrics under one name.
    """
    return join_identities(
        (
            f"{record.name} in {record.group}" if record.group else record.name,
            {
                column: record.measured_with[name]
                for column, name in logged.items()
                if name in record.measured_with
            },
        )
        for record in records
    )
