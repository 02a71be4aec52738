"""`olmix predict`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.terminal import done

__all__ = ["predict"]


@click.command()
@click.option(
    "--fit",
    "fit_folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of a fit, such as fit/latest.",
)
@click.option(
    "--ratios",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV file of mixtures: a row each, a column per domain.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV file to write: a row per mixture and metric.",
)
def predict(fit_folder: Path, ratios: Path, output: Path) -> None:
    """Predict every metric of any mixtures by the laws of a fit, with 90 % intervals of one run."""
    from olmix.fit import load_fit
    from olmix.fit.predict import predict_table
    from olmix.io.tables import read_table, write_table

    fit = load_fit(fit_folder)
    table = read_table(ratios)
    runs, columns = predict_table(fit, table)
    write_table(output, runs, columns)
    done(f"{len(table.runs)} mixtures, {len(fit.metrics)} metrics: {output}")
