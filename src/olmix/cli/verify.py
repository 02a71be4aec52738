"""`olmix verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmix.cli.fit import show_last_lines, show_mixture
from olmix.cli.options import fit_option, path_option, runs_option, together
from olmix.cli.terminal import ask, done, progress, resolved, shell_line, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from olmix.config import LaunchConfig
    from olmix.launch import Group
    from olmix.records.fit.ladder import Ladder
    from olmix.records.fit.verification import Verification
    from olmix.verify import Size, VerificationPlan

    Measured = Mapping[str, Mapping[str, float]]

__all__ = ["show_ladder", "show_verification", "verify"]


@dataclass(frozen=True)
class _Asked:
    """The options of the command."""

    fit_folder: Path
    config: Path
    output: Path
    seeds: int
    seed_offset: int
    strict: bool
    scales: str | None
    target: str | None
    all_mixtures: bool
    dry_run: bool
    yes: bool


@click.command()
@fit_option
@path_option("-c", "--config", required=True, about="Launch config: how to train.")
@runs_option
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
@click.option(
    "--strict", is_flag=True, help="Refuse if the token files are not those of the swarm."
)
@click.option(
    "--scales",
    help="A ladder: sizes as multiples of the config's tokens and parameters, such as 1,4,16. "
    "Trains only natural and proposed.",
)
@click.option(
    "--target",
    help="With --scales: extrapolate the gain to this multiple, or to tokens such as 10B.  "
    "[default: target_tokens of the config]",
)
@click.option("--all", "all_mixtures", is_flag=True, help="With --scales: train all four mixtures.")
@click.option("--dry-run", is_flag=True, help="Show what it would take; start nothing.")
@click.option("--yes", is_flag=True, help="Start without asking for confirmation.")
@together(_Asked)
def verify(asked: _Asked) -> int:
    """Train natural, uniform, best seen and proposed mixture with fresh, paired seeds.

    With --scales natural and proposed are trained at several sizes, and their gain is extrapolated.
    """
    from olmix.config import LaunchConfig
    from olmix.records.fit.proposal import VERIFIED
    from olmix.verify import at_scale, check_scales, plan_verification, read_scales

    folder, base = resolved(asked.fit_folder), LaunchConfig.from_yaml(asked.config)
    sizes = None if asked.scales is None else check_scales(read_scales(asked.scales))
    size = None if sizes is None else _target(asked.target, base, sizes)
    if sizes is None and (asked.target is not None or asked.all_mixtures):
        raise click.UsageError("--target and --all need --scales")
    mixtures = VERIFIED if sizes is None or asked.all_mixtures else ("natural", "proposed")
    plans = [
        plan_verification(folder, at_scale(base, scale), asked.seeds, asked.seed_offset, mixtures)
        for scale in sizes or (1.0,)
    ]
    _check_contents(folder, base, asked.strict)
    groups = [_priced(plan, asked.output) for plan in plans]
    if asked.dry_run:
        done("nothing was started")
        return 0
    if not asked.yes:
        _ask(groups)
    found = []
    for plan, group in zip(plans, groups, strict=True):
        result = _measure(plan, group, asked.output)
        if isinstance(result, int):
            return result
        found.append(result)
    if sizes is None:
        _end(folder, plans[0], found[0])
    else:
        _end_ladder(folder, sizes, plans, found, size)
    page = _report(folder, asked, sizes, groups[0])
    show_last_lines(page)
    return 0


def _report(folder: Path, asked: _Asked, sizes: Sequence[float] | None, group: Group) -> Path:
    """Write the report, with the command that brings the same again."""
    from olmix.report import write_report

    words = ["olmix", "verify", "--fit", str(asked.fit_folder), "-c", str(asked.config)]
    words += ["-o", str(asked.output), "--seeds", str(asked.seeds)]
    words += ["--seed-offset", str(asked.seed_offset)] if asked.seed_offset else []
    if sizes is not None:
        words += ["--scales", ",".join(f"{scale:g}" for scale in sizes)]
        words += ["--target", asked.target] if asked.target is not None else []
        words += ["--all"] if asked.all_mixtures else []
    with progress("drawing") as show:
        return write_report(
            folder,
            verification_runs=asked.output / group.group_id if sizes is None else None,
            commands=(shell_line([*words, "--yes"]),),
            on_progress=show,
        )


def _target(text: str | None, base: LaunchConfig, sizes: tuple[float, ...]) -> Size | None:
    """Return the size to extrapolate to: a multiple or tokens, else the config's large run."""
    from olmix.config.base import read_count
    from olmix.errors import ConfigError, Problem
    from olmix.verify import Size

    own, wanted = base.training.num_tokens, base.training.target_tokens
    if text is None:
        if wanted is None or len(sizes) < 2 or wanted / own <= sizes[-1] * (1 + 1e-9):
            return None
        return Size(wanted / own, wanted)
    is_multiple = not text[-1:].isalpha()
    try:
        scale = float(text) if is_multiple else float(str(read_count(text))) / own
    except ValueError:
        what = f"found {text}; a multiple such as 64, or tokens such as 10B"
        raise ConfigError([Problem("--target", what)]) from None
    if len(sizes) < 2 or scale <= sizes[-1]:
        what = f"found {text}; a target needs two --scales and must be above {sizes[-1]:g}"
        raise ConfigError([Problem("--target", what)])
    return Size(scale, round(scale * own))


