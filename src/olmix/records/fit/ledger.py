"""`ledger.jsonl`: what the proposals of a study promised, and what was measured of them.

It lies beside the fit folders, a line for each verification, so that later fits of the same study
can say how far such promises held. The same verification again replaces its line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.records.fit.proposal import Gain, PredictedGain, Proposal
from olmix.records.fit.scores import Fit
from olmix.records.fit.verification import MeanAndError, Verification
from olmix.records.metric_identity import MetricIdentity
from olmix.records.typed_json import OPTIONAL, Items, Name, Number, Table, Text, parse, to_plain
from olmix.text.files import json_lines, write_text
from olmix.text.numbers import counted, listed, signed, with_error

__all__ = [
    "LEDGER",
    "LedgerEntry",
    "add_entry",
    "entry_of",
    "ledger_statement",
    "of_objective",
    "read_ledger",
]

LEDGER = "ledger.jsonl"


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """A line of `ledger.jsonl`: a proposal that was trained.

    Attributes:
        format: version of the line.
        fit: name of the fit folder.
        group: name of the group of runs.
        metric: name of the objective.
        lower_is_better: its direction.
        unit: `bits per byte`, or nothing where its metrics have no unit in common.
        laws: law of each metric of the objective.
        num_runs: runs that the laws were fitted to.
        num_tokens: tokens of each run of the verification.
        num_parameters: parameters of its models, where they are known.
        seeds: its training seeds.
        promise: predicted objective of the proposal.
        truth: what was measured.
        optimism: by how much the promise was too good; below 0, not good enough.
        promised_gain: gain over the natural mixture as it was predicted.
        measured_gain: the same as it was measured.
        measured_with: what the metrics were computed with, as far as known.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    fit: Name
    group: Name
    metric: Text
    lower_is_better: bool
    unit: Name = ""
    laws: Table[Name]
    num_runs: Annotated[int, Field(ge=0, le=10**9)]
    num_tokens: Annotated[int, Field(ge=0)]
    num_parameters: Annotated[int, Field(ge=0)] | None = field(default=None, metadata=OPTIONAL)
    seeds: Items[int]
    promise: Number
    truth: MeanAndError
    optimism: Number
    promised_gain: PredictedGain
    measured_gain: Gain
    measured_with: Table[MetricIdentity] = field(default_factory=dict, metadata=OPTIONAL)


def entry_of(
    folder: Path,
    fit: Fit,
    proposal: Proposal,
    found: Verification,
    size: tuple[int, int | None],
) -> LedgerEntry:
    """Return the line of a verification.

    Args:
        folder: the fit folder.
        fit: its laws.
        proposal: what was promised.
        found: what was measured.
        size: tokens and parameters of its runs.
    """
    promise = proposal.mixtures["proposed"].predicted.mean
    truth, measured = found.mixtures["proposed"], found.gains["natural"]
    sign = 1.0 if found.lower_is_better else -1.0
    return LedgerEntry(
        fit=folder.resolve().name,
        group=found.group,
        metric=found.metric,
        lower_is_better=found.lower_is_better,
        unit=found.unit,
        laws={one.name: one.chosen for one in fit.ordered if one.objective_weight > 0},
        num_runs=len(fit.runs.used),
        num_tokens=size[0],
        num_parameters=size[1],
        seeds=found.seeds,
        promise=promise,
        truth=MeanAndError(truth.mean, truth.std_error),
        optimism=sign * (truth.mean - promise),
        promised_gain=proposal.gains.get("natural", PredictedGain(math.nan)),
        measured_gain=Gain(measured.mean, measured.std_error, measured.low, measured.high),
        measured_with=fit.measured_with,
    )


def read_ledger(fit_folder: Path) -> tuple[LedgerEntry, ...]:
    """Return the verifications of the study that a fit folder belongs to, the oldest first.

    Raises:
        DataError: a line is not as docs/files.md says.
    """
    file = fit_folder.resolve().parent / LEDGER
    if not file.is_file():
        return ()
    again = f"Remove the line; `olmix verify` writes {LEDGER}."
    text = file.read_bytes().decode("utf-8", errors="replace")
    return tuple(
        parse(LedgerEntry, line.encode(), f"{file}, line {number}", again)
        for number, line in json_lines(text)
    )


def add_entry(fit_folder: Path, entry: LedgerEntry) -> None:
    """Add a line to the ledger of a fit's study, in place of the one of the same runs."""
    key = (entry.fit, entry.group)
    others = [one for one in read_ledger(fit_folder) if (one.fit, one.group) != key]
    lines = [json.dumps(to_plain(one), ensure_ascii=False) for one in (*others, entry)]
    write_text(fit_folder.resolve().parent / LEDGER, "".join(f"{line}\n" for line in lines))


def of_objective(
    entries: Sequence[LedgerEntry], metric: str, identities: Mapping[str, MetricIdentity]
) -> tuple[LedgerEntry, ...]:
    """Return the entries of an objective whose metrics were computed in the same way.

    Args:
        entries: of a study.
        metric: name of the objective.
        identities: what its metrics are computed with now.
    """
    unknown = MetricIdentity()
    return tuple(
        one
        for one in entries
        if one.metric == metric
        and not any(own.differs(identities.get(n, unknown)) for n, own in one.measured_with.items())
    )


def ledger_statement(own: Sequence[LedgerEntry]) -> str:
    """Return in words how far the promises for one objective held; nothing without any."""
    if not own:
        return ""
    parts = [
        f"{signed(one.promised_gain.mean, 4)} promised and "
        f"{with_error(one.measured_gain.mean, one.measured_gain.std_error, sign=True)} measured"
        for one in own
    ]
    known = [one.optimism for one in own if math.isfinite(one.optimism)]
    mean = math.fsum(known) / len(known) if known else math.nan
    return (
        f"Verified in this study so far: {counted(len(own), 'proposal')}, gain over natural "
        f"{listed(parts)}; optimism (how much worse than promised; lower is better) "
        f"{signed(mean, 4)} on average."
    )
