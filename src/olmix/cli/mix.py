"""`olmix mix export`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.options import path_option
from olmix.cli.terminal import done
from olmix.text.numbers import counted

__all__ = ["mix"]

_TRAINERS = (
    "megatron", "olmo-core", "litgpt", "torchtitan", "hf", "llamafactory", "axolotl", "levanter",
)  # fmt: skip


@click.group()
def mix() -> None:
    """Use a mixture with other trainers."""


@mix.command()
@click.argument("source", metavar="MIX", type=click.Path(path_type=Path))
@click.option("--to", "trainer", type=click.Choice(_TRAINERS), required=True, help="The trainer.")
@path_option(
    "-c",
    "--config",
    about="Config whose data section (and priors, max_tokens) completes or replaces that of MIX.",
)
@path_option("-o", "--output", about="File to write; for a swarm, a folder.", required=True)
def export(source: Path, trainer: str, config: Path | None, output: Path) -> None:
    """Write a mixture as another trainer reads it.

    MIX is the folder of a fit or its mix.yaml, a variant, or the folder of a swarm, which makes a
    file per variant. What the trainer's format cannot express is printed and noted in the file.
    """
    from olmix.export import TRAINERS, export_mix, merged_with, read_mixtures
    from olmix.text.files import write_text

    mixtures = read_mixtures(source, config)
    several = source.is_dir() and not (source / "mix.yaml").is_file()
    written: dict[Path, str] = {}
    for files in (export_mix(each, trainer) for each in mixtures):
        main, *_ = files
        # What lies beside a file has a fixed name, so that each has a folder of its own.
        folder = output / main.rpartition(".")[0] if len(files) > 1 else output
        for name, text in files.items():
            place = folder if several else output.parent
            path = output if name == main and not several else place / name
            shared = name != main and path.exists()
            written[path] = merged_with(path.read_text(), text, str(path)) if shared else text
    for path, text in written.items():
        write_text(path, text)
    for note in TRAINERS[trainer].notes(mixtures[0]):
        click.echo(note, err=True)
    done(f"{counted(len(mixtures), 'mixture')} for {trainer}: {output}")
