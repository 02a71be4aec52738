"""`olmix verify`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from olmix.cli.options import fit_option, path_option
from olmix.cli.terminal import done, shell_line, table

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
    help="Moves all seeds: an independent second verification.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def verify(
    fit_folder: Path, config: Path, output: Path, seeds: int, seed_offset: int, yes: bool
) -> int:
    """Train natural, uniform, best seen and proposed mixture with fresh, paired seeds."""
    from olmix.cli.launch import report_launch, run_group, show_cost
    from olmix.config import LaunchConfig
    from olmix.launch import Group, estimate
    from olmix.records.run import RunFolder
    from olmix.report import write_report
    from olmix.verify import compare, plan_verification, write_verification

    folder = fit_folder.resolve()
    plan = plan_verification(folder, LaunchConfig.from_yaml(config), seeds, seed_offset)
    group = Group.of(plan.group_id, plan.runs)
    show_cost(group, estimate(group, output / group.group_id))
    if not yes:
        click.confirm("Start?", default=True, abort=True, err=True)
    launched = run_group(group, output)
    status = report_launch(launched)
    if status:
        return status
    metrics = {
        run.name: RunFolder(launched.folder / run.name).read_summary().metrics for run in plan.runs
    }
    result = compare(plan, metrics)
    write_verification(folder, plan, metrics, result)
    words = ["olmix", "verify", "--fit", str(fit_folder), "-c", str(config), "-o", str(output)]
    words += ["--seeds", str(seeds)]
    words += ["--seed-offset", str(seed_offset)] if seed_offset else []
    page = write_report(
        folder, verification_runs=launched.folder, commands=(shell_line([*words, "--yes"]),)
    )
    show_verification(result, num_swarm_runs=_num_runs(folder))
    done(f"report: {page}")
    return 0


def _num_runs(fit_folder: Path) -> int:
    from olmix.text.files import read_json

    return len(read_json(fit_folder / "fit.json")["runs"]["used"])


def show_verification(result: Mapping[str, Any], num_swarm_runs: int) -> None:
    """Print the proposal beside the natural mixture, and what it gained."""
    mixtures = result["mixtures"]
    natural, proposed = mixtures["natural"]["weights"], mixtures["proposed"]["weights"]
    rows = [
        (name, f"{100 * share:.1f} %", f"{100 * proposed[name]:.1f} %")
        for name, share in sorted(natural.items(), key=lambda item: -item[1])
    ]
    click.echo()
    table("The proposed mixture", ("domain", "natural", "proposed"), rows)
    click.echo()
    scale = [
        (name.replace("_", " "), f"{entry['mean']:.4f}", f"± {entry['std_error']:.4f}")
        for name, entry in mixtures.items()
    ]
    title = f"Measured {result['metric']} over {len(result['seeds'])} fresh seeds"
    table(title, ("mixture", "mean", "std. error"), scale)
    click.echo()
    rows = []
    for other, gain in result["gains"].items():
        predicted = result["predicted_gain"].get(other)
        rows.append(
            (
                other.replace("_", " "),
                _predicted(predicted),
                f"{gain['mean']:+.4f} ± {gain['std_error']:.4f}",
            )
        )
    table(
        "Gain of the proposal over each (positive is better)",
        ("over", "predicted (90 % interval)", "measured ± std. error"),
        rows,
    )
    click.echo(f"\n{result['statement']}")
    click.echo(f"{num_swarm_runs} runs in the fit, {result['num_runs']} runs in the verification.")


def _predicted(gain: Mapping[str, float] | None) -> str:
    if gain is None:
        return ""
    return f"{gain['mean']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})"
