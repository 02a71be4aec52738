"""`olmix verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmix.cli.options import fit_option, path_option
from olmix.cli.terminal import ask, done, shell_line, table

if TYPE_CHECKING:
    from olmix.records.fit.verification import Verification

__all__ = ["verify"]


@click.command()
@fit_option
@path_option("-c", "--config", required=True, about="How to train.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of the run folders.",
)
@click.option(
    "--seeds",
    type=int,
    default=5,
    show_default=True,
    help="Fresh seeds for each mixture, at least 3.",
)
@click.option(
    "--seed-offset",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Shift all seeds, for an independent second verification.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def verify(
    fit_folder: Path, config: Path, output: Path, seeds: int, seed_offset: int, yes: bool
) -> int:
    """Train natural, uniform, best seen and proposed mixture with fresh, paired seeds."""
    from olmix.cli.launch import costs_money, report_launch, run_group, show_cost
    from olmix.config import LaunchConfig
    from olmix.launch import Group, estimate
    from olmix.records.fit.scores import read_fit
    from olmix.records.fit.verification import write_verification
    from olmix.records.run import RunFolder
    from olmix.report import summary, write_report
    from olmix.verify import compare, plan_verification

    folder = fit_folder.resolve()
    plan = plan_verification(folder, LaunchConfig.from_yaml(config), seeds, seed_offset)
    group = Group.of(plan.group_id, plan.runs)
    show_cost(group, estimate(group, output / group.group_id))
    if not yes:
        ask("Start?", "nothing was started", default=not costs_money(group.infra))
    launched = run_group(group, output)
    status = report_launch(launched)
    if status:
        return status
    metrics = {
        run.name: RunFolder(launched.folder / run.name).read_summary().metrics for run in plan.runs
    }
    result = compare(plan, metrics)
    write_verification(folder, result, plan.run_of, metrics)
    words = ["olmix", "verify", "--fit", str(fit_folder), "-c", str(config), "-o", str(output)]
    words += ["--seeds", str(seeds)]
    words += ["--seed-offset", str(seed_offset)] if seed_offset else []
    page = write_report(
        folder, verification_runs=launched.folder, commands=(shell_line([*words, "--yes"]),)
    )
    show_verification(result, num_swarm_runs=len(read_fit(folder).runs.used))
    click.echo()
    for line in summary(folder):
        click.echo(line)
    done(f"report: {page}")
    return 0


def show_verification(result: Verification, num_swarm_runs: int) -> None:
    """Print the proposal beside the natural mixture, and what it gained."""
    from olmix.plotting import mixture_label
    from olmix.records.fit.scores import LEVEL
    from olmix.text.numbers import counted, fixed, per_cent, percent, signed

    natural = result.mixtures["natural"].weights
    proposed = result.mixtures["proposed"].weights
    rows = [
        (name, percent(share), percent(proposed.get(name, 0.0)))
        for name, share in sorted(natural.items(), key=lambda item: -item[1])
    ]
    click.echo()
    table("The proposed mixture", ("domain", "natural", "proposed"), rows)
    click.echo()
    scale = [
        (mixture_label(name), fixed(mean, 4), f"± {fixed(error, 4)}")
        for name, (mean, error) in result.means.items()
    ]
    title = f"Measured {result.metric} over {counted(len(result.seeds), 'fresh seed')}"
    table(title, ("mixture", "mean", "std. error"), scale)
    click.echo()
    rows = []
    for other, gain in result.gains.items():
        found = result.predicted_gain.get(other)
        predicted = ""
        if found is not None:
            ends = f"{signed(found.low, 4)} to {signed(found.high, 4)}"
            predicted = f"{signed(found.mean, 4)} ({ends})"
        measured = f"{signed(gain.mean, 4)} ± {fixed(gain.std_error, 4)}"
        rows.append((mixture_label(other), predicted, measured))
    table(
        "Gain of the proposal over each (positive is better)",
        ("over", f"predicted ({per_cent(LEVEL)} interval)", "measured ± std. error"),
        rows,
    )
    click.echo(f"\n{result.statement}")
    click.echo(
        f"{counted(num_swarm_runs, 'run')} in the fit, {counted(result.num_runs, 'run')} in the "
        "verification."
    )
