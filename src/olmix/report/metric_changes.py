"""What a proposal does to each metric beside the objective, measured where it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from olmix.errors import DataError
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.ladder import Ladder
from olmix.records.fit.proposal import PredictedMetric, PredictedPerformance
from olmix.records.metric import lower_is_better, unit_of
from olmix.records.typed_json import read_record

__all__ = ["Changes", "MetricChange", "directions", "metric_changes", "read_performance"]

_SEEN = 0.0005
"""Share of its value by which a metric changes before that is shown as more than 0."""
_CLEAR = 2.0
"""Standard errors beyond which a measured change is told from none."""


@dataclass(frozen=True)
class MetricChange:
    """How a metric changes from the natural to the proposed mixture.

    Attributes:
        metric: its name.
        gain: how much better it becomes, in its own units; below 0 it is worse.
        std_error: of a measured gain; NaN of a predicted one.
        share: the gain as a share of the value at the natural mixture; NaN where that is not above
            0.
        size: the gain in what all metrics share, which their order and bars show: see `Changes`.
    """

    metric: str
    gain: float
    std_error: float
    share: float
    size: float

    @property
    def kind(self) -> str:
        """`better`, `worse`, or `unclear` where the error is too large to say."""
        if self.gain == 0 or abs(self.share) < _SEEN:
            return "unclear"
        if abs(self.gain) < _CLEAR * np.nan_to_num(self.std_error):
            return "unclear"
        return "better" if self.gain > 0 else "worse"


@dataclass(frozen=True)
class Changes:
    """What the proposal does to the metrics beside the objective.

    Attributes:
        measured: whether they were measured; else they are predicted.
        scale: what sizes are: the unit that all metrics share, `per cent of natural` where each is
            above 0 there, else `standard deviations over the swarm`.
        rows: a change for each metric, the worst size first.
    """

    measured: bool
    scale: str
    rows: tuple[MetricChange, ...]


def metric_changes(content: FitFolder, *, whole: bool = False) -> Changes:
    """Return the changes of all metrics, the worst first.

    Args:
        content: the fit.
        whole: whether a metric that is the whole objective is among them. As a rule it is left
            out: its gain is the result itself.
    """
    found = _measured(content)
    gains = found or _predicted(content)
    one = len(content.objective.metrics) == 1 and not whole
    alone = content.objective.metrics[0].name if one else None
    known = {
        name: change
        for name, change in gains.items()
        if name != alone and math.isfinite(change.gain)
    }
    scale, sizes = _sizes(content, known)
    changes = [
        MetricChange(name, one.gain, one.std_error, one.share, sizes[name])
        for name, one in known.items()
    ]
    return Changes(bool(found), scale, tuple(sorted(changes, key=lambda change: change.size)))


@dataclass(frozen=True)
class _Change:
    """A gain over natural, its standard error, and the value at the natural mixture."""

    gain: float
    std_error: float
    natural: float

    @property
    def share(self) -> float:
        return self.gain / self.natural if self.natural > 0 else math.nan


def directions(content: FitFolder) -> dict[str, bool]:
    """Return whether lower is better, for each metric."""
    return {metric.name: metric.lower_is_better for metric in content.metrics}


def _measured(content: FitFolder) -> dict[str, _Change]:
    """Return gain and standard error of every metric that was verified, paired by seed.

    Of a ladder only means and their errors are kept, which are taken as independent.
    """
    if content.ladder is not None:
        return _at_largest(content, content.ladder)
    if content.verification is None:
        return {}
    told = directions(content)
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
            level = [_number(cells.get(name)) for cells in natural.values()]
            gains[name] = _Change(float(np.mean(known)), error, float(np.nanmean(level)))
    return gains


def _at_largest(content: FitFolder, ladder: Ladder) -> dict[str, _Change]:
    """Return gain and standard error of every metric at the largest size of a ladder."""
    told, gains = directions(content), {}
    for name, means in ladder.rungs[-1].verification.metrics.items():
        natural, proposed = means.get("natural"), means.get("proposed")
        if natural is None or proposed is None:
            continue
        gain = natural.mean - proposed.mean
        if math.isfinite(gain):
            sign = 1.0 if told.get(name, lower_is_better([name], {})) else -1.0
            error = math.hypot(natural.std_error, proposed.std_error)
            gains[name] = _Change(sign * gain, error, natural.mean)
    return gains


def read_performance(content: FitFolder) -> Mapping[str, PredictedMetric]:
    """Return what is predicted of each metric at every mixture, if it can be read."""
    file = content.folder / "predicted_performance.json"
    if content.proposal is None or not file.is_file():
        return {}
    try:
        return read_record(PredictedPerformance, file, "Run `olmix fit` again.").metrics
    except DataError:
        return {}


def _predicted(content: FitFolder) -> dict[str, _Change]:
    """Return the predicted gain of every metric, if the predictions can be read."""
    told = directions(content)
    return {
        name: _Change(
            (1.0 if told.get(name, True) else -1.0) * (at["natural"] - at["proposed"]),
            math.nan,
            at["natural"],
        )
        for name, metric in read_performance(content).items()
        if {"natural", "proposed"} <= set(at := metric.mixtures)
    }


def _sizes(content: FitFolder, known: Mapping[str, _Change]) -> tuple[str, dict[str, float]]:
    """Return what sizes are measured in, and the size of each change."""
    if unit := unit_of(known):
        return unit, {name: one.gain for name, one in known.items()}
    if all(math.isfinite(one.share) for one in known.values()):
        shares = {name: one.share for name, one in known.items()}
        return f"per cent of {content.settings.start}", shares
    spreads = _spreads(content, known)
    sizes = {name: one.gain / spreads.get(name, 1.0) for name, one in known.items()}
    return "standard deviations over the swarm", sizes


def _spreads(content: FitFolder, names: Mapping[str, object]) -> dict[str, float]:
    """Return the standard deviation of metrics over the swarm, as far as its table is there."""
    table = content.measured
    if table is None:
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
