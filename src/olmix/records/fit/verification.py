"""`verification.json` and `verification.csv`: what mixtures measured with fresh, paired seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.records.fit.proposal import Gain, PredictedGain, Weights
from olmix.records.typed_json import (
    Items,
    JsonRecord,
    Name,
    Number,
    Table,
    Text,
    read_if_there,
    write_record,
)
from olmix.text.csv import write_table

__all__ = [
    "MeanAndError",
    "MeasuredGain",
    "MeasuredMix",
    "Verification",
    "read_verification",
    "write_verification",
]

_OLD_LEVEL = 0.95
"""Level of the intervals of a file that does not say it."""


@dataclass(frozen=True)
class MeanAndError:
    """One metric of one mixture.

    Attributes:
        mean: mean over the seeds; null where a run did not measure it.
        std_error: its standard error.
    """

    mean: Number
    std_error: Number


@dataclass(frozen=True)
class MeasuredMix:
    """One mixture of a verification.

    Attributes:
        weights: share of each column of the ratios.
        values: the objective of each seed, in their order.
        mean: mean of the values.
        std_error: standard error of the mean.
    """

    weights: Weights
    values: Items[Number]
    mean: Number
    std_error: Number


@dataclass(frozen=True)
class MeasuredGain(Gain):
    """A gain that was measured, paired over the seeds, with an interval of Student's t.

    Attributes:
        t: mean over standard error.
        p_value: two-sided.
    """

    t: Number = math.nan
    p_value: Number = math.nan


@dataclass(frozen=True, kw_only=True)
class Verification(JsonRecord):
    """The content of `verification.json`.

    Attributes:
        format: version of this file.
        metric: name of the objective.
        lower_is_better: direction of the objective.
        unit: `bits per byte`, or nothing where its metrics have no unit in common.
        level: share that the intervals of the gains are to hold; 0.95 in files that do not say it.
        seeds: fresh training seeds, the same for every mixture.
        mixtures: what each mixture measured.
        gains: gain of the proposal over each other one; positive is better.
        predicted_gain: the same as the laws predicted it.
        metrics: every metric that was measured, by mixture.
        num_runs: runs that were trained.
        group: name of their group.
        statement: the result in one sentence.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    metric: Text
    lower_is_better: bool
    unit: Name = ""
    level: Annotated[float, Field(gt=0, lt=1)] = _OLD_LEVEL
    seeds: Items[int]
    mixtures: Table[MeasuredMix]
    gains: Table[MeasuredGain]
    predicted_gain: Table[PredictedGain] = field(default_factory=dict)
    metrics: Table[Table[MeanAndError]] = field(default_factory=dict)
    num_runs: Annotated[int, Field(ge=0, le=10**9)]
    group: Name = ""
    statement: Text

    @property
    def values(self) -> dict[str, tuple[float, ...]]:
        """The objective of each seed, by mixture."""
        return {name: mixture.values for name, mixture in self.mixtures.items()}

    @property
    def means(self) -> dict[str, tuple[float, float]]:
        """Mean and standard error of the objective, by mixture."""
        return {name: (mix.mean, mix.std_error) for name, mix in self.mixtures.items()}

    def wins_over(self, name: str) -> tuple[int, int]:
        """Return for how many seeds the proposal is better than a mixture, and of how many."""
        values, sign = self.values, 1.0 if self.lower_is_better else -1.0
        pairs = zip(values.get(name, ()), values.get("proposed", ()), strict=False)
        gains = [sign * (other - own) for other, own in pairs]
        known = [gain for gain in gains if math.isfinite(gain)]
        return sum(gain > 0 for gain in known), len(known)


def read_verification(folder: Path) -> Verification | None:
    """Read the `verification.json` of a fit folder; `None` where nothing was verified.

    Raises:
        DataError: the file is not as docs/files.md says.
    """
    return read_if_there(Verification, folder / "verification.json", "Run `olmix verify` again.")


def write_verification(
    folder: Path,
    result: Verification,
    runs: Mapping[tuple[str, int], str],
    measured: Mapping[str, Mapping[str, float]],
) -> None:
    """Write `verification.json`, and every run in `verification.csv`.

    Args:
        folder: the fit folder.
        result: what was found.
        runs: name of the run of each (mixture, seed).
        measured: ``{run: {metric: value}}``; what a run did not measure is an empty cell.
    """
    rows = [(mixture, seed) for mixture in result.mixtures for seed in result.seeds]
    columns: dict[str, Sequence[float | int | str | None]] = {
        "mixture": [mixture for mixture, _ in rows],
        "seed": [seed for _, seed in rows],
    }
    for name in result.metrics:
        columns[name] = [measured[runs[row]].get(name) for row in rows]
    write_table(folder / "verification.csv", [runs[row] for row in rows], columns)
    write_record(folder / "verification.json", result)
