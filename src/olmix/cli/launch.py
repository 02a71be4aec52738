"""`olmix launch preview | run | status | cancel`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmix.cli.terminal import ProgressView, done, progress, table

if TYPE_CHECKING:
    from olmix.launch import Estimate, Event, Group, Launched

__all__ = ["launch", "report_launch", "run_group", "show_cost"]

_variants = click.option(
    "-v",
    "--variants",
    type=click.Path(path_type=Path),
    required=True,
    help="A variant file, or a folder of them.",
)
_config = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="Launch config that completes bare variants.",
)
_group = click.option(
    "-g", "--group-id", help="Group of the runs; that of the configs if left out."
)
_runs = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of the run folders.",
)


@click.group()
def launch() -> None:
    """Preview, run, watch and cancel the runs of a swarm."""


@launch.command()
@_variants
@_config
@_group
@_runs
@click.option(
    "--tokens-per-second", type=click.FloatRange(min=1), help="Speed of one core, for the estimate."
)
def preview(
    variants: Path,
    config: Path | None,
    group_id: str | None,
    output: Path,
    tokens_per_second: float | None,
) -> None:
    """Print exactly what `run` starts, and what it takes. Starts nothing."""
    from olmix.launch import estimate, load_group, render_commands

    group = load_group(variants, config, group_id)
    click.echo(render_commands(group, str(output)))
    show_cost(group, estimate(group, tokens_per_second), assumed=tokens_per_second is None)


def show_cost(group: Group, cost: Estimate, *, assumed: bool) -> None:
    """Say what a launch takes, before it is started."""
    speed = f"{cost.tokens_per_second:,.0f} tokens/s a core"
    click.echo(
        f"group {group.group_id}: {cost.num_runs} runs, {cost.num_tokens:,} tokens, "
        f"{cost.flops:.2e} FLOPs, {cost.core_hours:.3f} core-hours; about {cost.seconds:.0f} s "
        f"with {cost.workers} workers at {speed}{' (assumed)' if assumed else ''}",
        err=True,
    )


@launch.command()
@_variants
@_config
@_group
@_runs
@click.option("--dry-run", is_flag=True, help="Write the group's metadata and start nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def run(
    variants: Path,
    config: Path | None,
    group_id: str | None,
    output: Path,
    dry_run: bool,
    yes: bool,
) -> int:
    """Train every run that is not finished yet. Running it again completes what is missing."""
    from olmix.io.files import write_json
    from olmix.io.identity import run_identity
    from olmix.launch import estimate, load_group
    from olmix.launch.metadata import describe_launch

    group = load_group(variants, config, group_id)
    show_cost(group, estimate(group), assumed=True)
    if dry_run:
        identities = {entry.name: run_identity(entry) for entry in group.runs}
        file = output / group.group_id / "group.json"
        if file.exists():
            done(f"{file} is there already; nothing was started")
            return 0
        write_json(file, describe_launch(group, identities))
        done(f"wrote {file}; nothing was started")
        return 0
    if not yes:
        click.confirm("Start?", default=True, abort=True, err=True)
    return report_launch(run_group(group, output))


def run_group(group: Group, output: Path) -> Launched:
    """Launch a group on this machine, showing progress."""
    from olmix.launch import launch_local

    with progress("training") as view:
        view.update(0, len(group.runs), "starting workers")
        return launch_local(group, output, _follow(view, len(group.runs)))


def _follow(view: ProgressView, num_runs: int) -> Callable[[Event], None]:
    """Return a listener that adds up the progress of all runs."""
    share: dict[str, float] = {}
    speed: dict[str, float] = {}
    ended: set[str] = set()

    def listen(event: Event) -> None:
        detail = event.detail
        if event.state == "progress":
            share[event.run] = detail["step"] / max(detail["num_steps"], 1)
            speed[event.run] = detail.get("tokens_per_second") or 0.0
        elif event.state in ("finished", "skipped", "failed"):
            share[event.run] = 1.0
            speed.pop(event.run, None)
            ended.add(event.run)
        if event.state in ("failed", "retried"):
            click.echo(f"  {event.run} {event.state}: {detail.get('error')}", err=True)
        note = f"{len(ended)}/{num_runs} runs"
        if sum(speed.values()) > 0:
            note += f", {sum(speed.values()):,.0f} tokens/s"
        view.update(sum(share.values()), num_runs, note)

    return listen


def report_launch(launched: Launched) -> int:
    """Say how a launch ended; returns the exit status."""
    parts = [f"{len(launched.finished)} runs finished in {launched.seconds:.1f} s"]
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
        click.echo("cancelled; the same command goes on with what is missing", err=True)
    return 1


@launch.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), required=True, help="Launch config."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write, in place of printing."
)
def measure(config: Path, output: Path | None) -> None:
    """Measure how many tokens a second one core trains with the embedded trainer."""
    from olmix.config import LaunchConfig
    from olmix.io.files import write_json
    from olmix.launch.speed import measure_speed

    speed = measure_speed(LaunchConfig.from_yaml(config))
    if output is None:
        click.echo(json.dumps({"tokens_per_second": speed}))
        return
    write_json(output, {"tokens_per_second": speed})
    done(f"{speed:,.0f} tokens/s a core: {output}")


@launch.command()
@_group
@_runs
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(group_id: str | None, output: Path, as_json: bool) -> None:
    """Show what the runs of a group are doing."""
    from olmix.launch import find_group, read_group

    reports = read_group(find_group(output, group_id))
    if as_json:
        entries: list[dict[str, Any]] = [
            {"run": r.name, **vars(r.status), "metrics": r.metrics} for r in reports
        ]
        click.echo(json.dumps(entries, indent=2))
        return
    rows = []
    for entry in reports:
        state = entry.status
        steps = f"{state.step:,}/{state.num_steps:,}" if state.num_steps else ""
        speed = f"{state.tokens_per_second:,.0f}" if state.tokens_per_second else ""
        rows.append((entry.name, state.state, steps, speed, state.error or ""))
    table("", ("run", "state", "step", "tokens/s", "note"), rows)
    counts: dict[str, int] = {}
    for entry in reports:
        counts[entry.status.state] = counts.get(entry.status.state, 0) + 1
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()), err=True)


@launch.command()
@_group
@_runs
@click.option("--yes", is_flag=True, help="Do not ask.")
def cancel(group_id: str | None, output: Path, yes: bool) -> None:
    """Stop a group. Finished runs stay; `launch run` goes on with the others."""
    from olmix.launch import cancel as run_cancel
    from olmix.launch import find_group

    folder = find_group(output, group_id)
    if not yes:
        click.confirm(f"Cancel {folder}?", default=True, abort=True, err=True)
    counts = run_cancel(folder)
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()), err=True)
