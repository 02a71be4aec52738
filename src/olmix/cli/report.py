"""`olmix report` and `olmix fits`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from olmix.cli.fit import show_last_lines
from olmix.cli.options import json_option
from olmix.cli.terminal import progress, resolved, table

__all__ = ["fits", "report"]


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="A B",
    help="Compare two fits, of one study or of two.",
)
@json_option
def report(folder: Path | None, compare: tuple[Path, Path] | None, as_json: bool) -> None:
    """Rewrite the report of a fit FOLDER, or compare two fits."""
    if (folder is None) == (compare is None):
        raise click.UsageError("give one fit FOLDER, or --compare with two")
    if compare is not None:
        _compare(*compare, as_json=as_json)
        return
    if as_json:
        raise click.UsageError("--json needs --compare")
    from olmix.report import write_report

    with progress("drawing") as show:
        page = write_report(resolved(Path(str(folder))), on_progress=show)
    show_last_lines(page)


def _compare(first: Path, second: Path, *, as_json: bool) -> None:
    from olmix.report import compare_fits

    found = compare_fits(first, second)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
        return
    click.echo(f"first:  {first}\nsecond: {second}\n")
    for title, column, rows in (
        ("What the fits were given", "input", found.inputs),
        ("Law and held-out rank correlation", "metric", found.laws),
        ("Gain of the objective over natural (positive is better)", "", found.gains),
    ):
        if rows:
            table(title, (column, "first", "second"), rows)
            click.echo()
    if found.metrics:
        known = ["measured" if measured else "predicted" for measured in found.measured]
        headings = ("metric", f"first, {known[0]}", f"second, {known[1]}", "change", "why")
        table("Gain of each metric over natural (positive is better)", headings, found.metrics)
        click.echo()
    if found.weights:
        columns = ("domain", "first", "second", "change")
        table("Proposed mixtures (change in percentage points)", columns, found.weights)
        click.echo()
    for sentence in found.reading:
        click.echo(sentence)


@click.command()
@click.argument("folder", default=Path("fit"), type=click.Path(path_type=Path))
@json_option
def fits(folder: Path, as_json: bool) -> None:
    """List the fits in FOLDER (`fit` if left out) with their headlines, the newest first."""
    from olmix.report import list_fits

    found = list_fits(folder)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
        return
    columns: dict[str, list[str]] = {
        "fit": [one.name for one in found],
        "written": [one.day for one in found],
        "runs": [str(one.runs) for one in found],
        "objective": [one.objective for one in found],
        "floors": [one.floors for one in found],
        "rank": [one.rank for one in found],
        "predicted ± SE": [one.predicted for one in found],
        "measured ± SE": [one.measured for one in found],
    }
    # What all fits share is said once.
    for name in ("objective", "floors"):
        if len(values := set(columns[name])) == 1:
            click.echo(f"{name}: {values.pop() or 'none'}")
            del columns[name]
    table("", tuple(columns), list(zip(*columns.values(), strict=True)))
    for one in found:
        if one.is_latest:
            click.echo(f"latest: {one.name}")
