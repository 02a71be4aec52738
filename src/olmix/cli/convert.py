"""`olmix convert`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.options import path_option
from olmix.cli.terminal import done
from olmix.text.numbers import counted

__all__ = ["convert"]


@click.command()
@click.argument("configs", nargs=-1, required=True, type=click.Path(path_type=Path))
@path_option("-o", "--output", required=True, about="Folder for the new files.")
def convert(configs: tuple[Path, ...], output: Path) -> None:
    """Convert configs of Ai2's Olmix, with comments where something changed.

    CONFIGS are fit, generation and launch configs, or experiments of earlier releases, which become
    a generation and a launch config. docs/coming_from.md says what each key is called here.
    """
    from olmix.convert import convert as run

    for written in run(configs, output):
        for change in written.changes:
            click.echo(f"{written.file.name}: {change}", err=True)
        done(f"{written.kind} config, {counted(len(written.changes), 'change')}: {written.file}")
