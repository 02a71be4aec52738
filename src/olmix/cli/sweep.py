"""`olmix sweep`, and the other names that it answers to."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from olmix.cli.options import FiniteNumber, json_option, path_option, together
from olmix.cli.terminal import done, progress, shell_line, table
from olmix.text.numbers import counted

if TYPE_CHECKING:
    from olmix.sweep import StudyPlan, SweepResult
    from olmix.sweep.experiment import Experiment
    from olmix.sweep.results import Effect, Results

__all__ = ["cruijff_kit", "sweep", "torchtune_config_writer"]

_file = click.argument("experiment", type=click.Path(path_type=Path))
_folder = click.argument("folder", type=click.Path(path_type=Path))
_validator = click.option(
    "--validator",
    type=click.Choice(["inprocess", "subprocess"]),
    default="inprocess",
    show_default=True,
    help="The framework's own check: in this process, or by its command line.",
)


@click.group()
def sweep() -> None:
    """Turn an experiment (variables and controls) into checked configs, one per run."""


@sweep.command()
@_folder
@click.option(
    "--framework", default="torchtune", show_default=True, help="Framework that trains the runs."
)
def example(folder: Path, framework: str) -> None:
    """Write a small study that trains on a CPU into a new FOLDER, with everything it needs."""
    from olmix.sweep.frameworks import FRAMEWORKS, load_framework

    if framework not in FRAMEWORKS:
        raise click.BadParameter(f"allowed: {', '.join(FRAMEWORKS)}", param_hint="--framework")
    click.echo(load_framework(framework).write_example(folder))


@dataclass(frozen=True)
class _Asked:
    """The options of the command."""

    experiment: Path
    output: Path | None
    validator: Literal["inprocess", "subprocess"]
    no_validate: bool
    smoke: bool
    slurm: bool
    after: Path | None
    num_next: int
    max_runs: int | None
    as_json: bool


@sweep.command()
@_file
@path_option(
    "-o",
    "--output",
    old=("--output-dir",),
    about="Exact folder to write; overrides what the experiment says.",
)
@_validator
@click.option("--no-validate", is_flag=True, help="Skip the framework's own check.")
@click.option("--smoke", is_flag=True, help="Train every config for 2 steps on a tiny model.")
@click.option("--slurm", is_flag=True, help="Write run_experiment.sh, a SLURM array script.")
@path_option(
    "--after",
    about="Fit of a sweep, such as STUDY/results/fit/latest: EXPERIMENT is then the folder STUDY, "
    "to which the next runs are added.",
)
@click.option(
    "-n",
    "--runs",
    "num_next",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Number of runs that --after adds.",
)
@click.option("--max-runs", type=click.IntRange(min=1), help="Refuse more runs than this.")
@json_option
@together(_Asked)
def generate(asked: _Asked) -> None:
    """Write a complete config for each run, and check all of them."""
    from olmix.sweep import generate_configs

    output = asked.output
    if asked.after is None:
        loaded = _read(asked.experiment, asked.max_runs)
    else:
        from olmix.sweep.next_runs import with_next_runs

        if output is not None:
            raise click.UsageError("--after adds runs to the folder EXPERIMENT; leave -o out")
        loaded = _limited(
            with_next_runs(asked.experiment, asked.after, asked.num_next), asked.max_runs
        )
        output = asked.experiment
    with progress("checking configs") as show:
        result = generate_configs(
            loaded,
            output,
            validator="none" if asked.no_validate else asked.validator,
            smoke=asked.smoke,
            slurm=asked.slurm,
            on_progress=show,
        )
    if asked.as_json:
        click.echo(json.dumps(_summary(result), indent=2))
        return
    _show_generated(result)


def _read(experiment: Path, max_runs: int | None) -> Experiment:
    from olmix.sweep.experiment import load_experiment

    return _limited(load_experiment(experiment), max_runs)


def _limited(loaded: Experiment, max_runs: int | None) -> Experiment:
    from dataclasses import replace

    if max_runs is None:
        return loaded
    return replace(loaded, config=loaded.config.model_copy(update={"max_runs": max_runs}))


def _summary(result: SweepResult) -> dict[str, object]:
    return {
        "folder": str(result.folder),
        "runs": [
            {
                "id": run.id,
                "params": dict(run.params),
                "config": str(result.folder / run.config),
                "output_dir": run.output_dir,
                "recipe": run.recipe,
                "hash": run.hash,
            }
            for run in result.runs
        ],
        "script": None if result.script is None else str(result.script),
        "is_valid": result.is_valid,
    }


def _show_generated(result: SweepResult) -> None:
    from olmix.sweep.folder import MAPPING, REPORT
    from olmix.sweep.report import describe_params
    from olmix.sweep.slurm import SCRIPT

    _show_findings(result.plan)
    done(f"Loaded base config: {result.plan.base.name}")
    kept = len(result.runs) - result.num_new
    were = f" ({kept} {'was' if kept == 1 else 'were'} there before)" if kept else ""
    count = counted(len(result.runs), "config")
    done(f"Generated {count} in {result.folder / 'configs'}/{were}")
    for run in result.runs[:20]:
        values = f" ({describe_params(run.params)})" if run.params else ""
        click.echo(f"  - {run.config}{values}", err=True)
    if len(result.runs) > 20:
        click.echo(f"  - and {len(result.runs) - 20} more", err=True)
    done(f"Created {result.folder / MAPPING}")
    done(f"Checks: {result.folder / REPORT}")
    if result.script is not None:
        # Several arrays have a script that submits them.
        word = "sbatch" if result.script.name == SCRIPT else "bash"
        done(f"Start with: {shell_line([word, str(result.script)])}")
    click.echo(result.folder)


def _show_findings(plan: StudyPlan) -> None:
    for finding in plan.findings:
        problem = plan.experiment.problem(finding)
        kind = "note" if finding.notice else "warning"
        click.echo(f"{kind}: {problem.render(plan.experiment.name)}", err=True)


@sweep.command()
@_file
@click.option("--max-runs", type=click.IntRange(min=1), help="Refuse more runs than this.")
@click.option("--full", is_flag=True, help="Show how every run differs from the base.")
@click.option(
    "--seconds-per-step",
    type=FiniteNumber(min=0, min_open=True),
    help="Seconds per step, to estimate GPU-hours.",
)
@json_option
def preview(
    experiment: Path,
    max_runs: int | None,
    full: bool,
    seconds_per_step: float | None,
    as_json: bool,
) -> None:
    """Show the runs, how they differ from the base, and what they take. Writes nothing."""
    from olmix.sweep import build_plan
    from olmix.sweep.preview import differences, gpu_hours

    plan = build_plan(_read(experiment, max_runs))
    rate = seconds_per_step or plan.experiment.config.seconds_per_step
    if as_json:
        entries = [
            {
                "id": run.id,
                "params": dict(run.params),
                "changes": {path: after for path, _, after in differences(plan, run)},
                "effective_batch": run.cost.effective_batch,
                "steps": run.cost.steps,
                "max_tokens": run.cost.max_tokens,
                "gpu_hours": gpu_hours([run], rate),
            }
            for run in plan.runs
        ]
        click.echo(json.dumps(entries, indent=2))
        return
    _show_findings(plan)
    names = list(dict.fromkeys(name for run in plan.runs for name in run.params))
    rows = [_preview_row(plan, index, names, rate) for index in range(len(plan.runs))]
    cost_columns = ("batch", "steps", "tokens at most", "GPU-hours")
    table(f"{_runs(len(plan.runs))} from {plan.base.name}", ("run", *names, *cost_columns), rows)
    for run in plan.runs if full else plan.runs[:1]:
        click.echo(f"\n{run.id} differs from the base:")
        for path, before, after in differences(plan, run):
            click.echo(f"  {path}: {before} -> {after}")
    if not full and len(plan.runs) > 1:
        click.echo("(--full shows all runs)")
    total = gpu_hours(plan.runs, rate)
    if total is not None:
        click.echo(f"\n{total:.2f} GPU-hours at {rate:g} s a step, as stated.")
    elif rate is None:
        click.echo("\nGive --seconds-per-step to get GPU-hours.")
    else:
        click.echo("\nThe steps are unknown: set max_steps_per_epoch to get GPU-hours.")


def _preview_row(
    plan: StudyPlan, index: int, names: list[str], rate: float | None
) -> tuple[str, ...]:
    from olmix.sweep.preview import gpu_hours
    from olmix.sweep.scalars import render_flow

    run = plan.runs[index]
    cells = [render_flow(run.params[name]) if name in run.params else "" for name in names]
    hours = gpu_hours([run], rate)
    return (
        run.id,
        *cells,
        _cell(run.cost.effective_batch),
        _cell(run.cost.steps),
        _cell(run.cost.max_tokens),
        "?" if hours is None else f"{hours:.2f}",
    )


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _cell(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


@sweep.command()
@click.argument("path", type=click.Path(path_type=Path))
@_validator
def validate(path: Path, validator: Literal["inprocess", "subprocess"]) -> int:
    """Check an experiment.yaml, or all configs of a generated folder."""
    if path.is_dir():
        return _validate_folder(path, validator)
    from olmix.sweep import build_plan

    plan = build_plan(path)
    _show_findings(plan)
    done(f"{path}: {_runs(len(plan.runs))}, no errors")
    return 0


def _validate_folder(path: Path, validator: str) -> int:
    from olmix.sweep.status import validate_folder

    with progress("checking configs") as show:
        verdicts = validate_folder(path, validator, show)
    rows = [
        (run_id, "invalid" if verdict.errors else "valid", ", ".join(verdict.missing))
        for run_id, verdict in verdicts.items()
    ]
    table("", ("run", "state", "not installed here"), rows)
    failed = {run_id: verdict for run_id, verdict in verdicts.items() if verdict.errors}
    for run_id, verdict in failed.items():
        for error in verdict.errors:
            click.echo(f"{run_id}: {error}", err=True)
    return 1 if failed else 0


@sweep.command()
@_folder
@json_option
def status(folder: Path, as_json: bool) -> int:
    """Show which runs have finished. The exit status is 1 while some have not."""
    from olmix.sweep.report import describe_params
    from olmix.sweep.status import read_states

    states = read_states(folder)
    if as_json:
        entries = [
            {
                "id": s.run.id,
                "state": s.state,
                "steps": s.steps,
                "loss": _plain(s.loss),
                "diverged": s.diverged(),
            }
            for s in states
        ]
        click.echo(json.dumps(entries, indent=2))
    else:
        rows = [
            (
                s.run.id,
                f"{s.state}, diverged" if s.diverged() else s.state,
                str(s.steps),
                "" if s.loss is None else f"{s.loss:.4f}",
                describe_params(s.run.params),
            )
            for s in states
        ]
        table("", ("run", "state", "steps", "last loss", "parameters"), rows)
    ready = sum(s.state == "finished" for s in states)
    verb = "is" if len(states) == 1 else "are"
    click.echo(f"{ready} of {_runs(len(states))} {verb} finished", err=True)
    return 0 if ready == len(states) else 1


@sweep.command()
@_folder
@click.option("--metric", default="loss", show_default=True, help="Metric to compare runs by.")
@click.option(
    "--higher-is-better/--lower-is-better",
    "higher_is_better",
    default=None,
    help="Direction of the metric; by default its name decides: higher is better for accuracies, "
    "lower for losses.",
)
@click.option("--unfinished", is_flag=True, help="Also compare runs that have not ended.")
@path_option("-o", "--output", about="Folder; FOLDER/results if left out.")
@json_option
def results(
    folder: Path,
    metric: str,
    higher_is_better: bool | None,
    unfinished: bool,
    output: Path | None,
    as_json: bool,
) -> int:
    """Write results.csv, loss curves and main effects; name the best run."""
    from olmix.sweep.results import write_results
    from olmix.sweep.swarm_tables import OWN_DATA

    lower = None if higher_is_better is None else not higher_is_better
    found = write_results(folder, output, metric, lower_is_better=lower, unfinished=unfinished)
    if lower is None and not found.lower_is_better:
        note = (
            f"taking higher as better for {metric}, judging by its name; if not, give "
            "--lower-is-better"
        )
        click.echo(f"note: {note}", err=True)
    status = 1 if found.incomplete or found.unfinished else 0
    if as_json:
        click.echo(json.dumps(_results_to_plain(found, metric), indent=2))
        return status
    _show_results(found, metric)
    for run, value in found.diverged:
        click.echo(f"{run.id} diverged: its {metric} ends with {value}; it is left out", err=True)
    for run, step in found.unfinished if not unfinished else ():
        what = f"{run.id} has not finished (step {step}) and is left out; --unfinished compares it"
        click.echo(what, err=True)
    for name in found.incomplete:
        click.echo(f"{name} has no {metric} yet and is left out", err=True)
    done(f"{found.folder}: results.csv, curves.csv, main_effects.csv and their plots")
    if found.factors.scales:
        words = ["olmix", "fit", "-c", str(found.folder / "surface.yaml")]
        done(f"response surface: {shell_line([*words, '-o', str(found.folder / 'fit')])}")
    if found.swarm is not None:
        words = ["olmix", "fit", "-c", str(found.swarm), "-o", str(found.folder / "mixture-fit")]
        done(f"mixture: {shell_line(words)}")
        if metric == "loss":
            click.echo(f"warning: {OWN_DATA}", err=True)
    if found.factors.note:
        click.echo(f"note: response surface: {found.factors.note}", err=True)
    return status


def _show_results(found: Results, metric: str) -> None:
    from olmix.sweep.report import describe_params

    marks = {run.id: f" (not finished: step {step})" for run, step in found.unfinished}
    rows = [
        (run.id, describe_params(run.params), f"{value:.4f}{marks.get(run.id, '')}")
        for run, value in found.ranking
    ]
    rows += [(run.id, describe_params(run.params), "diverged") for run, _ in found.diverged]
    better = "lower" if found.lower_is_better else "higher"
    table(f"Runs by {metric} ({better} is better), best first", ("run", "parameters", metric), rows)
    for name, levels in found.effects.items():
        click.echo()
        effect_rows = [_effect_row(effect) for effect in levels]
        table(f"Main effect of {name}", ("value", "runs", f"mean {metric}", "std"), effect_rows)
    best, value = found.ranking[0]
    click.echo(
        f"\nBest run: {best.id} ({describe_params(best.params)}), {metric} {value:.4f}"
        f"{marks.get(best.id, '')}"
    )
    if found.noise is not None:
        click.echo(f"Replicates differ by {found.noise:.4f} (standard deviation)")


def _effect_row(effect: Effect) -> tuple[str, ...]:
    runs = str(effect.num_runs)
    if effect.num_unfinished:
        runs += f" ({effect.num_unfinished} not finished)"
    spread = "" if effect.spread is None else f"{effect.spread:.4f}"
    return effect.level, runs, f"{effect.mean:.4f}", spread


def _plain(value: float | None) -> float | None:
    """Return a number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


