"""Writing `report.html` and the figures of a fit folder: the edge that reads, calls and writes.

What the fit folder itself does not know (commands, run folders, machine) is kept in `report.json`,
so that `olmix verify` can write the page again and nothing is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from olmix.errors import needs
from olmix.records.fit.folder import FitFolder, read_fit_folder
from olmix.records.fit.report_notes import ReportNotes, read_report_notes
from olmix.records.typed_json import write_record
from olmix.report.background import (
    find_manifest,
    find_runs,
    read_cost,
    read_curves,
    read_data,
    read_facts,
    read_machine,
)
from olmix.report.figures import Drawn, draw_figures
from olmix.report.page import Background, Page, build_page
from olmix.text.files import digest, write_text
from olmix.text.progress import OnProgress

__all__ = ["merge_commands", "write_report"]

TITLE = "Data mixture report"
_DRAWN_BY = ("report", "plotting")
"""Parts of the package that decide what a page looks like."""


def write_report(
    fit_folder: Path,
    *,
    runs: Path | None = None,
    verification_runs: Path | None = None,
    commands: Sequence[str] = (),
    title: str = "",
    machine: Mapping[str, str] | None = None,
    manifest: Path | None = None,
    on_progress: OnProgress | None = None,
    drawn: Drawn = "usual",
) -> Path:
    """Write `report.html` and a PNG file of every figure into a fit folder.

    Args:
        fit_folder: folder that `olmix fit` wrote; `olmix verify` may have added to it.
        runs: folder of the swarm's run folders: gives training curves and facts of the machine;
            looked for beside the tables and the verification where left out.
        verification_runs: folder of the verification's run folders.
        commands: commands that led here, in order; those of an earlier report are kept.
        title: title of the page.
        machine: facts of the machine; those that the launch noted where left out.
        manifest: `manifest.json` of `olmix prepare`; found through the runs where left out.
        on_progress: called after each figure.
        drawn: which figures are drawn; with none the page has its words, tables and sliders.

    Returns:
        path of the page.

    Raises:
        DataError: the folder holds no fit, or its files contradict docs/files.md.
        MissingPackageError: jinja2 or matplotlib is not installed.
    """
    folder = Path(fit_folder)
    content = read_fit_folder(folder)
    known = read_report_notes(folder)
    verification = verification_runs or _path(known.verification_runs)
    swarm = runs or _path(known.runs) or find_runs(content, verification)
    groups = [group for group in (swarm, verification) if group is not None]
    kept = merge_commands(known.commands, commands)
    cost = read_cost(content, verification)
    prepared = manifest or _path(known.manifest) or find_manifest(groups)
    background = Background(
        commands=kept,
        machine=machine or read_machine(groups) or known.machine,
        facts={**(read_facts(groups) or known.facts), **cost},
        data=read_data(prepared),
    )
    heading = title or known.title or _study(folder)
    curves = read_curves(swarm, content.runs) if swarm is not None else {}
    target = folder / "report.html"
    inputs = _inputs(content, [repr(curves), repr(background), heading, drawn])
    if known.inputs == inputs and target.is_file():
        return target
    pictures = draw_figures(content, curves, on_progress, drawn)
    page = build_page(content, pictures, background, heading)
    notes = ReportNotes(
        inputs=inputs,
        title=heading,
        commands=kept,
        runs=_text(swarm),
        verification_runs=_text(verification),
        manifest=_text(prepared),
        machine=background.machine,
        facts=background.facts,
    )
    write_text(target, _render(page))
    # Last: its hash says that page and figures are those of these inputs.
    write_record(folder / "report.json", notes)
    return target


def _study(folder: Path) -> str:
    """Return the title of a page that was given none: the folder that holds the folder of fits."""
    study = folder.resolve().parent.parent.name
    return f"{study}: data mixture" if study else TITLE


def merge_commands(known: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Return all commands once: `given` in its order, each other one after its old predecessor.

    So `olmix verify` adds to what `olmix fit` noted, a list of all commands replaces the notes, and
    a step that is done again does not move.
    """
    merged = list(dict.fromkeys(given))
    place = 0
    for command in dict.fromkeys(known):
        if command not in merged:
            merged.insert(place, command)
        place = merged.index(command) + 1
    return tuple(merged)


def _inputs(content: FitFolder, others: Sequence[object]) -> str:
    """Return a hash of all that the page and its figures show, and of the code that draws them."""
    tables = content.settings.plain.get("swarm")
    files = sorted(
        path
        for path in content.folder.iterdir()
        if path.suffix in (".json", ".csv", ".yaml") and path.name != "report.json"
    )
    files += [Path(str(path)) for path in tables.values()] if isinstance(tables, Mapping) else []
    package = Path(__file__).parents[1]
    files += sorted(path for name in _DRAWN_BY for path in (package / name).iterdir())
    found = [
        [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in files
        if path.is_file()
    ]
    return digest([found, *others], 16)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _render(page: Page) -> str:
    """Return the page as HTML."""
    with needs("fit", "Writing a report"):
        import jinja2
    files = resources.files("olmix.report")

    def text(name: str) -> str:
        return (files / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
    )
    template = environment.from_string(text("template.html.jinja"))
    return template.render(
        page=page, style=text("page.css"), script=text("page.js") + text("explorer.js")
    )
