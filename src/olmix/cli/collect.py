"""`olmix collect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmix.cli.options import FiniteNumber
from olmix.cli.terminal import done, progress
from olmix.text.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from olmix.collect import Collected

__all__ = ["collect"]

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the tables."
)
@click.option("--wandb", "project", metavar="ENTITY/PROJECT", help="Read a W&B project instead.")
@click.option("-g", "--group", help="A group in runs/; with --wandb: the W&B group.")
@click.option(
    "-v",
    "--variants",
    type=click.Path(path_type=Path, exists=True),
    help="Launched variants, for runs that do not record their mixture.",
)
@click.option("-c", "--config", type=_FILE, help="Launch config with the eval section of the runs.")
@click.option("--priors", type=_FILE, help="Token counts for fit.yaml (`olmix priors compute`).")
@click.option("--metric", "metrics", multiple=True, help="Logged metric to collect; repeatable.")
@click.option(
    "--higher-is-better",
    multiple=True,
    metavar="NAME",
    help="Metric to maximise, whatever its name says; accuracies and rewards are known.",
)
@click.option(
    "--lower-is-better",
    multiple=True,
    metavar="NAME",
    help="Metric to minimise, whatever its name says.",
)
@click.option(
    "--value",
    type=click.Choice(["last", "best", "tail"]),
    default="last",
    show_default=True,
    help="Which logged value of a metric to use.",
)
@click.option(
    "--tail",
    type=FiniteNumber(0, 1, min_open=True),
    default=0.1,
    show_default=True,
    help="With --value tail: the share of the last values to average.",
)
@click.option("--per-checkpoint", is_flag=True, help="Write checkpoints.csv: metrics by step.")
@click.option(
    "--unfinished", is_flag=True, help="Include running and crashed runs with what they have."
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with status 1 if any run is incomplete or was trained on shares more than a "
    "percentage point off those asked for; refuse runs whose domains had different token files.",
)
def collect(
    runs: tuple[Path, ...],
    output: Path,
    project: str | None,
    group: str | None,
    strict: bool,
    **options: object,
) -> int:
    """Read runs and write ratios.csv, metrics.csv, runs.csv, completeness.json and fit.yaml.

    RUNS are group folders (runs/GROUP), or any folders with metrics.jsonl, offline W&B runs,
    TensorBoard files, logs of torchtune, Lightning or LitGPT, and results of lm-evaluation-harness
    or OLMES.
    """
    from olmix.collect import Options, collect_wandb
    from olmix.collect import collect as collect_folders

    if project is None and group is not None:
        runs = (_folder_of(group, runs),)
    if bool(runs) == bool(project):
        raise click.UsageError("give folders of runs, -g GROUP, or --wandb ENTITY/PROJECT")
    chosen = Options(strict=strict, **options)  # type: ignore[arg-type]  # names and types are those above
    with progress("reading histories") as show:
        found = (
            collect_wandb(project, group, output, chosen, show)
            if project
            else collect_folders(runs, output, chosen, show)
        )
    _report(found)
    return 1 if strict and (found.incomplete or found.shares_off) else 0


def _folder_of(group: str, runs: Sequence[Path]) -> Path:
    """Return the folder of a group, in `runs` or in the folder that is named."""
    from olmix.launch import choose_group

    if len(runs) > 1:
        raise click.UsageError("-g names one group; give no folder, or the one that it is in")
    return choose_group(Path("runs"), runs[0] if runs else None, group).folder


def _report(found: Collected) -> None:
    """Print what was collected, and name every run that is incomplete."""
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    for name, why in found.incomplete.items():
        place = "is incomplete" if name in found.runs else "is not in the tables"
        click.echo(f"warning: {name} {place}: {why}", err=True)
    tables = (found.ratios, found.metrics, found.errors, found.fit_config)
    files = [file for file in tables if file is not None]
    done(
        f"{counted(len(found.runs), 'run')}, {counted(len(found.domains), 'domain')}, "
        f"{counted(len(found.metric_names), 'metric')}: "
        f"{', '.join(str(file) for file in files)}"
    )
