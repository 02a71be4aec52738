"""Writing `report.html` and the figures of a fit folder: the edge that reads, calls and writes.

What the fit folder itself does not know (commands, run folders, machine) is kept in `report.json`,
so that `olmix verify` can write the page again and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from olmix.errors import DataError, MissingPackageError, OlmixError
from olmix.io.files import read_json, write_json, write_text
from olmix.io.runs import RunFolder
from olmix.report.content import load_content
from olmix.report.figures import Curves, draw_figures
from olmix.report.page import Background, Page, build_page
from olmix.report.words import count

__all__ = ["write_report"]

TITLE = "Data mixture report"
_MOST_CURVES = 200
_MACHINE = ("processor", "cores", "platform", "python")


def write_report(
    fit_folder: Path,
    *,
    runs: Path | None = None,
    verification_runs: Path | None = None,
    commands: Sequence[str] = (),
    title: str = "",
    machine: Mapping[str, str] | None = None,
    manifest: Path | None = None,
) -> Path:
    """Write `report.html` and a PNG file of every figure into a fit folder.

    Args:
        fit_folder: folder that `olmix fit` wrote; `olmix verify` may have added to it.
        runs: folder of the swarm's run folders: gives training curves and facts of the machine.
        verification_runs: folder of the verification's run folders.
        commands: commands that led here, in order; those of an earlier report are kept before them.
        title: title of the page.
        machine: facts of the machine; those that the launch noted where left out.
        manifest: `manifest.json` of `olmix prepare`; found through the runs where left out.

    Returns:
        path of the page.

    Raises:
        DataError: the folder holds no fit, or its files contradict docs/files.md.
        MissingPackageError: jinja2 or matplotlib is not installed.
    """
    folder = Path(fit_folder)
    content = load_content(folder)
    known = _remembered(folder)
    groups = [
        Path(path)
        for path in (runs or known.get("runs"), verification_runs or known.get("verification_runs"))
        if path
    ]
    kept = list(dict.fromkeys([*known.get("commands", ()), *commands]))
    facts = machine or known.get("machine") or _machine(groups)
    swarm_runs = runs or known.get("runs")
    pictures = draw_figures(content, _curves(Path(swarm_runs), content.runs) if swarm_runs else {})
    background = Background(tuple(kept), facts, _data(manifest or _manifest(groups)))
    heading = title or known.get("title") or TITLE
    page = build_page(content, pictures, background, heading)
    write_json(
        folder / "report.json",
        {
            "format": 1,
            "title": heading,
            "commands": kept,
            "runs": None if swarm_runs is None else str(swarm_runs),
            "verification_runs": str(verification_runs)
            if verification_runs is not None
            else known.get("verification_runs"),
            "machine": None if facts is None else dict(facts),
        },
    )
    target = folder / "report.html"
    write_text(target, _render(page))
    return target


def _render(page: Page) -> str:
    """Return the page as HTML."""
    try:
        import jinja2
    except ImportError:
        raise MissingPackageError("jinja2", "fit", "Writing a report") from None
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
    return template.render(page=page, style=text("page.css"), script=text("page.js"))


def _remembered(folder: Path) -> dict[str, Any]:
    """Return what an earlier report of this fit noted."""
    try:
        raw = read_json(folder / "report.json")
    except DataError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _machine(groups: Sequence[Path]) -> dict[str, str] | None:
    """Return what the launch noted of the machine: no host name, no user."""
    for group in groups:
        try:
            raw = read_json(group / "group.json")["machine"]
            return {key: str(raw[key]) for key in _MACHINE if raw.get(key) is not None}
        except (DataError, KeyError, TypeError, AttributeError):
            continue
    return None


def _curves(group: Path, runs: Sequence[str]) -> Curves:
    """Return training loss against tokens of the runs whose folders are still there."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for run in runs[:_MOST_CURVES]:
        records = [r for r in RunFolder(group / run).read_metrics() if "loss" in r]
        points = [
            (float(r["tokens"]), float(r["loss"])) for r in records if r.get("tokens") is not None
        ]
        if points:
            curves[run] = ([tokens for tokens, _ in points], [loss for _, loss in points])
    return curves


def _manifest(groups: Sequence[Path]) -> Path | None:
    """Return the manifest of the data that some run was trained on, if it is still there."""
    from olmix.config import read_yaml

    for group in groups:
        for config in sorted(group.glob("*/config.yaml"))[:1]:
            try:
                tokenizer = read_yaml(config).data["data"]["tokenizer"]
            except (OlmixError, KeyError, TypeError):
                continue
            found = Path(str(tokenizer)).parent / "manifest.json"
            if found.is_file():
                return found
    return None


def _data(manifest: Path | None) -> tuple[tuple[str, str, bool], ...]:
    """Return domain, training tokens and whether it is held out, as `olmix prepare` noted them."""
    if manifest is None:
        return ()
    try:
        domains = read_json(manifest)["domains"]
        return tuple(
            (
                str(name),
                count(float(entry.get("train_tokens") or 0)),
                bool(entry.get("held_out", False)),
            )
            for name, entry in domains.items()
        )
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        return ()
