"""`olmix launch preview | run | status | resume | logs | cancel`."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from olmix.cli.options import FiniteNumber, RenamedOption, path_option, runs_option
from olmix.cli.terminal import ask, done, progress, table
from olmix.text.numbers import counted, duration
from olmix.text.progress import OnProgress, Progress

if TYPE_CHECKING:
    from olmix.config import Infra
    from olmix.launch import ChosenGroup, Event, Group, Launched, LaunchEstimate, RunReport

__all__ = ["costs_money", "launch", "report_launch", "run_group", "show_cost", "show_matching"]

_variants = path_option(
    "-v", "--variants", about="A variant file, a folder of them, or a sweep.", required=True
)
logger = logging.getLogger(__name__)

_config = path_option(
    "-c", "--config", about="Launch config that completes bare variants; or `infra`: where to run."
)
_group = click.option(
    "-g",
    "--group",
    "group_id",
    cls=RenamedOption,
    old=("--group-id",),
    help="Group of the runs; by default the one that the configs name.",
)
_folder = click.argument("folder", required=False, type=click.Path(path_type=Path))
_launched_by = path_option(
    "-c", "--config", about="Launch config of the group, for its `group_id` and `infra`."
)
_yes = click.option("--yes", is_flag=True, help="Start without asking for confirmation.")
_Result = TypeVar("_Result")


def _with_group(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give a command the group that `[FOLDER] -g GROUP -c CONFIG -o RUNS` name, as `chosen`."""

    @_group
    @_launched_by
    @runs_option
    @functools.wraps(command)
    def call(
        group_id: str | None,
        config: Path | None,
        output: Path,
        folder: Path | None = None,
        **rest: object,
    ) -> _Result:
        from olmix.launch import choose_group

        return command(chosen=choose_group(output, folder, group_id, config), **rest)

    return call


@click.group()
def launch() -> None:
    """Preview, run, watch and cancel the runs of a swarm."""


_rate = click.option(
    "--rate", type=FiniteNumber(min=0), help="Price of a device-hour, for the estimate."
)
_speed = click.option(
    "--tokens-per-second", type=FiniteNumber(min=1), help="Speed of one run, for the estimate."
)


@launch.command()
@_variants
@_config
@_group
@runs_option
@_speed
@_rate
def preview(
    variants: Path,
    config: Path | None,
    group_id: str | None,
    output: Path,
    tokens_per_second: float | None,
    rate: float | None,
) -> None:
    """Print exactly what `run` starts or submits, and what it costs. Starts nothing.

    For a cluster it also prints one run in full: model, step, data and mixture. Files that are
    missing here end it with status 2, unless the runs go to a cluster.
    """
    from olmix.config import LocalInfra
    from olmix.launch import (
        check_checkpoints,
        check_inputs,
        estimate,
        load_group,
        missing_inputs,
        render_launch,
        render_training,
    )

    group = load_group(variants, config, group_id)
    folder = output / group.group_id
    check_checkpoints(group, folder)
    click.echo(render_launch(group, folder))
    if not isinstance(group.infra, LocalInfra):
        click.echo(render_training(group))
    if isinstance(group.infra, LocalInfra):
        check_inputs(group)
    else:
        for missing in missing_inputs(group):
            logger.warning("cannot be launched from this machine: %s", missing)
    show_matching(group)
    show_cost(group, estimate(group, folder, tokens_per_second, rate))


def show_matching(group: Group) -> None:
    """Print what matched runs see of each domain, and whether the size of the model fits.

    Where the files are on a cluster alone, it says that this is not known here.

    Raises:
        ConfigError: a run would see less than one step of a domain.
        DataError: a file is missing on this machine, where the runs are trained.
    """
    from olmix.config import LocalInfra
    from olmix.errors import DataError
    from olmix.launch import matching_of

    try:
        found = matching_of(group)
    except DataError as error:
        if isinstance(group.infra, LocalInfra):
            raise
        logger.warning("what matched runs see of each domain is not known here: %s", error)
        return
    if found is None:
        return
    rows = [
        (d.cut.name, f"{d.cut.tokens:,}", f"{d.cut.left:,}", f"{d.natural:.2f}", f"{d.most:.2f}")
        for d in found.domains
    ]
    columns = ("domain", "tokens", "seen", "natural", "most")
    table("Matched to the large run: tokens each run sees, and passes over them", columns, rows)
    for name, number in found.few.items():
        click.echo(
            f"warning: about {max(number, 1):.0f} documents of {name} are left, so the proposal "
            "depends on which ones. Train the swarm with two or three values of "
            "training.subset_seed and fit all runs together, or raise training.max_tokens",
            err=True,
        )
    if found.note is not None:
        click.echo(found.note, err=True)


