"""The gaps of a collection, run by run: `completeness.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Completeness"]


@dataclass(frozen=True)
class Completeness:
    """What became of every run.

    Attributes:
        tabled: runs in the tables.
        missing: why each other run is not in them: pending, running, cancelled, stale, replaced.
        failed: why each failed or crashed run is not in them.
        diverged: runs whose loss was no longer finite.
        nan: run to its metrics that were not measured or are not finite; it stays in the tables
            with empty cells unless all of its metrics are so.
        no_mixture: finished runs of which nothing says what they were trained on.
        wrong_mixture: what is wrong with the mixture of each other run that is not in the tables.
        shares_off: runs in the tables that were trained on other shares than asked for, and by how
            much the worst share differs.
        fingerprints: what the token files of each group's domains were known by at its launch.
        changed: domains whose files are not the same for all runs.
    """

    tabled: Sequence[str]
    missing: Mapping[str, str]
    failed: Mapping[str, str]
    diverged: Mapping[str, str]
    nan: Mapping[str, Sequence[str]]
    no_mixture: Sequence[str]
    wrong_mixture: Mapping[str, str]
    shares_off: Mapping[str, float]
    fingerprints: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changed: Sequence[str] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every run is in the tables with every metric."""
        return not self.problems()

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each run that is incomplete, in words."""
        found = {**self.missing, **self.failed, **self.diverged}
        for run, names in self.nan.items():
            found[run] = f"{', '.join(names)} was not measured or is not finite"
        for run in self.no_mixture:
            found[run] = "its mixture is unknown; pass the variants with --variants"
        return {**found, **self.wrong_mixture}

    def to_plain(self) -> dict[str, object]:
        """Return the report as JSON can hold it."""
        return {
            "complete": self.is_complete,
            "runs": len(self.tabled),
            "missing": dict(self.missing),
            "failed": dict(self.failed),
            "diverged": dict(self.diverged),
            "nan": {run: list(names) for run, names in self.nan.items()},
            "no_mixture": list(self.no_mixture),
            "wrong_mixture": dict(self.wrong_mixture),
            "shares_off": dict(self.shares_off),
            "fingerprints": {place: dict(marks) for place, marks in self.fingerprints.items()},
            "changed": list(self.changed),
        }
