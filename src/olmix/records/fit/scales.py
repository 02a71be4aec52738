"""`scales.json`: how a fit was carried from small models to the target's size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.records.fit.scores import AGAIN
from olmix.records.typed_json import (
    OPTIONAL,
    Items,
    JsonRecord,
    Name,
    Number,
    Table,
    Text,
    read_if_there,
)

__all__ = ["Ceiling", "MetricAtScale", "Scale", "Scales", "read_scales"]


@dataclass(frozen=True)
class Ceiling:
    """How well one scale orders the mixtures of another, by those that were trained at both.

    No law of the small scale can predict the large one better than the small runs themselves do.

    Attributes:
        num_mixtures: mixtures that both scales measured.
        spearman: rank correlation of the two measurements.
        rmse: error of the best line from the small one to the large one, in units of the metric.
    """

    num_mixtures: int
    spearman: Number
    rmse: Number


@dataclass(frozen=True)
class MetricAtScale:
    """The map of one metric from the scale below.

    Attributes:
        num_mixtures: mixtures that measured it at this scale.
        slope: change of the metric here by a change of 1 there, pulled to the median of all.
        slope_error: standard deviation of the slope.
        own_slope: the slope by these runs alone; null where they do not tell.
        residual: whether a Gaussian process of what the map leaves over is added, since it
            predicts runs left out better.
        rmse: error on runs of this scale that were left out; null with too few.
        spread: standard deviation of the metric over the runs of this scale.
        ceiling: what mixtures trained at both scales tell, where there are enough.
    """

    num_mixtures: int
    slope: Number
    slope_error: Number
    own_slope: Number
    residual: bool
    rmse: Number
    spread: Number
    ceiling: Ceiling | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class Scale:
    """One scale beyond the smallest.

    Attributes:
        parameters: parameters of its models; null if not said.
        tokens: tokens of its runs; null if not said.
        num_runs: its runs.
        num_mixtures: different mixtures among them.
        metrics: the map of every metric.
        dropped: why each other run takes no part.
    """

    parameters: Number = math.nan
    tokens: Number = math.nan
    num_runs: int = 0
    num_mixtures: int = 0
    metrics: Table[MetricAtScale] = field(default_factory=dict)
    dropped: Table[Text] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scales(JsonRecord):
    """The content of `scales.json`.

    Attributes:
        format: version of this file.
        smallest: the scale that gives the shape of the laws.
        target: the scale that predictions and the proposal are for, in words.
        reached: the largest scale up to the target whose runs place values.
        order_only: whether no run of the target places values there: then the order of mixtures is
            predicted, and values and gains are those of `reached`.
        scales: the scales beyond the smallest, from small to large.
        notes: what was found, as sentences.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    smallest: Name
    target: Name
    reached: Name
    order_only: bool
    scales: Table[Scale] = field(default_factory=dict)
    notes: Items[Text] = ()


def read_scales(folder: Path) -> Scales | None:
    """Read the `scales.json` of a fit folder, `None` for a swarm of one scale.

    Raises:
        DataError: it is not as docs/files.md says.
    """
    return read_if_there(Scales, folder / "scales.json", AGAIN)