def _results_to_plain(found: Results, metric: str) -> dict[str, object]:
    ranking = [
        {"id": run.id, "params": dict(run.params), metric: value} for run, value in found.ranking
    ]
    return {
        "folder": str(found.folder),
        "metric": metric,
        "lower_is_better": found.lower_is_better,
        "ranking": ranking,
        "noise_sd": found.noise,
        "diverged": [run.id for run, _ in found.diverged],
        "unfinished": [run.id for run, _ in found.unfinished],
        "incomplete": list(found.incomplete),
    }


class _GenerateGroup(click.Group):
    """A group to which a file alone means: generate."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `generate` before words that name an experiment and no command."""
        is_file = any(word.endswith((".yaml", ".yml")) for word in args)
        if is_file and not set(args) & set(self.commands):
            args = ["generate", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_GenerateGroup)
def torchtune_config_writer() -> None:
    """Write torchtune configs from an experiment.yaml; the same as `olmix sweep`."""


@click.group()
def cruijff_kit() -> None:
    """The tools of cruijff_kit that are here."""


@cruijff_kit.group(cls=_GenerateGroup)
def torchtune() -> None:
    """Write torchtune configs from an experiment.yaml; the same as `olmix sweep`."""


for _command in (example, generate, preview, validate, status, results):
    torchtune_config_writer.add_command(_command)
    torchtune.add_command(_command)
