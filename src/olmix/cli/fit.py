"""`olmix fit`."""

from __future__ import annotations

import math
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmix.cli.options import path_option
from olmix.cli.terminal import done, progress, shell_line, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from olmix.fit import FitResult
    from olmix.records.fit.next_batch import NextBatch
    from olmix.records.fit.scores import Fit
    from olmix.report.figures import Drawn

__all__ = ["fit", "show_fit", "show_last_lines", "show_mixture"]


@click.command()
@path_option("-c", "--config", required=True, about="Fit config.")
@path_option("-o", "--output", old=("--output-dir",), required=True, about="Folder for the fits.")
@click.option("--explain", "explains", is_flag=True, help="Explain the decisions in plain words.")
@click.option(
    "--no-plots", "drawn", flag_value="none", help="Draw no figures; write only the page."
)
@click.option(
    "--all-plots", "drawn", flag_value="all", help="Draw figures for every metric, not just 12."
)
def fit(config: Path, output: Path, explains: bool, drawn: Drawn | None) -> None:
    """Regress, cross-validate, propose a mixture, and write a report.

    A config with `factors`, as `olmix sweep results` writes one, fits a response surface to a
    sweep instead of laws to a swarm.
    """
    from olmix.config import FitConfig, read_yaml

    data = read_yaml(config).data
    if isinstance(data, dict) and "factors" in data:
        _fit_surface(config, output)
        return
    from olmix.fit import fit_swarm
    from olmix.report import write_report
    from olmix.report.figures import MOST_METRICS
    from olmix.text.numbers import shortened

    settings = FitConfig.from_yaml(config)
    with progress("fitting") as show:
        result = fit_swarm(settings, output, show)
    command = shell_line(["olmix", "fit", "-c", str(config), "-o", str(output)])
    with progress("drawing") as show:
        page = write_report(
            result.folder, commands=(command,), on_progress=show, drawn=drawn or "usual"
        )
    show_fit(result)
    if explains:
        _show_explanation(result.folder)
    if result.reused:
        done("this fit was done before; its laws were reused")
    names = [metric.name for metric in result.fit.ordered]
    if drawn is None and len(names) > MOST_METRICS:
        done(
            f"figures of single metrics: {shortened(names[:MOST_METRICS])}; "
            f"--all-plots draws those of all {len(names)}"
        )
    show_last_lines(page)


def _fit_surface(config: Path, output: Path) -> None:
    from olmix.config.surface import SurfaceConfig
    from olmix.fit.surface import fit_surface

    result = fit_surface(SurfaceConfig.from_yaml(config), output)
    found = result.summary
    rows = [(order, f"{rmse:.4g}") for order, rmse in found["candidates"].items()]
    table("How well held-out points are predicted", ("surface", "error"), rows)
    click.echo()
    terms = [
        (entry["term"], f"{entry['coefficient']:.4g}", f"{entry['standard_error']:.2g}")
        for entry in found["terms"]
    ]
    title = f"{found['order']}: effect of half the tested range on {found['metric']}"
    table(title, ("term", "coefficient", "standard error"), terms)
    click.echo(f"\n{found['statement']}\n")
    _show_batch(result.batch)
    done(f"surface: {result.folder}")
    study = config.absolute().parent.parent
    if (study / "run_mapping.yaml").is_file():
        words = ["olmix", "sweep", "generate", os.path.relpath(study)]
        done(f"next runs: {shell_line([*words, '--after', str(result.folder)])}")


def _show_batch(batch: NextBatch) -> None:
    """Print the runs that would tell most next."""
    from olmix.records.fit.scores import LEVEL
    from olmix.text.numbers import per_cent

    names = list(batch.runs[0].settings)
    rows = [
        (
            *(f"{run.settings[name]:g}" for name in names),
            f"{run.predicted:.4g}",
            f"{run.low:.4g} to {run.high:.4g}",
            "" if run.repeats is None else f"again, as {run.repeats}",
        )
        for run in batch.runs[:4]
    ]
    columns = (*names, f"{batch.metric}, predicted", f"{per_cent(LEVEL)} interval of its mean", "")
    table("The next runs, most useful first", columns, rows)


def show_fit(result: FitResult) -> None:
    """Print how well each metric is predicted, and what is proposed."""
    from olmix.records.fit.ledger import ledger_statement, of_objective, read_ledger
    from olmix.records.fit.settings import read_fit_settings

    _show_laws(result.fit)
    proposal = result.proposal
    if proposal is None:
        return
    click.echo()
    title = f"The {'worst' if proposal.worst else 'proposed'} mixture"
    start = read_fit_settings(result.folder).start
    show_mixture(proposal.weights("natural"), proposal.weights("proposed"), title, start)
    for warning in proposal.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"\n{proposal.statement}")
    if proposal.another_round is not None:
        click.echo(proposal.another_round.statement)
    entries = read_ledger(result.folder)
    name, identities = proposal.objective.name, result.fit.measured_with
    if verified := ledger_statement(of_objective(entries, name, identities)):
        click.echo(verified)


def show_mixture(
    natural: Mapping[str, float],
    proposed: Mapping[str, float],
    title: str = "The proposed mixture",
    start: str = "natural",
) -> None:
    """Print the share of every domain, the largest of the natural mixture first."""
    from olmix.text.numbers import percent

    rows = [
        (name, percent(share), percent(proposed.get(name, 0.0)))
        for name, share in sorted(natural.items(), key=lambda item: -item[1])
    ]
    table(title, ("domain", start, title.split()[1]), rows)


def show_last_lines(page: Path) -> None:
    """Print the first screen of a report as ten lines, the last of a command."""
    from olmix.report import summary

    click.echo()
    for line in summary(page.parent):
        click.echo(line)


def _show_explanation(folder: Path) -> None:
    from olmix.report import explain

    for heading, texts in explain(folder):
        click.echo(f"\n{heading}")
        for text in texts:
            click.echo(textwrap.fill(text, 100, initial_indent="  - ", subsequent_indent="    "))


def _show_laws(found: Fit) -> None:
    from olmix.text.numbers import fixed, places_for

    rows = [
        (
            metric.name,
            "lower" if metric.lower_is_better else "higher",
            metric.chosen,
            fixed(metric.law.cv.spearman, 2),
            *(
                fixed(size, max(4, places_for(size))) if math.isfinite(size) else ""
                for size in (metric.law.cv.rmse, metric.noise_sd)
            ),
            f"{metric.objective_weight:.3g}",
        )
        for metric in found.metrics.values()
    ]
    columns = ("metric", "better", "law", "rank corr.", "error", "noise", "weight")
    table("How well held-out runs are predicted", columns, rows)
    if found.objective is not None and found.objective.best_tenth is not None:
        click.echo(f"\n{found.objective.best_tenth.statement}")
