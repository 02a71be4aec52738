"""`olmix collect`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.terminal import done

__all__ = ["collect"]


@click.command()
@click.argument("groups", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the tables."
)
@click.option("--strict", is_flag=True, help="Exit with status 1 if any run is missing.")
def collect(groups: tuple[Path, ...], output: Path, strict: bool) -> int:
    """Read run folders (runs/GROUP) and write ratios.csv, metrics.csv and runs.csv."""
    from olmix.collect import collect as run

    found = run(groups, output)
    for name, why in found.incomplete.items():
        click.echo(f"warning: {name} is not in the tables: {why}", err=True)
    done(
        f"{len(found.runs)} runs, {len(found.domains)} domains, {len(found.metric_names)} metrics: "
        f"{found.ratios}, {found.metrics}"
    )
    return 1 if strict and found.incomplete else 0
