"""`olmix generate`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.terminal import done, table

__all__ = ["generate"]


@click.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), required=True, help="Generation config."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the variants."
)
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="Launch config: makes each variant a complete one. Left out, variants are bare.",
)
@click.option(
    "--allow-mixed", is_flag=True, help="Write into a folder that holds another group too."
)
def generate(config: Path, output: Path, base: Path | None, allow_mixed: bool) -> None:
    """Sample the mixtures of a swarm and write one file per variant."""
    from olmix.config import GenerationConfig, LaunchConfig
    from olmix.generate import generate as run

    generation = GenerationConfig.from_yaml(config)
    launch = LaunchConfig.from_yaml(base) if base is not None else None
    made = run(generation, output, launch, allow_mixed=allow_mixed)
    domains = generation.data.domains
    natural = generation.priors.natural(domains)
    weights = [variant.mix.weights(domains) for variant in made.variants]
    rows = []
    for index, name in enumerate(domains):
        column = sorted(float(row[index]) for row in weights)
        cells = (natural[index], column[0], column[len(column) // 2], column[-1])
        rows.append((name, *(f"{100 * cell:.1f} %" for cell in cells)))
    table("", ("domain", "natural", "least", "median", "most"), rows)
    kept = len(made.files) - made.num_new
    done(
        f"{len(made.files)} variants of group {made.group_id} in {output}"
        + (f" ({kept} were there before)" if kept else "")
    )
