"""`ladder.json`: a proposal trained against other mixtures at several sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.records.fit.proposal import Gain
from olmix.records.fit.verification import Verification
from olmix.records.typed_json import (
    OPTIONAL,
    Items,
    JsonRecord,
    Number,
    Text,
    read_if_there,
    write_record,
)
from olmix.text.csv import write_rows

__all__ = [
    "LADDER_SEEDS",
    "LADDER_SIZES",
    "GainAtTarget",
    "Ladder",
    "Rung",
    "TokenFactor",
    "ladder_work",
    "read_ladder",
    "write_ladder",
]

LADDER_SEEDS = 3
"""Seeds of a ladder: its largest size takes most of the time, and the trend over sizes helps."""
LADDER_SIZES = (1.0, 4.0)
"""The sizes of a first ladder."""
_Count = Annotated[int, Field(ge=1, le=10**18)]


@dataclass(frozen=True)
class TokenFactor:
    """A factor with its interval.

    Attributes:
        mean: the factor; null where it cannot be told.
        low: lower end of its interval.
        high: upper end; null where nothing bounds it.
    """

    mean: Number = math.nan
    low: Number = math.nan
    high: Number = math.nan


@dataclass(frozen=True)
class Rung:
    """One size of a ladder.

    Attributes:
        scale: tokens as a multiple of those of the base config.
        num_tokens: tokens of a run.
        num_parameters: non-embedding parameters of the model; null where they are not known.
        verification: what the mixtures measured at this size.
        equal_tokens: how many times the tokens (and parameters) natural needs to be as good as the
            proposal, by its own progress between sizes; missing where there is one size.
    """

    scale: Number
    num_tokens: _Count
    num_parameters: _Count | None
    verification: Verification
    equal_tokens: TokenFactor | None = field(default=None, metadata=OPTIONAL)

    @property
    def gain(self) -> Gain:
        """Gain of the proposal over natural at this size."""
        return self.verification.gains["natural"]


@dataclass(frozen=True)
class GainAtTarget:
    """The gain that is expected at a larger size.

    Attributes:
        scale: its tokens as a multiple of those of the base config.
        num_tokens: its tokens.
        gain: of the proposal over natural, with an interval that holds the noise of the seeds, and
            that the trend of the rungs stops or doubles after the last one.
    """

    scale: Number
    num_tokens: _Count
    gain: Gain


@dataclass(frozen=True, kw_only=True)
class Ladder(JsonRecord):
    """The content of `ladder.json`.

    Attributes:
        format: version of this file.
        level: share that the intervals are to hold.
        rungs: the sizes, smallest first.
        target: what is expected at the size that was asked for; missing where none was.
        statement: the result in words.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    level: Annotated[float, Field(gt=0, lt=1)]
    rungs: Annotated[Items[Rung], Field(min_length=1)]
    target: GainAtTarget | None = field(default=None, metadata=OPTIONAL)
    statement: Text


def ladder_work(sizes: Iterable[float]) -> int:
    """Return how many runs of the base config take as long as a ladder of these sizes, at most.

    A run of size s has s times the tokens, each of which takes up to s times as long.
    """
    return round(2 * LADDER_SEEDS * sum(size * max(size, 1) for size in sizes))


def read_ladder(folder: Path) -> Ladder | None:
    """Read the `ladder.json` of a fit folder; `None` where no ladder was trained.

    Raises:
        DataError: the file is not as docs/files.md says.
    """
    return read_if_there(Ladder, folder / "ladder.json", "Run `olmix verify --scales` again.")


def write_ladder(folder: Path, ladder: Ladder) -> None:
    """Write `ladder.json`, and every value of the objective in `ladder.csv`."""
    rows = [
        (rung.scale, rung.num_tokens, mixture, seed, value)
        for rung in ladder.rungs
        for mixture, found in rung.verification.mixtures.items()
        for seed, value in zip(rung.verification.seeds, found.values, strict=True)
    ]
    write_rows(folder / "ladder.csv", ("scale", "tokens", "mixture", "seed", "value"), rows)
    write_record(folder / "ladder.json", ladder)
