"""`report.json`: what the report knows and the other files of a fit folder do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.errors import DataError
from olmix.records.typed_json import Items, Table, Text, read_record

__all__ = ["ReportNotes", "read_report_notes"]


@dataclass(frozen=True, kw_only=True)
class ReportNotes:
    """The content of `report.json`.

    Attributes:
        format: version of this file.
        inputs: hash of all that the page shows and of the code that draws it.
        title: title of the page.
        commands: commands that led here, in order.
        runs: folder of the swarm's run folders, if it was found.
        verification_runs: folder of the verification's run folders, if there is one.
        manifest: `manifest.json` of `olmix prepare`, if it was found.
        machine: facts of the machine.
        facts: what the launch noted, such as the size of the proxy model.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    inputs: Text = ""
    title: Text = ""
    commands: Items[Text] = ()
    runs: Text | None = None
    verification_runs: Text | None = None
    manifest: Text | None = None
    machine: Table[Text] | None = None
    facts: Table[Text] = field(default_factory=dict)


def read_report_notes(folder: Path) -> ReportNotes:
    """Return what an earlier report of a fit noted; nothing where that cannot be read."""
    try:
        return read_record(ReportNotes, folder / "report.json", "")
    except DataError:
        return ReportNotes()
