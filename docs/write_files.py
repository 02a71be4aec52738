"""Write the tables of records into docs/files.md from their docstrings. Run by `make docs`."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from olmix.records.fit.ladder import Ladder
from olmix.records.fit.ledger import LedgerEntry
from olmix.records.fit.next_batch import NextBatch
from olmix.records.fit.proposal import PredictedPerformance, Proposal
from olmix.records.fit.report_notes import ReportNotes
from olmix.records.fit.scales import Scales
from olmix.records.fit.scores import Fit
from olmix.records.fit.tables import FrontSummary
from olmix.records.fit.verification import Verification
from olmix.records.group import Job
from olmix.records.metric_identity import MetricIdentities
from olmix.records.prepared import PreparedData
from olmix.records.run import Status

RECORDS = {
    "manifest.json": PreparedData,
    "status.json": Status,
    "jobs.jsonl": Job,
    "metrics_identity.json": MetricIdentities,
    "fit.json": Fit,
    "proposal.json": Proposal,
    "verification.json": Verification,
    "ladder.json": Ladder,
    "ledger.jsonl": LedgerEntry,
    "predicted_performance.json": PredictedPerformance,
    "pareto.json": FrontSummary,
    "scales.json": Scales,
    "report.json": ReportNotes,
    "next_batch.json": NextBatch,
}
PAGE = Path(__file__).with_name("files.md")
WIDTH = 112
_ENTRY = re.compile(r"^(\w+): (.*)$")


def attributes(record: type) -> dict[str, str]:
    """Return what the docstring of a record says of each field."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        _, _, block = (base.__dict__.get("__doc__") or "").partition("Attributes:")
        name = ""
        for line in textwrap.dedent(block.strip("\n")).splitlines():
            entry = _ENTRY.match(line)
            if entry is not None:
                name, found[entry[1]] = entry[1], entry[2]
            elif name and line.strip():
                found[name] += f" {line.strip()}"
    return found


def inner(kind: Any) -> tuple[type | None, int]:
    """Return the record inside a type, and in how many levels of names it stands."""
    if isinstance(kind, type) and is_dataclass(kind):
        return kind, 0
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        record, levels = inner(arguments[1])
        return record, levels + 1
    for argument in arguments:
        record, levels = inner(argument)
        if record is not None or levels:
            return record, levels
    return None, 0


def lines(record: type, prefix: str, shown: dict[type, str]) -> Iterator[tuple[str, str]]:
    """Yield every key below a record with what it holds; a record that was shown is referred to."""
    about, hints = attributes(record), get_type_hints(record, include_extras=True)
    for field in fields(record):
        if field.metadata.get("olmix") == "key":
            continue
        below, levels = inner(hints[field.name])
        key = f"{prefix}{field.name}" + ".NAME" * levels
        text = about.get(field.name, "")
        if below is not None and below in shown:
            yield (
                key,
                f"{text} Keys: those of `{shown[below]}`." if text else f"as `{shown[below]}`",
            )
            continue
        yield key, text
        if below is not None:
            shown[below] = key
            yield from lines(below, f"{key}.", shown)


def table(record: type) -> str:
    """Return the table of a record."""
    rows = [f"| `{key}` | {text} |" for key, text in lines(record, "", {})]
    return "\n".join(["| key | holds |", "|---|---|", *rows])


def render(page: str) -> str:
    """Return the page with the tables as the records are."""
    for name, record in RECORDS.items():
        start, end = f"<!-- {name}: written by `make docs` -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(page):
            raise SystemExit(f"{PAGE}: has no place for {name}")
        content = f"{start}\n\n{table(record)}\n\n{end}"
        page = pattern.sub(lambda _, content=content: content, page)
    return page


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
