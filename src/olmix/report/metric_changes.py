"""Changes of each metric by the proposal beside the objective, measured where they were."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from olmix.errors import DataError
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.proposal import PredictedPerformance
from olmix.records.metric import lower_is_better, unit_of
from olmix.records.typed_json import read_record

__all__ = ["MetricChange", "metric_changes"]

_CLEAR = 2.0
"""Standard errors beyond which a measured change is told from none."""


@dataclass(frozen=True)
class MetricChange:
    """How a metric changes from the natural to the proposed mixture.

    Attributes:
        metric: its name.
        gain: how much better it becomes, in its own units; below 0 it is worse.
        std_error: of a measured gain; NaN of a predicted one.
        size: the gain in units that all metrics share: the same as `gain` where they have one unit,
            else standard deviations over the swarm.
    """

    metric: str
    gain: float
    std_error: float
    size: float

    @property
    def kind(self) -> str:
        """`better`, `worse`, or `unclear` where the error is too large to say."""
        if self.gain == 0 or abs(self.gain) < _CLEAR * np.nan_to_num(self.std_error):
            return "unclear"
        return "better" if self.gain > 0 else "worse"


def metric_changes(content: FitFolder) -> tuple[bool, tuple[MetricChange, ...]]:
    """Return whether the changes were measured, and those of all metrics, the worst first.

    A metric that is the whole objective is left out: its gain is the result itself.
    """
    found = _measured(content)
    gains = found or _predicted(content)
    alone = content.objective.metrics[0].name if len(content.objective.metrics) == 1 else None
    spreads = _spreads(content, gains)
    changes = [
        MetricChange(name, gain, error, gain / spreads.get(name, 1.0))
        for name, (gain, error) in gains.items()
        if name != alone and math.isfinite(gain)
    ]
    return bool(found), tuple(sorted(changes, key=lambda change: change.size))


def _lower(content: FitFolder) -> dict[str, bool]:
    return {metric.name: metric.lower_is_better for metric in content.metrics}


def _measured(content: FitFolder) -> dict[str, tuple[float, float]]:
    """Return gain and standard error of every metric that was verified, paired by seed."""
    if content.verification is None:
        return {}
    told = _lower(content)
    cells: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in content.verification_rows:
        cells.setdefault(row.get("mixture", ""), {})[row.get("seed", "")] = row
    natural, proposed = cells.get("natural", {}), cells.get("proposed", {})
    gains = {}
    for name in content.verification.metrics:
        sign = 1.0 if told.get(name, lower_is_better([name], {})) else -1.0
        pairs = [
            sign * (_number(natural[seed].get(name)) - _number(proposed[seed].get(name)))
            for seed in natural
            if seed in proposed
        ]
        known = [value for value in pairs if math.isfinite(value)]
        if known:
            error = math.nan
            if len(known) > 1:
                error = float(np.std(known, ddof=1) / math.sqrt(len(known)))
            gains[name] = (float(np.mean(known)), error)
    return gains


def _predicted(content: FitFolder) -> dict[str, tuple[float, float]]:
    """Return the predicted gain of every metric, if the predictions can be read."""
    file = content.folder / "predicted_performance.json"
    if content.proposal is None or not file.is_file():
        return {}
    try:
        found = read_record(PredictedPerformance, file, "Run `olmix fit` again.")
    except DataError:
        return {}
    told = _lower(content)
    return {
        name: ((1.0 if told.get(name, True) else -1.0) * (at["natural"] - at["proposed"]), math.nan)
        for name, metric in found.metrics.items()
        if {"natural", "proposed"} <= set(at := metric.mixtures)
    }


def _spreads(content: FitFolder, names: Sequence[str] | Mapping[str, object]) -> dict[str, float]:
    """Return what sizes are measured in: nothing where all metrics share a unit, else spreads."""
    table = content.measured
    if unit_of(names) or table is None:
        return {}
    spreads = {}
    for name in names:
        if name in table.columns:
            values = table.select([name])[:, 0]
            spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
            spreads[name] = spread if spread > 0 else math.inf
    return spreads


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return math.nan
