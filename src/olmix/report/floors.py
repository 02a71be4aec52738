"""The floors of a proposal in words: what was asked, and which metric comes closest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from olmix.config.fit import ALL_METRICS
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.proposal import PredictedMetric
from olmix.report.metric_changes import directions, metric_changes, read_performance
from olmix.text.numbers import percent, shortened, significant

__all__ = ["Floors", "asked_floors", "has_floor", "read_floors"]

_REACHED = 0.002
"""Share of a metric's value within which its floor counts as reached."""


@dataclass(frozen=True)
class Floors:
    """What became of the floors; all empty where none was asked.

    Attributes:
        words: which were asked, the metric that comes closest to its own, and what was measured.
        brief: whether they hold, for the line of the costs.
        missed: the metrics that measured beyond theirs.
    """

    words: str = ""
    brief: str = ""
    missed: str = ""


def has_floor(content: FitFolder, metric: str) -> bool:
    """Whether a floor was asked for a metric."""
    return content.proposal is not None and metric in content.proposal.floors


def read_floors(content: FitFolder, labels: Mapping[str, str]) -> Floors:
    """Return which floors were asked, the metric closest to its own, and what was measured.

    Args:
        content: the fit folder.
        labels: how metrics are called.
    """
    proposal = content.proposal
    if proposal is None or not proposal.floors:
        return Floors()
    text = f"{_asked(content, labels)}, for mean predictions"
    at_best = content.settings.proposer.floors_at == "best_seen"
    start = "best_seen" if at_best else "natural"
    performance, lower = read_performance(content), directions(content)
    closest: tuple[float, str, float] | None = None
    for name, bound in proposal.floors.items():
        at = {} if name not in performance else performance[name].mixtures
        before, after = at.get(start, math.nan), at.get("proposed", math.nan)
        if not math.isfinite(bound + before + after) or before == 0:
            continue
        sign = 1.0 if lower.get(name, True) else -1.0
        left, worse = (sign * (end - after) / abs(before) for end in (bound, before))
        if closest is None or left < closest[0]:
            closest = (left, name, -worse)
    if closest is not None:
        left, name, worse = closest
        kept = "reached" if left <= _REACHED else "not reached"
        way = "worse" if worse > 0 else "better"
        over = " than best seen" if at_best else ""
        text += f"; closest: {labels.get(name, name)}, {percent(abs(worse))} {way}{over} ({kept})"
    if at_best or not metric_changes(content).measured:
        return Floors(text, "floors hold as predicted")
    if missed := _missed(content, labels, performance):
        return Floors(f"{text}; measured beyond: {missed}", "", missed)
    return Floors(f"{text}; measured: all kept", "floors kept")


def asked_floors(content: FitFolder, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the floors as the config has them: which metrics, and how much worse they may get."""
    asked = content.settings.proposer.floors
    if asked is None:
        return ()
    if not isinstance(asked, Mapping):
        return (("all metrics", _size(asked)),)
    return tuple(
        ("all" if name == ALL_METRICS else labels.get(name, name), _size(size))
        for name, size in asked.items()
    )


def _asked(content: FitFolder, labels: Mapping[str, str]) -> str:
    """Return the floors as the config has them, in words."""
    parts = [f"{name} at most {size} worse" for name, size in asked_floors(content, labels)]
    more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
    return ", ".join(parts[:3]) + more


def _size(asked: object) -> str:
    return significant(asked, 3) if isinstance(asked, int | float) else str(asked)


def _missed(
    content: FitFolder, labels: Mapping[str, str], performance: Mapping[str, PredictedMetric]
) -> str:
    """Return which metrics measured worse than their floors allow, against natural."""
    floors = {} if content.proposal is None else content.proposal.floors
    allowed = {
        name: abs(bound - performance[name].mixtures.get("natural", math.nan))
        for name, bound in floors.items()
        if name in performance
    }
    missed = [
        f"{labels.get(row.metric, row.metric)} ({percent(-row.share)} worse)"
        for row in metric_changes(content).rows
        if row.kind == "worse" and -row.gain > allowed.get(row.metric, math.inf)
    ]
    return shortened(missed, 3)
