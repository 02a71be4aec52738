"""`next_batch.json`: the runs of a sweep that would tell most next, the first one first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.errors import DataError
from olmix.records.fit.scores import AGAIN
from olmix.records.typed_json import Items, Name, Number, Table, Text, read_record, write_record

__all__ = ["NextBatch", "NextRun", "read_next_batch", "write_next_batch"]

_FILE = "next_batch.json"


@dataclass(frozen=True)
class NextRun:
    """A run that is proposed.

    Attributes:
        settings: value of each factor.
        repeats: the run whose settings it has, with a new seed; null for a new point.
        predicted: the metric there, without the noise of a run.
        low: lower end of its 90 % interval.
        high: upper end of it.
    """

    settings: Table[Number]
    repeats: Text | None
    predicted: Number
    low: Number
    high: Number


@dataclass(frozen=True, kw_only=True)
class NextBatch:
    """The content of the file.

    Attributes:
        format: version of this file.
        metric: the metric that is searched.
        best: the run with the best predicted metric; variables that are no factors stay as it has
            them.
        runs: what to run, in the order of worth; a smaller batch is the beginning.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    metric: Name
    best: Text
    runs: Items[NextRun]


def read_next_batch(folder: Path) -> NextBatch:
    """Read the next batch of a fit folder.

    Raises:
        DataError: there is none, or it is not as docs/files.md says.
    """
    file = folder / _FILE
    if not file.is_file():
        raise DataError(
            f"{folder}: holds no {_FILE}; the fit of a sweep has one. Run\n"
            "    olmix fit -c STUDY/results/surface.yaml -o STUDY/results/fit"
        )
    return read_record(NextBatch, file, AGAIN)


def write_next_batch(folder: Path, batch: NextBatch) -> None:
    """Write the next batch of a fit folder."""
    write_record(folder / _FILE, batch)
