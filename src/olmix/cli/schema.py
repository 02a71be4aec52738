"""`olmix schema`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.terminal import done

__all__ = ["schema"]


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("schemas"),
    show_default=True,
    help="Folder for the schemas.",
)
def schema(output: Path) -> None:
    """Write JSON Schemas of all configs, so that editors complete and check the YAML.

    A config points its editor at one with a first line such as

        # yaml-language-server: $schema=../schemas/launch.json
    """
    from olmix.config.schema import schemas
    from olmix.text.files import write_json

    for name, content in schemas().items():
        write_json(output / f"{name}.json", content)
    done(f"{len(schemas())} schemas in {output}")
