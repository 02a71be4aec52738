"""Which runs enter the tables with which values, and what keeps the others out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from olmix.collect.record import USABLE, Record, Value
from olmix.collect.selection import Selection
from olmix.errors import DataError, MissingPackageError
from olmix.text.numbers import counted

__all__ = ["Options", "Rows", "check_mixtures", "check_rows", "sort_runs", "usable_runs"]

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Options:
    """How runs become rows.

    Attributes:
        value: which of a metric's logged values counts.
        tail: share of the last values that `tail` averages.
        metrics: logged names to collect; those of the eval section if empty.
        higher_is_better: metrics of which more is better, against what their names say.
        lower_is_better: metrics of which less is better, against what their names say.
        per_checkpoint: whether to write `checkpoints.csv` too.
        unfinished: whether running and crashed runs enter the tables with what they have so far.
        variants: file or folder of variants, for runs that do not say what they were trained on.
        config: launch config whose `eval` and `data` sections describe the runs.
        priors: file of token counts for the fit config.
        strict: whether runs of one domain on different token files are refused.
    """

    value: Value = "last"
    tail: float = 0.1
    metrics: Sequence[str] = ()
    higher_is_better: Sequence[str] = ()
    lower_is_better: Sequence[str] = ()
    per_checkpoint: bool = False
    unfinished: bool = False
    variants: Path | None = None
    config: Path | None = None
    priors: Path | None = None
    strict: bool = False

    def directions(self) -> dict[str, bool]:
        """Whether lower is better of the metrics whose direction was given.

        Raises:
            DataError: a metric was given both.
        """
        both = set(self.higher_is_better) & set(self.lower_is_better)
        if both:
            raise DataError(
                f"{min(both)}: either --higher-is-better or --lower-is-better, not both"
            )
        higher = dict.fromkeys(self.higher_is_better, False)
        return higher | dict.fromkeys(self.lower_is_better, True)


@dataclass
class Rows:
    """The runs of the tables, and what is wrong with the others."""

    tabled: list[Record] = field(default_factory=list)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    diverged: dict[str, str] = field(default_factory=dict)
    nan: dict[str, tuple[str, ...]] = field(default_factory=dict)
    no_mixture: list[str] = field(default_factory=list)
    wrong_mixture: dict[str, str] = field(default_factory=dict)


def usable_runs(records: Sequence[Record], options: Options) -> list[Record]:
    """Return the runs whose values count.

    Raises:
        DataError: there is none.
    """
    usable = [r for r in records if r.state in USABLE or (options.unfinished and _ran(r))]
    if not usable:
        listed = ", ".join(f"{r.name} ({r.why or r.state})" for r in records[:5])
        raise DataError(
            f"no run is finished yet: {listed}. Train the rest with `olmix launch run`."
        )
    return usable


def check_mixtures(usable: Sequence[Record]) -> None:
    """Refuse the runs if none of them has a usable mixture.

    Raises:
        DataError: says what is wrong with each.
    """
    wrong = {record.name: record.mixture_problem for record in usable if record.mixture_problem}
    if not wrong or any(record.mixture for record in usable):
        return
    shown = [f"{name}: {what}" for name, what in wrong.items()]
    more = (
        [f"and {counted(len(shown) - _MOST_SHOWN, 'more run')}"] if len(shown) > _MOST_SHOWN else []
    )
    raise DataError(
        "\n".join([*shown[:_MOST_SHOWN], *more])
        + "\nCorrect them. Without token_shares, the mix asked for is used; --variants can supply "
        "it."
    )


def _ran(record: Record) -> bool:
    return record.state in ("running", "crashed", "failed", "cancelled")


def sort_runs(
    records: Sequence[Record], usable: Sequence[Record], selection: Selection, options: Options
) -> Rows:
    """Read the metrics of the usable runs and file every run under what became of it."""
    rows = Rows()
    chosen = {record.name for record in usable}
    with_mixture = any(record.mixture for record in usable)
    for record in records:
        if record.name not in chosen:
            _file(rows, record)
            continue
        values = {
            column: record.value(
                name,
                options.value,
                options.tail,
                lower_is_better=selection.lower_is_better[column],
            )
            for column, name in selection.logged.items()
        }
        bad = tuple(column for column, value in values.items() if not math.isfinite(value))
        if len(bad) == len(values) and _diverged(record):
            rows.diverged[record.name] = "its loss is not finite"
            continue
        if bad:
            rows.nan[record.name] = bad
        if len(bad) == len(values):
            continue
        if with_mixture and not record.mixture:
            if record.mixture_problem:
                rows.wrong_mixture[record.name] = record.mixture_problem
            else:
                rows.no_mixture.append(record.name)
            continue
        rows.tabled.append(record)
        rows.values[record.name] = {c: math.nan if c in bad else v for c, v in values.items()}
    return rows


def _file(rows: Rows, record: Record) -> None:
    """Put a run that is not tabled where it belongs."""
    why = record.why or record.state
    if record.state == "diverged":
        rows.diverged[record.name] = why
    elif record.state in ("failed", "crashed"):
        group = rows.diverged if _diverged(record) else rows.failed
        group[record.name] = why
    else:
        rows.missing[record.name] = why


def _diverged(record: Record) -> bool:
    """Whether a run diverged, as far as its logs can be read here."""
    try:
        return record.diverged
    except (DataError, MissingPackageError):
        return False


def check_rows(rows: Rows, selection: Selection) -> None:
    """Refuse tables without a run, or in which no run has all metrics.

    Raises:
        DataError: names the runs or the metrics.
    """
    names = ", ".join(selection.logged)
    if not rows.tabled:
        out = (*rows.nan, *rows.diverged, *rows.no_mixture, *rows.wrong_mixture)
        first = next(iter(out))
        raise DataError(
            f"no run has a finite value of {names}; {first} is one of them. "
            "Choose what was logged with --metric."
        )
    if all(record.name in rows.nan for record in rows.tabled):
        first = rows.tabled[0].name
        raise DataError(
            f"no run has all of {names}; {first} lacks {', '.join(rows.nan[first])}. Collect only "
            "groups with the same eval section together, or choose with --metric."
        )