def show_cost(group: Group, cost: LaunchEstimate) -> None:
    """Print what a launch costs, before it starts, and which learning rate cannot be meant."""
    from olmix.launch import wild_rate

    wild = wild_rate(group)
    if wild is not None:
        logger.warning(wild)
    left = "" if cost.num_missing == cost.num_runs else f", {cost.num_missing} of them to train"
    parts = [f"group {group.group_id}: {counted(cost.num_runs, 'run')}{left}"]
    parts += [f"{cost.num_tokens:,} tokens"] if cost.num_tokens is not None else []
    parts += [f"{cost.flops:.2e} FLOPs"] if cost.flops is not None else []
    if cost.device_hours is not None:
        parts.append(f"{cost.device_hours:.3f} {cost.device}-hours")
    parts += [f"a price of {cost.cost:,.2f}"] if cost.cost is not None else []
    text = ", ".join(parts)
    if cost.tokens_per_second is not None and cost.num_missing:
        time = ""
        if cost.seconds:
            time = f"about {duration(cost.seconds)} with {cost.at_once} at a time"
        speed = f"{cost.tokens_per_second:,.0f} tokens/s a run ({cost.source})"
        text += f"; {time} at {speed}" if time else f" at {speed}"
    elif cost.source == "unknown":
        text += "; time unknown: give --tokens-per-second to estimate it"
    click.echo(text, err=True)
    if cost.at_once == 1 and cost.num_missing > 1 and not group.embedded:
        click.echo(
            "one run at a time, since each may use all cores (or the GPU); infra.workers allows "
            "more",
            err=True,
        )


@launch.command()
@_variants
@_config
@_group
@runs_option
@_speed
@_rate
@click.option("--dry-run", is_flag=True, help="Write the group's metadata and start nothing.")
@click.option(
    "--strict", is_flag=True, help="Refuse if token files have changed since earlier runs."
)
@_yes
def run(
    variants: Path,
    config: Path | None,
    group_id: str | None,
    output: Path,
    tokens_per_second: float | None,
    rate: float | None,
    dry_run: bool,
    strict: bool,
    yes: bool,
) -> int:
    """Train every run that is not finished yet. Running it again completes what is missing."""
    from olmix.launch import check_checkpoints, estimate, load_group

    group = load_group(variants, config, group_id)
    check_checkpoints(group, output / group.group_id)
    _check_contents(group, output / group.group_id, strict)
    show_matching(group)
    show_cost(group, estimate(group, output / group.group_id, tokens_per_second, rate))
    if dry_run:
        return _dry_run(group, output)
    return _start(group, output, yes)


def _check_contents(group: Group, folder: Path, strict: bool) -> None:
    """Say which domains have other token files than earlier runs of a group."""
    from olmix.errors import DataError
    from olmix.launch import changed_since, contents_of
    from olmix.records.fingerprint import explain_change

    changed = changed_since(folder, contents_of(group))
    if not changed:
        return
    said = explain_change(changed, f"the runs in {folder}")
    if strict:
        raise DataError(said)
    click.echo(f"warning: {said}", err=True)


def costs_money(infra: Infra) -> bool:
    """Whether runs are paid for: on a cluster, or where the config says a price."""
    from olmix.config import LocalInfra

    return not isinstance(infra, LocalInfra) or bool(infra.rate_per_hour)


def _dry_run(group: Group, output: Path) -> int:
    """Write what is known of a launch, and start nothing."""
    from olmix.launch import describe_launch, identity_of, write_launch

    folder = output / group.group_id
    if (folder / "group.json").exists():
        done(f"{folder / 'group.json'} already exists; nothing was started")
        return 0
    identities = {run.name: identity_of(run) for run in group.runs}
    write_launch(folder, group, describe_launch(group, identities))
    done(f"wrote {folder / 'group.json'}; nothing was started")
    return 0