def _priced(plan: VerificationPlan, output: Path) -> Group:
    """Say what the runs of a plan take, and return them."""
    from olmix.cli.launch import show_cost
    from olmix.launch import Group, estimate

    group = Group.of(plan.group_id, plan.runs)
    show_cost(group, estimate(group, output / group.group_id))
    return group


def _ask(groups: Sequence[Group]) -> None:
    from olmix.cli.launch import costs_money

    costs = any(costs_money(group.infra) for group in groups)
    ask("Start?", "nothing was started", default=not costs)


def _measure(plan: VerificationPlan, group: Group, output: Path) -> Measured | int:
    """Train the runs of a plan; returns what they measured, or the exit status if some failed."""
    from olmix.cli.launch import report_launch, run_group
    from olmix.records.run import RunFolder

    launched = run_group(group, output)
    status = report_launch(launched)
    if status:
        return status
    folder = launched.folder
    return {run.name: RunFolder(folder / run.name).read_summary().metrics for run in plan.runs}


def _end(folder: Path, plan: VerificationPlan, measured: Measured) -> None:
    """Write and print a verification, and note it in the ledger of the study."""
    from olmix.records.fit.ledger import add_entry, entry_of
    from olmix.records.fit.scores import read_fit
    from olmix.records.fit.verification import write_verification
    from olmix.verify import compare

    result, fit = compare(plan, measured), read_fit(folder)
    write_verification(folder, result, plan.run_of, measured)
    training = plan.runs[0].training
    size = (training.num_tokens, getattr(training, "num_parameters", None))
    add_entry(folder, entry_of(folder, fit, plan.proposal, result, size))
    show_verification(result, len(fit.runs.used), plan.start)


def _end_ladder(
    folder: Path,
    sizes: Sequence[float],
    plans: Sequence[VerificationPlan],
    measured: Sequence[Measured],
    target: Size | None,
) -> None:
    """Write and print a ladder."""
    from olmix.records.fit.ladder import Rung, write_ladder
    from olmix.verify import build_ladder, compare

    rungs = []
    for scale, plan, found in zip(sizes, plans, measured, strict=True):
        training = plan.runs[0].training
        parameters = getattr(training, "num_parameters", None)
        rungs.append(Rung(scale, training.num_tokens, parameters, compare(plan, found)))
    ladder = build_ladder(rungs, target)
    write_ladder(folder, ladder)
    show_ladder(ladder)


