"""How the metrics of a fit come from what runs measure: as they are, or as averages.

A fit may average task families before it fits them (`regression.aggregate_task_families`), and may
ask for a category of MMLU where runs measure its subtasks. Both are averages with fixed shares.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from olmix.errors import DataError, nearest
from olmix.records.fit.settings import FitSettings
from olmix.records.metric import Objective
from olmix.records.mmlu import subtasks_of

__all__ = ["Columns"]

_MOST_SHOWN = 12


@dataclass(frozen=True)
class Columns:
    """The metrics of a fit as averages of what runs measure.

    Attributes:
        families: members of each family that was averaged before the fit; empty where none was.
    """

    families: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: FitSettings, table: Collection[str] = ()) -> Columns:
        """Return those of a fit.

        Args:
            settings: content of `config.json`.
            table: columns of the metrics table, which are one family where the config names none.
        """
        if not settings.regression.aggregate_task_families:
            return cls()
        asked = settings.eval.tasks if settings.eval is not None else {}
        tasks = asked or {"all": tuple(sorted(table))}
        dropped = set(settings.filtering.drop_metrics)
        named = {
            family: tuple(members.values() if isinstance(members, Mapping) else members)
            for family, members in tasks.items()
        }
        return cls(
            {
                family: tuple(name for name in members if name not in dropped)
                for family, members in named.items()
            }
        )

    def shares(self, metric: str, measured: Collection[str]) -> dict[str, float]:
        """Return what a metric is the average of, with shares that sum to 1.

        Args:
            metric: a metric of the fit.
            measured: what is measured; a category of MMLU that is there is no average.
        """
        members = self.families.get(metric) or (metric,)
        shares: dict[str, float] = {}
        for member in members:
            parts = subtasks_of(member, measured) or {member: 1.0}
            # As a whole it is easier to name than its subtasks, where none of these is there.
            if not any(part in measured for part in parts):
                parts = {member: 1.0}
            for name, share in parts.items():
                shares[name] = shares.get(name, 0.0) + share / len(members)
        return shares

    def missing(self, objective: Objective, measured: Collection[str]) -> tuple[str, ...]:
        """Return what the objective needs and is not measured."""
        needed = (name for m in objective.metrics for name in self.shares(m.name, measured))
        return tuple(dict.fromkeys(name for name in needed if name not in measured))

    def value(
        self, objective: Objective, values: Mapping[str, float], who: str = "the run"
    ) -> float:
        """Return the objective of one run from what it measured.

        Args:
            objective: what the fit optimised.
            values: what the run measured.
            who: what the run is called in an error.

        Raises:
            DataError: names what the objective needs and was not measured, and what was.
        """
        self.check(objective, values, who)
        averages = {
            metric.name: math.fsum(
                share * values[name] for name, share in self.shares(metric.name, values).items()
            )
            for metric in objective.metrics
        }
        return objective.value(averages)

    def check(self, objective: Objective, measured: Collection[str], who: str) -> None:
        """Check that everything is measured that the objective needs.

        Raises:
            DataError: names what is missing, and what is measured.
        """
        missing = self.missing(objective, measured)
        if not missing:
            return
        used = {name for m in objective.metrics for name in self.shares(m.name, measured)}
        hints = {name: nearest(name, sorted(set(measured) - used)) for name in missing}
        named = [
            f"{name} (did you mean {hint}?)" if hint is not None else name
            for name, hint in hints.items()
        ]
        raise DataError(
            f"{objective.name}: the objective needs {_listed(named)}, which {who} does not "
            f"measure; it measures {_listed(sorted(measured)) or 'nothing'}.\n  Have the trainer "
            "measure it (`eval:` in the launch config), or fit without it "
            "(`filtering.obj_weights`)."
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
