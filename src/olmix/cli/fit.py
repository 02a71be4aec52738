"""`olmix fit`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from olmix.cli.options import path_option
from olmix.cli.terminal import done, progress, shell_line, table

__all__ = ["fit"]


@click.command()
@path_option("-c", "--config", required=True, about="Fit config.")
@path_option("-o", "--output-dir", required=True, about="Folder of the fits.")
@click.option("--explain", "explains", is_flag=True, help="Print the decisions in plain words.")
def fit(config: Path, output_dir: Path, explains: bool) -> None:
    """Regress, cross-validate, propose a mixture, and write a report.

    A config with `factors`, as `olmix sweep results` writes one, gives the response surface of a
    sweep in place of the laws of a swarm.
    """
    from olmix.config import FitConfig, read_yaml

    data = read_yaml(config).data
    if isinstance(data, dict) and "factors" in data:
        _fit_surface(config, output_dir)
        return
    from olmix.fit import fit_swarm
    from olmix.report import write_report

    settings = FitConfig.from_yaml(config)
    with progress("fitting") as view:
        result = fit_swarm(settings, output_dir, view.update)
    command = shell_line(["olmix", "fit", "-c", str(config), "-o", str(output_dir)])
    with progress("drawing") as view:
        page = write_report(result.folder, commands=(command,), on_step=view.update)
    show_fit(result.folder)
    if explains:
        _show_explanation(result.folder)
    if result.reused:
        done("the same fit was done before; its laws were used again")
    done(f"report: {page}")


def _fit_surface(config: Path, output_dir: Path) -> None:
    from olmix.config.surface import SurfaceConfig
    from olmix.fit.surface import fit_surface

    result = fit_surface(SurfaceConfig.from_yaml(config), output_dir)
    found = result.summary
    rows = [(order, f"{rmse:.4g}") for order, rmse in found["candidates"].items()]
    table("How well points that were left out are predicted", ("surface", "error"), rows)
    click.echo()
    terms = [
        (entry["term"], f"{entry['coefficient']:.4g}", f"{entry['standard_error']:.2g}")
        for entry in found["terms"]
    ]
    title = f"{found['order']}: effect of half the tested range on {found['metric']}"
    table(title, ("term", "coefficient", "standard error"), terms)
    click.echo(f"\n{found['statement']}")
    done(f"surface: {result.folder}")


def show_fit(folder: Path) -> None:
    """Print how well each metric is predicted, and what is proposed."""
    from olmix.text.files import read_json

    _show_laws(read_json(folder / "fit.json"))
    file = folder / "proposal.json"
    if not file.is_file():
        return
    proposal = read_json(file)
    for warning in proposal["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"\n{proposal['statement']}")


def _show_explanation(folder: Path) -> None:
    from olmix.report import explain

    for heading, texts in explain(folder):
        click.echo(f"\n{heading}")
        for text in texts:
            click.echo(textwrap.fill(text, 100, initial_indent="  - ", subsequent_indent="    "))


def _show_laws(found: Mapping[str, Any]) -> None:
    rows = []
    for name, metric in found["metrics"].items():
        scores = metric["candidates"][metric["chosen"]]["cv"]
        noise = metric["noise_sd"]
        rows.append(
            (
                name,
                "lower" if metric["lower_is_better"] else "higher",
                metric["chosen"],
                _number(scores["spearman"], ".2f"),
                _number(scores["rmse"], ".4f"),
                _number(noise, ".4f"),
                f"{metric['objective_weight']:g}",
            )
        )
    columns = ("metric", "better", "law", "rank corr.", "error", "noise", "weight")
    table("How well runs that a law has not seen are predicted", columns, rows)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