def show_ladder(ladder: Ladder) -> None:
    """Print the gain at each size, and what is expected at the target."""
    from olmix.text.numbers import UNKNOWN, fixed, interval, per_cent, significant, with_error

    rows = []
    for rung in ladder.rungs:
        gain, factor = rung.gain, rung.equal_tokens
        times = UNKNOWN if factor is None else significant(factor.mean, 2)
        if factor is not None:
            times += f" ({significant(factor.low, 2)} to {significant(factor.high, 2)})"
        size = UNKNOWN if rung.num_parameters is None else f"{rung.num_parameters:,}"
        natural = fixed(rung.verification.means["natural"][0], 4)
        measured = with_error(gain.mean, gain.std_error, sign=True)
        rows.append((f"{rung.scale:g}", f"{rung.num_tokens:,}", size, natural, measured, times))
    if ladder.target is not None:
        gain = ladder.target.gain
        expected = f"{with_error(gain.mean, float('nan'), sign=True)}"
        expected += f" ({interval(gain.low, gain.high)}), expected"
        scale, tokens = f"{ladder.target.scale:g}", f"{ladder.target.num_tokens:,}"
        rows.append((scale, tokens, "", "", expected, ""))
    title = f"The ladder of {ladder.rungs[0].verification.metric}"
    times = f"tokens natural needs, times ({per_cent(ladder.level)})"
    table(title, ("scale", "tokens", "parameters", "natural", "gain ± std. error", times), rows)
    click.echo(f"\n{ladder.statement}")


def _check_contents(folder: Path, base: LaunchConfig, strict: bool) -> None:
    """Say which domains have other token files than when the swarm was trained.

    Raises:
        DataError: its metrics are computed otherwise; with `strict`, other token files too.
    """
    from olmix.errors import DataError
    from olmix.records.fingerprint import changed_contents, explain_change, fingerprints_of
    from olmix.records.fit.scores import read_fit
    from olmix.records.metric_identity import identities_of, join_identities

    fit = read_fit(folder)
    swarm = f"the swarm of {folder}"
    join_identities(((swarm, fit.measured_with), (f"the config {base.name}", identities_of(base))))
    known = fit.fingerprints
    changed = changed_contents(known, fingerprints_of(base.data)) if known else ()
    if changed and strict:
        raise DataError(explain_change(changed, swarm))
    if changed:
        click.echo(f"warning: {explain_change(changed, swarm)}", err=True)


def show_verification(result: Verification, num_swarm_runs: int, start: str = "natural") -> None:
    """Print the proposal beside the natural mixture, and what it gained."""
    from olmix.plotting import mixture_label
    from olmix.records.fit.scores import LEVEL
    from olmix.records.fit.settings import named_from
    from olmix.text.numbers import counted, fixed, per_cent, with_interval

    click.echo()
    mixtures = result.mixtures
    show_mixture(mixtures["natural"].weights, mixtures["proposed"].weights, start=start)
    click.echo()
    scale = [
        (mixture_label(name), fixed(mean, 4), f"± {fixed(error, 4)}")
        for name, (mean, error) in named_from(start, result.means).items()
    ]
    title = f"Measured {result.metric} over {counted(len(result.seeds), 'fresh seed')}"
    table(title, ("mixture", "mean", "std. error"), scale)
    click.echo()
    rows = []
    predicted = named_from(start, result.predicted_gain)
    for other, gain in named_from(start, result.gains).items():
        both = (predicted.get(other), gain)
        cells = ("" if one is None else with_interval(one.mean, one.low, one.high) for one in both)
        rows.append((mixture_label(other), *cells))
    table(
        "Gain of the proposal over each (positive is better)",
        (
            "over",
            f"predicted ({per_cent(LEVEL)} interval)",
            f"measured ({per_cent(result.level)} interval)",
        ),
        rows,
    )
    click.echo(f"\n{result.statement}")
    click.echo(
        f"{counted(num_swarm_runs, 'run')} in the fit, {counted(result.num_runs, 'run')} in the "
        "verification."
    )
