"""`olmix plan`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmix.cli.options import FiniteNumber, path_option, together
from olmix.cli.terminal import done, shell_line, table

if TYPE_CHECKING:
    from olmix.plan import Plan

__all__ = ["plan"]

_POSITIVE = FiniteNumber(0, min_open=True)
_ONE_OR_MORE = FiniteNumber(1)


@dataclass(frozen=True)
class _Asked:
    """The options of the command."""

    config: Path
    base: Path | None
    flops: float | None
    gpu_hours: float | None
    flops_per_gpu: float
    target_parameters: float
    target_tokens: float
    fit_folder: Path | None
    error: float
    output: Path | None


@click.command()
@path_option("-c", "--config", required=True, about="Generation config.")
@path_option("--base", about="Launch config; launch.yaml beside the generation config if left out.")
@click.option("--flops", type=_POSITIVE, help="Budget in FLOPs, such as 6e18.")
@click.option("--gpu-hours", type=_POSITIVE, help="Budget in GPU hours.")
@click.option(
    "--flops-per-gpu",
    type=_POSITIVE,
    default=4e14,
    show_default=True,
    help="FLOPs per second of one GPU; the default is an H100 at 40 %.",
)
@click.option(
    "--target-parameters",
    type=_ONE_OR_MORE,
    required=True,
    help="Parameters of the large model, such as 7B.",
)
@click.option(
    "--target-tokens",
    type=_ONE_OR_MORE,
    required=True,
    help="Tokens of the large run, such as 1T.",
)
@path_option(
    "--fit", "fit_folder", about="A fit of yours, whose errors replace those of the public swarms."
)
@click.option(
    "--error",
    type=_POSITIVE,
    default=0.1,
    show_default=True,
    help="Regret to aim for, in standard deviations of the objective between runs; lower is "
    "better.",
)
@path_option(
    "-o", "--output", about="Write generation.yaml and launch.yaml of the plan into this folder."
)
@together(_Asked)
def plan(asked: _Asked) -> None:
    """Plan a budget: how many runs, of which size and length, in how many rounds.

    The budget covers the swarm, a verification and a ladder. It is a rule of thumb from public
    swarms of 1M and 30M parameters, or from a fit of yours.
    """
    from olmix.config import GenerationConfig, LaunchConfig
    from olmix.plan import PUBLIC, Target, curve_of_fit, plans_of, write_plan

    if (asked.flops is None) == (asked.gpu_hours is None):
        raise click.UsageError("give --flops or --gpu-hours, one of them")
    budget = asked.flops
    if budget is None:
        budget = float(asked.gpu_hours or 0) * 3600 * asked.flops_per_gpu
    generation = GenerationConfig.from_yaml(asked.config)
    launch = LaunchConfig.from_yaml(
        asked.config.with_name("launch.yaml") if asked.base is None else asked.base
    )
    curve = PUBLIC if asked.fit_folder is None else curve_of_fit(asked.fit_folder)
    target = Target(asked.target_parameters, asked.target_tokens)
    plans, best = plans_of(launch, budget, target, curve, asked.error)
    _show(plans, best, curve.source, asked.error)
    if asked.output is not None:
        files = write_plan(asked.output, generation, launch, best, target)
        done(f"wrote {', '.join(map(str, files))}")
        click.echo(_next(best, asked.output))


def _show(plans: tuple[Plan, ...], best: Plan, source: str, error: float) -> None:
    from olmix.plan.budget import SMALLEST
    from olmix.records.fit.proposal import VERIFYING
    from olmix.text.numbers import UNKNOWN, fixed, readable_count

    rows = [
        (
            f"{one.num_runs}{' *' if one is best else ''}",
            str(one.rounds),
            f"2 x {one.replicates}",
            readable_count(one.parameters),
            readable_count(one.tokens),
            f"{one.flops:.2g}",
            fixed(one.errors[0], 2),
            fixed(one.errors[1], 2) if len(one.errors) > 1 else UNKNOWN,
        )
        for one in plans
    ]
    sizes = ("runs", "rounds", "replicates", "parameters", "tokens", "FLOPs")
    columns = (*sizes, "regret", "in 2 rounds")
    table("What the budget buys (* recommended)", columns, rows)
    click.echo(
        "\nRegret: how much worse the proposal is than the best mixture, in standard deviations of "
        f"the objective between runs; lower is better. From {source}.\nFLOPs include a "
        f"verification ({VERIFYING} runs) and a ladder at 1 and 4 times the size. The regret in "
        "two rounds is that in one, times what rounds were worth on an oracle of RegMix; where "
        "replicates differ by as much as good mixtures do, take one."
    )
    if best.error > error:
        click.echo(
            f"warning: no number of runs in this budget brings the regret down to {error:g}",
            err=True,
        )
    if best.parameters < SMALLEST:
        click.echo(
            "warning: models below 1M parameters are smaller than those of any public swarm; "
            "whether their ranking of mixtures carries over has not been measured",
            err=True,
        )


def _next(best: Plan, output: Path) -> str:
    """Return the commands of the plan, in order; a group of runs for each round."""
    from olmix.records.fit.ladder import LADDER_SEEDS

    place = str(output)
    base, runs, results, fit = (
        f"{place}/{name}" for name in ("launch.yaml", "runs", "results", "fit")
    )
    lines, groups = [], []
    for index in range(best.rounds):
        group = f"round-{index + 1}"
        variants = f"{place}/variants" if index == 0 else f"{place}/variants-{group}"
        generate = ["generate", "-c", f"{place}/generation.yaml", "--base", base, "-o", variants]
        if index:
            later = (best.num_runs - best.first_runs) // (best.rounds - 1)
            generate += ["--after", f"{fit}/latest", "-n", str(later)]
        groups.append(f"{runs}/{group}")
        lines += [
            generate,
            ["launch", "preview", "-v", variants],
            ["launch", "run", "-v", variants, "-o", runs, "-g", group],
            ["collect", *groups, "-o", results],
            ["fit", "-c", f"{results}/fit.yaml", "-o", fit],
        ]
    verify = ["verify", "--fit", f"{fit}/latest", "-c", base, "-o", runs]
    lines += [verify, [*verify, "--scales", "1,4", "--seeds", str(LADDER_SEEDS)]]
    return "\n".join(shell_line(["olmix", *words]) for words in lines)
