"""One run as it was found, wherever it was logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from olmix.records.log_readers import Curves, number, tail_mean
from olmix.records.metric_identity import MetricIdentity

__all__ = ["FACTS", "USABLE", "Record", "State", "Value", "numbers_of", "reduce_curve"]

State = Literal[
    "finished",
    "logged",
    "pending",
    "running",
    "failed",
    "diverged",
    "crashed",
    "cancelled",
    "stale",
    "replaced",
]
"""`logged`: there are logs, and nothing says whether the run ended. `stale`: finished with another
config or data than was launched. `replaced`: another run of this name came later."""

FACTS = ("seed", "tokens", "seconds", "tokens_per_second", "final_loss")
"""What `runs.csv` says of a run beside its state, where that is known."""

USABLE: tuple[State, ...] = ("finished", "logged")

Value = Literal["last", "best", "tail"]


def _no_curves() -> Curves:
    return {}


def _no_config() -> Mapping[str, object]:
    return {}


@dataclass(frozen=True)
class Record:
    """The known facts about one run.

    Attributes:
        name: name of the run, unique in a collection.
        state: how it ended, or what it is doing.
        why: what went wrong, in words; empty where nothing did.
        asked: weight of each domain as asked for; empty where no mixture is known.
        shares: share of each domain in the tokens as trained; empty where they were not counted.
        passes: passes over each domain's tokens.
        final: last values by logged name, as the trainer or tracker summed up.
        curves: reads all logged values; called only where `final` is not enough.
        facts: `seed`, `tokens`, `seconds`, `tokens_per_second`, `final_loss`, as far as known.
        config: reads the run's launch config as a mapping, paths absolute; empty if not known.
        directions: whether lower is better, by logged name, where an evaluation said so.
        readings: how `asked` and `shares` were read, where they are not written as shares.
        mix_problem: what is wrong with the mixture asked for; empty where nothing is.
        shares_problem: what is wrong with the shares as trained.
        group: folder of the group that it was launched in; empty if not known.
        contents: fingerprint of each domain's token files at the launch, as far as known.
        changed: domains whose files changed from one launch of the group to the next.
        measured_with: what each metric was computed with, by logged name, as far as known.
    """

    name: str
    state: State
    why: str = ""
    asked: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    passes: Mapping[str, float] = field(default_factory=dict)
    final: Mapping[str, float] = field(default_factory=dict)
    curves: Callable[[], Curves] = _no_curves
    facts: Mapping[str, object] = field(default_factory=dict)
    config: Callable[[], Mapping[str, Any]] = _no_config
    directions: Mapping[str, bool] = field(default_factory=dict)
    readings: tuple[str, ...] = ()
    mix_problem: str = ""
    shares_problem: str = ""
    group: str = ""
    contents: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    measured_with: Mapping[str, MetricIdentity] = field(default_factory=dict)

    @property
    def mixture(self) -> Mapping[str, float]:
        """Shares as trained, or as asked for where not counted; empty where these are wrong."""
        return {} if self.shares_problem else self.shares or self.asked

    @property
    def mixture_problem(self) -> str:
        """The reason why the run has no mixture; empty where it has one, or names none."""
        return self.shares_problem or ("" if self.mixture else self.mix_problem)

    @property
    def gap(self) -> float:
        """Largest difference between a share asked for and as trained; 0 where one is missing."""
        if not self.shares or not self.asked:
            return 0.0
        names = {*self.asked, *self.shares}
        return max(abs(self.asked.get(n, 0.0) - self.shares.get(n, 0.0)) for n in names)

    @property
    def diverged(self) -> bool:
        """Whether the last logged loss is not finite; reads the curves."""
        return any(
            not math.isfinite(points[max(points)])
            for name, points in self.curves().items()
            if "loss" in name.lower() and points
        )

    def value(self, name: str, how: Value, tail: float, *, lower_is_better: bool) -> float:
        """Return one number for a metric, NaN where it was not measured."""
        if how == "last" and name in self.final:
            return float(self.final[name])
        points = self.curves().get(name, {})
        return reduce_curve(points, how, tail, lower_is_better=lower_is_better)

    def error(self, name: str, of: str, how: Value, tail: float, *, lower_is_better: bool) -> float:
        """Return the standard error, logged as `name`, of the value of the metric `of`.

        That of a mean over the tail is the mean of the errors there: evaluations of one model ask
        the same questions, so averaging reduces it by next to nothing.
        """
        if how == "last" and of in self.final:
            return float(self.final.get(name, math.nan))
        errors, points = self.curves().get(name, {}), self.curves().get(of, {})
        if how == "best":
            best = reduce_curve(points, how, tail, lower_is_better=lower_is_better)
            return next((errors.get(s, math.nan) for s, v in points.items() if v == best), math.nan)
        return reduce_curve(errors, how, tail, lower_is_better=True)


def reduce_curve(
    points: Mapping[int, float], how: Value, tail: float, *, lower_is_better: bool
) -> float:
    """Return the last value of a curve, its best one, or the mean of its last `tail` share.

    A last value that is not finite stays so: the run diverged, and an earlier value would hide it.
    """
    values = [points[step] for step in sorted(points)]
    if not values or not math.isfinite(values[-1]):
        return math.nan
    if how == "last":
        return values[-1]
    if how == "tail":
        return tail_mean(values, tail)
    finite = [value for value in values if math.isfinite(value)]
    return min(finite) if lower_is_better else max(finite)


def numbers_of(raw: object) -> dict[str, float]:
    """Return the numbers of a mapping by key; nothing where it is no mapping."""
    plain = {str(k): number(v) for k, v in raw.items()} if isinstance(raw, Mapping) else {}
    return {key: value for key, value in plain.items() if value is not None}
