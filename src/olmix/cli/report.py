"""`olmix report` and `olmix fits`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from olmix.cli.options import json_option
from olmix.cli.terminal import done, progress, resolved, table

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
    from olmix.report import summary, write_report

    with progress("drawing") as show:
        page = write_report(resolved(Path(str(folder))), on_progress=show)
    for line in summary(page.parent):
        click.echo(line)
    done(f"report: {page}")


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
        ("Gain over natural (positive is better)", "", found.gains),
    ):
        if rows:
            table(title, (column, "first", "second"), rows)
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
    rows = [
        (
            f"{one.name}{' (latest)' if one.is_latest else ''}",
            one.day,
            str(one.runs),
            one.rank,
            one.predicted,
            one.measured,
        )
        for one in found
    ]
    columns = ("fit", "written", "runs", "rank", "predicted ± SE", "measured ± SE")
    table("", columns, rows)