def _start(group: Group, output: Path, yes: bool) -> int:
    """Ask, then train the runs here or submit them."""
    from olmix.config import LocalInfra
    from olmix.launch import wandb_group

    if not yes:
        ask("Start?", "nothing was started", default=not costs_money(group.infra))
    wandb = wandb_group(group)
    if wandb is not None and wandb["url"] is not None:
        click.echo(f"W&B: {wandb['url']}", err=True)
    if isinstance(group.infra, LocalInfra):
        return report_launch(run_group(group, output))
    return _submit(group, output)


def _submit(group: Group, output: Path) -> int:
    from olmix.launch import submit_group

    submitted = submit_group(group, output)
    count = sum(len(job.runs) for job in submitted.jobs)
    if submitted.left:
        click.echo(f"finished or in the queue: {counted(len(submitted.left), 'run')}", err=True)
    for job in submitted.jobs:
        where = f": {job.url}" if job.url is not None else ""
        click.echo(f"job {job.id}: {counted(len(job.runs), 'run')}{where}", err=True)
    done(
        f"{counted(count, 'run')} submitted to {group.infra.backend}: {submitted.folder}\n"
        f"  watch them with: olmix launch status -g {group.group_id} -o {output} --watch"
    )
    return 0


@launch.command()
@_folder
@_with_group
@_yes
def resume(chosen: ChosenGroup, yes: bool) -> int:
    """Start the missing and failed runs of a group again, given only its FOLDER."""
    from dataclasses import replace

    from olmix.launch import estimate, identity_of, missing_runs, read_launch

    folder, group = chosen.folder, read_launch(chosen.folder)
    if chosen.infra is not None:
        group = replace(group, infra=chosen.infra)
    missing = missing_runs(group, folder, {run.name: identity_of(run) for run in group.runs})
    if not missing:
        done(f"all {len(group.runs)} runs are finished: {folder}")
        return 0
    show_cost(group, estimate(group, folder))
    return _start(group, folder.parent, yes)


@launch.command()
@click.argument("words", metavar="[FOLDER] RUN", nargs=-1, required=True)
@_group
@_launched_by
@runs_option
@click.option("-n", "--lines", type=click.IntRange(min=1), help="Print only the last lines.")
def logs(
    words: tuple[str, ...],
    group_id: str | None,
    config: Path | None,
    output: Path,
    lines: int | None,
) -> None:
    """Print what a run printed; RUN is its name or its folder."""
    from olmix.launch import choose_group, read_log

    if len(words) > 2:
        raise click.UsageError(f"give one RUN; found {len(words)} words")
    run = Path(words[-1])
    folder = Path(words[0]) if len(words) == 2 else run.parent if len(run.parts) > 1 else None
    chosen = choose_group(output, folder, group_id, config)
    text = read_log(chosen.folder, run.name, chosen.infra).splitlines()
    click.echo("\n".join(text if lines is None else text[-lines:]))


def run_group(group: Group, output: Path) -> Launched:
    """Launch a group on this machine, showing progress."""
    from olmix.launch import launch_local

    with progress("training") as show:
        show(Progress(0, len(group.runs), "starting workers"))
        return launch_local(group, output, _follow(show, len(group.runs)))


def _follow(show: OnProgress, num_runs: int) -> Callable[[Event], None]:
    """Return a listener that adds up the progress of all runs."""
    share: dict[str, float] = {}
    speed: dict[str, float] = {}
    ended: set[str] = set()
    skipped: set[str] = set()

    def listen(event: Event) -> None:
        detail = event.detail
        if event.state == "skipped":
            # No work of this launch: the time left would be that of runs that took none.
            skipped.add(event.run)
        elif event.state == "progress":
            # A trainer that tells neither steps nor tokens is at its beginning until it ends.
            share[event.run] = detail["share"] or 0.0
            speed[event.run] = detail.get("tokens_per_second") or 0.0
        elif event.state in ("finished", "failed"):
            share[event.run] = 1.0
            speed.pop(event.run, None)
            ended.add(event.run)
        if event.state in ("failed", "retried"):
            click.echo(f"  {event.run} {event.state}: {detail.get('error')}", err=True)
        note = f"{len(ended) + len(skipped)}/{counted(num_runs, 'run')}"
        if sum(speed.values()) > 0:
            note += f", {sum(speed.values()):,.0f} tokens/s"
        show(Progress(sum(share.values()), num_runs - len(skipped), note))

    return listen


