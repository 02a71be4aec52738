"""`olmix predict`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.options import fit_option, path_option
from olmix.cli.terminal import done, progress
from olmix.text.numbers import counted

__all__ = ["predict"]


@click.command()
@fit_option
@path_option(
    "--ratios", required=True, about="CSV file of mixtures: a row each, a column per domain."
)
@path_option(
    "-o", "--output", required=True, about="CSV file to write: a row per mixture and metric."
)
@click.option(
    "--scale",
    metavar="NAME",
    help="Model size to predict, where the fit has several (swarm.scales); its target if left out.",
)
def predict(fit_folder: Path, ratios: Path, output: Path, scale: str | None) -> None:
    """Predict every metric of any mixture by the laws of a fit, with 90 % intervals."""
    from olmix.fit import load_fit
    from olmix.fit.predict import predict_table
    from olmix.text.csv import read_table, write_table

    fit = load_fit(fit_folder, scale)
    table = read_table(ratios)
    with progress("predicting") as show:
        runs, columns = predict_table(fit, table, show)
    write_table(output, runs, columns)
    at = f" at {fit.scale}" if fit.scale else ""
    what = f"{counted(len(table.runs), 'mixture')}, {counted(len(fit.metrics), 'metric')}{at}"
    done(f"{what}: {output}")
