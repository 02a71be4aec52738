"""`olmix fit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmix.cli.terminal import done, progress

if TYPE_CHECKING:
    from olmix.fit import FitResult

__all__ = ["fit"]


@click.command()
@click.option("-c", "--config", type=click.Path(path_type=Path), required=True, help="Fit config.")
@click.option(
    "-o", "--output-dir", type=click.Path(path_type=Path), required=True, help="Folder of the fits."
)
def fit(config: Path, output_dir: Path) -> None:
    """Regress, cross-validate, propose a mixture, and write a report."""
    from olmix.config import FitConfig
    from olmix.fit import fit_swarm
    from olmix.report import write_report

    settings = FitConfig.from_yaml(config)
    with progress("fitting") as view:
        result = fit_swarm(settings, output_dir, view.update)
    page = write_report(result.folder, commands=(f"olmix fit --config {config}",))
    show_fit(result)
    done(f"report: {page}")


def show_fit(result: FitResult) -> None:
    """Print what a fit found."""
    raise NotImplementedError