def report_launch(launched: Launched) -> int:
    """Print how a launch ended; returns the exit status."""
    parts = [f"{counted(len(launched.finished), 'run')} finished in {launched.seconds:.1f} s"]
    if launched.skipped:
        parts.append(f"{len(launched.skipped)} were finished before")
    if launched.failed:
        parts.append(f"{len(launched.failed)} failed")
    text = f"{', '.join(parts)}: {launched.folder}"
    if not launched.failed and not launched.cancelled:
        done(text)
        return 0
    click.echo(text, err=True)
    for name, why in launched.failed.items():
        click.echo(f"  {name}: {why}", err=True)
    if launched.cancelled:
        click.echo("cancelled; run the same command again to train what is missing", err=True)
    return 1


@launch.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), required=True, help="Launch config."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write instead of printing."
)
def measure(config: Path, output: Path | None) -> None:
    """Measure how many tokens per second the embedded trainer takes on a core, all of them busy."""
    from olmix.config import LaunchConfig
    from olmix.launch.local.speed import measure_speed
    from olmix.text.files import write_json

    launch_config = LaunchConfig.from_yaml(config)
    click.echo("measuring: about ten seconds", err=True)
    speed = measure_speed(launch_config)
    if output is None:
        click.echo(json.dumps({"tokens_per_second": speed}))
        return
    write_json(output, {"tokens_per_second": speed})
    done(f"{speed:,.0f} tokens/s a core: {output}")


@launch.command()
@_folder
@_with_group
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Refresh until all runs have ended.")
@click.option(
    "--every",
    type=FiniteNumber(min=0.1),
    default=10.0,
    show_default=True,
    help="Seconds between refreshes.",
)
def status(chosen: ChosenGroup, as_json: bool, watch: bool, every: float) -> None:
    """Show what the runs of a group are doing; FOLDER is the group's, such as runs/GROUP."""
    import time

    from olmix.launch import read_group
    from olmix.records.run import ENDED

    while True:
        reports = read_group(chosen.folder, chosen.infra)
        _show_status(reports, as_json)
        if not watch or all(report.status.state in ENDED for report in reports):
            return
        time.sleep(every)


def _show_status(reports: Sequence[RunReport], as_json: bool) -> None:
    if as_json:
        entries: list[dict[str, object]] = [
            {
                "run": r.name,
                **vars(r.status),
                "seconds_left": r.seconds_left,
                "last_metric": r.last_metric,
                "metrics": r.metrics,
            }
            for r in reports
        ]
        click.echo(json.dumps(entries, indent=2))
        return
    rows = []
    for entry in reports:
        state, left = entry.status, entry.seconds_left
        steps = f"{state.step:,}/{state.num_steps:,}" if state.num_steps else ""
        if not steps and entry.share is not None:
            steps = f"{100 * entry.share:.0f} % of tokens"
        speed = f"{state.tokens_per_second:,.0f}" if state.tokens_per_second else ""
        ends = "" if left is None else duration(left)
        row = (entry.name, state.state, steps, speed, ends, entry.last_metric, state.error or "")
        rows.append(row)
    columns = ("run", "state", "step", "tokens/s", "ends in", "last", "note")
    table("", columns, rows, cut_last=True)
    counts: dict[str, int] = {}
    for entry in reports:
        counts[entry.status.state] = counts.get(entry.status.state, 0) + 1
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()), err=True)


@launch.command()
@_folder
@_with_group
@_yes
def cancel(chosen: ChosenGroup, yes: bool) -> None:
    """Stop a group, given its FOLDER or id. Finished runs stay; `resume` picks up the others."""
    from olmix.launch import cancel as run_cancel

    if not yes:
        ask(f"Cancel {chosen.folder}?", "nothing was cancelled", default=False)
    counts = run_cancel(chosen.folder, chosen.infra)
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()), err=True)
