"""`olmix grpo`: GRPO training composed by Hydra; also `run_training.py` and `agent-tunix`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmix.cli.main import run
from olmix.cli.terminal import done, progress, table

if TYPE_CHECKING:
    from olmix.grpo.rehearsal import Rehearsal

__all__ = [
    "check_gpu",
    "evaluate",
    "export",
    "grpo",
    "results",
    "run_words",
    "show_config",
    "train",
]

_ANY_WORDS: dict[str, object] = {
    "ignore_unknown_options": True,
    "allow_interspersed_args": True,
    "help_option_names": ["-h", "--help"],
}
_GIB = 2**30


@click.group()
def grpo() -> None:
    """Train with GRPO on Tunix, from a configuration composed on the command line."""


_EPILOG = """\b
olmix grpo train +experiment=quick_test
olmix grpo train model=gemma3_1b optimizer.learning_rate=5e-6
olmix grpo train --multirun optimizer.learning_rate=3e-6,1e-5
olmix grpo train '+grpo.rewards.short={function:"my_rewards:short",weight:0.2}'
olmix grpo train --dry-run +experiment=full_training
olmix grpo train --info config-groups

Other options are Hydra's (--hydra-help).
"""


@grpo.command(context_settings=_ANY_WORDS, epilog=_EPILOG)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check configuration, data and rewards, show the plan, and stop.",
)
@click.option("--changed", is_flag=True, help="Show what KEY=VALUE changes: key, default, now.")
@click.option(
    "--overrides",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="File of KEY=VALUE, such as a run of `olmix sweep generate`.",
)
@click.option("-m", "--multirun", is_flag=True, help="Train each combination of KEY=A,B.")
@click.option("--cfg", metavar="job|hydra|all", help="Show the configuration.")
@click.option("--resolve", is_flag=True, help="With --cfg: with ${...} filled in.")
@click.option(
    "--info", metavar="WHAT", help="Show config-groups, defaults, defaults-tree, plugins, all, ..."
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[KEY=VALUE]...")
def train(
    words: tuple[str, ...],
    dry_run: bool,
    changed: bool,
    files: tuple[Path, ...],
    **hydras: str | bool | None,
) -> int:
    """Train; KEY=VALUE changes the configuration, --multirun sweeps."""
    from olmix.grpo.compose import read_overrides, require_hydra

    require_hydra()
    read = [word for file in files for word in read_overrides(file)]
    flags: list[str] = []
    for name, value in hydras.items():
        if value:
            flags.extend([f"--{name}"] if value is True else [f"--{name}", str(value)])
    return run_words([*flags, *read, *words], dry_run=dry_run, show_changes=changed)


def run_words(words: Sequence[str], *, dry_run: bool = False, show_changes: bool = False) -> int:
    """Carry out the words of a training command, which are Hydra's.

    Raises:
        MissingPackageError: Hydra is not installed.
        ConfigError: the configuration is wrong.
        DataError: it is a dry run, and data or rewards are not as the configuration wants.
    """
    from olmix.grpo.compose import require_hydra

    require_hydra()
    if dry_run:
        return _dry_run(words)
    if show_changes:
        return _changed(words)
    if _is_info(words, "config-groups"):
        return _config_groups()
    from olmix.grpo.app import main

    # Hydra configures logging for the run, into the run's folder too.
    logging.getLogger("olmix").handlers.clear()
    return main(words)


def _is_info(words: Sequence[str], what: str) -> bool:
    asked = any(flag in ("--info", "-i") and value == what for flag, value in pairwise(words))
    return asked or f"--info={what}" in words


def _dry_run(words: Sequence[str]) -> int:
    """Compose, check, try data and rewards, and say what would run."""
    from olmix.grpo.app import preflight
    from olmix.grpo.rehearsal import rehearse

    configs = preflight(words)
    if not configs:
        click.echo(
            "a custom sweeper chooses the runs one at a time, so there is nothing to check yet",
            err=True,
        )
        return 0
    for index, rehearsal in enumerate(rehearse(configs)):
        title = f"Run {index} of {len(configs)}" if len(configs) > 1 else "The run"
        table(title, ("what", "value"), _plan_rows(rehearsal))
        for warning in rehearsal.warnings:
            click.echo(f"warning: {warning}", err=True)
    from olmix.text.numbers import counted

    valid = "is valid" if len(configs) == 1 else "are valid"
    what = counted(len(configs), "configuration")
    done(f"{what} {valid}; nothing was trained or written")
    return 0


def _plan_rows(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    config, plan = rehearsal.config, rehearsal.plan

    def memory(value: int | None) -> str:
        return "given in the weights' folder" if value is None else f"{value / _GIB:.3f} GiB"

    def count(value: int | None) -> str:
        return "given in the weights' folder" if value is None else f"{value:,}"

    sequences, prompt, answer = plan.rollout_shape
    at_once, length = plan.update_shape
    model, training = config.model, config.training
    return [
        ("model", f"{model.model_family} {model.model_size}, {model.dtype}, from {model.source}"),
        ("parameters", count(plan.parameters)),
        ("trained by LoRA" if model.trains_lora else "trained", count(plan.lora_parameters)),
        ("learner", f"{config.grpo.variant}, {config.grpo.num_generations} answers a prompt"),
        ("rewards", ", ".join(f"{n} {r.weight:g}" for n, r in config.grpo.rewards.items())),
        ("answers", f"compared as {config.grpo.answer}"),
        ("data", rehearsal.data),
        ("optimizer", f"{config.optimizer.kind}, {config.schedule} to "
                      f"{config.optimizer.learning_rate:g}, warm-up {config.warmup_updates}"),
        ("steps", f"{plan.steps:,} = {training.num_batches:,} batches x {training.passes} epochs"),
        ("updates", f"{plan.updates:,}"),
        ("rollout", f"{sequences} sequences of {prompt} + {answer} tokens"),
        ("update", f"{at_once} sequences of {length} tokens at once"),
        ("memory: weights", memory(plan.model_bytes)),
        ("memory: trained and optimizer", memory(plan.training_bytes)),
        ("memory: cache of a rollout", memory(plan.cache_bytes)),
        ("memory: activations of an update", memory(plan.activation_bytes)),
        ("memory: logits of an update", memory(plan.logits_bytes)),
        ("memory: total (at least)", memory(plan.total_bytes)),
        *([("less memory", plan.advice)] if plan.advice else []),
    ]  # fmt: skip


def _changed(words: Sequence[str]) -> int:
    from olmix.grpo.compose import changed, split_words

    rows = [(key, str(old), str(new)) for key, old, new in changed(split_words(words)[1])]
    table("", ("key", "default", "now"), rows)
    return 0


def _config_groups() -> int:
    from olmix.grpo.compose import config_groups

    table("", ("group", "options"), [(g, ", ".join(o)) for g, o in config_groups().items()])
    return 0


@grpo.command("show-config", context_settings=_ANY_WORDS)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[KEY=VALUE]...")
def show_config(words: tuple[str, ...]) -> int:
    """Print the resolved configuration, once it has been checked."""
    from olmix.grpo.app import preflight
    from olmix.grpo.compose import compose, require_hydra, split_words
    from olmix.text.yaml import render_yaml

    require_hydra()
    preflight(words)
    click.echo(render_yaml(compose(split_words(words)[1])), nl=False)
    return 0


@grpo.command("check-overrides", hidden=True)
def check_overrides() -> None:
    """Compose runs from lists of overrides and report their faults; JSON in, JSON out."""
    import json
    import sys

    from olmix.grpo.compose import require_hydra
    from olmix.grpo.run_checks import check_each

    require_hydra()
    found = check_each(json.load(sys.stdin))
    plain = [[{"where": p.where, "what": p.what} for p in problems] for problems in found]
    click.echo(json.dumps(plain))


@grpo.command("check-gpu")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_gpu(as_json: bool) -> int:
    """Show which devices JAX finds, and whether one is an accelerator."""
    import json

    from olmix.grpo.devices import describe_devices

    found = describe_devices()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    rows = [(str(d["id"]), str(d["platform"]), str(d["kind"])) for d in found["devices"]]
    table(f"JAX {found['jax']}", ("device", "platform", "kind"), rows)
    if not found["accelerator"]:
        click.echo("no accelerator: training runs on the CPU", err=True)
    return 0


_checkpoint_dir = click.option(
    "--checkpoint-dir",
    type=click.Path(path_type=Path),
    required=True,
    help="A run's folder, or its folder of checkpoints.",
)


@grpo.command(context_settings=_ANY_WORDS)
@_checkpoint_dir
@click.option("--step", type=int, help="Which checkpoint; the last one if left out.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[KEY=VALUE]...")
def evaluate(
    checkpoint_dir: Path, step: int | None, output: Path | None, as_json: bool, words: Sequence[str]
) -> int:
    """Measure a checkpoint and its base model on the same questions, with intervals.

    KEY=VALUE changes how, as in `evaluation.num_prompts=9`.
    """
    import json

    from olmix.grpo.evaluate import evaluate_checkpoint

    with progress("answering") as show:
        report = evaluate_checkpoint(
            checkpoint_dir, step=step, overrides=words, output=output, on_progress=show
        )
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return 0
    from olmix.text.numbers import per_cent

    rows = [
        (name, _with_interval(report, "base", name), _with_interval(report, "checkpoint", name),
         _change(report["change"].get(name)))
        for name in report["checkpoint"]
    ]  # fmt: skip
    table(
        f"{report['num_prompts']} questions, {report['preset']} answers; "
        f"intervals of {per_cent(report['level'])}",
        ("measure", "base model", f"step {report['step']}", "paired difference"),
        rows,
    )
    return 0


def _with_interval(report: dict[str, Any], model: str, name: str) -> str:
    from olmix.text.numbers import fixed, interval

    value, pair = report[model].get(name), report[f"{model}_intervals"].get(name)
    if value is None:
        return ""
    return fixed(value) + (f" ({interval(*pair, sign=False)})" if pair else "")


def _change(change: dict[str, float] | None) -> str:
    from olmix.text.numbers import with_error

    if change is None:
        return ""
    return with_error(change["difference"], change["half_width"], sign=True)


@grpo.command()
@_checkpoint_dir
@click.option("--step", type=int, help="Which checkpoint; the last one if left out.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder.")
def export(checkpoint_dir: Path, step: int | None, output: Path) -> int:
    """Write a checkpoint as one Hugging Face model, with the updates merged in."""
    from olmix.grpo.export import export_checkpoint

    with progress("exporting") as show:
        size = export_checkpoint(checkpoint_dir, output, step=step, on_progress=show)
    done(f"{output}: {size:,} parameters")
    return 0


@grpo.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder for results.csv and its plot."
)
def results(folders: tuple[Path, ...], output: Path | None) -> int:
    """Tabulate runs: what each changed and what came of it."""
    from olmix.grpo.results import against_noise, collect_runs, results_table, write_results

    runs = collect_runs(folders)
    columns, rows = results_table(runs)
    table("", columns, rows)
    for line in against_noise(runs):
        click.echo(line)
    if output is not None:
        write_results(runs, output)
        done(f"{output / 'results.csv'}, {output / 'results.png'}")
    return 0 if all(each.state == "finished" for each in runs) else 1


def run_training() -> None:
    """Run ``run_training.py``: its words are those of `olmix grpo train`."""
    run(train)
