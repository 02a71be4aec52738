"""`olmix grpo`: GRPO training composed by Hydra; also `run_training.py` and `agent-tunix`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmix.cli.main import run
from olmix.cli.terminal import done, table

if TYPE_CHECKING:
    from olmix.grpo.config import RunConfig

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

_ANY_WORDS: dict[str, Any] = {
    "ignore_unknown_options": True,
    "allow_interspersed_args": True,
    "help_option_names": ["-h", "--help"],
}
_GIB = 2**30


@click.group()
def grpo() -> None:
    """Train with GRPO on Tunix, from a configuration that is composed on the command line."""


@grpo.command(context_settings={**_ANY_WORDS, "help_option_names": []})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[KEY=VALUE]...")
def train(words: tuple[str, ...]) -> int:
    r"""Train; KEY=VALUE changes the configuration, --multirun sweeps.

    \b
    olmix grpo train +experiment=quick_test
    olmix grpo train model=gemma3_1b optimizer.learning_rate=5e-6
    olmix grpo train --multirun optimizer.learning_rate=3e-6,1e-5
    olmix grpo train --cfg job --resolve          show the configuration
    olmix grpo train --changed KEY=VALUE          show what overrides change
    olmix grpo train --info config-groups         show what can be chosen
    olmix grpo train --dry-run                    shapes, memory and steps; trains nothing
    olmix grpo train --overrides FILE             a run of `olmix sweep generate`
    """
    return run_words(words)


def run_words(words: Sequence[str]) -> int:
    """Carry out the words of a training command, Hydra's and ours.

    Raises:
        MissingPackageError: Hydra is not installed.
        ConfigError: the configuration is wrong.
    """
    from olmix.grpo.compose import read_overrides, require_hydra

    require_hydra()
    rest: list[str] = []
    ours: set[str] = set()
    pending = iter(words)
    for word in pending:
        if word in ("--dry-run", "--changed"):
            ours.add(word)
        elif word == "--overrides":
            file = next(pending, None)
            if file is None:
                raise click.UsageError("--overrides needs a file")
            rest.extend(read_overrides(file))
        else:
            rest.append(word)
    if "--dry-run" in ours:
        return _dry_run(rest)
    if "--changed" in ours:
        return _changed(rest)
    if _is_info(rest, "config-groups"):
        return _config_groups()
    from olmix.grpo.app import main

    # Hydra configures logging for the run, into the run's folder too.
    logging.getLogger("olmix").handlers.clear()
    return main(rest)


def _is_info(words: Sequence[str], what: str) -> bool:
    asked = any(flag in ("--info", "-i") and value == what for flag, value in pairwise(words))
    return asked or f"--info={what}" in words


def _dry_run(words: Sequence[str]) -> int:
    """Compose, check and say what would run."""
    from olmix.grpo.app import preflight
    from olmix.grpo.run_plan import make_plan

    configs = preflight(words)
    if not configs:
        click.echo("the runs come from a sweeper of their own, one after the other", err=True)
        return 0
    for index, config in enumerate(configs):
        title = f"Run {index} of {len(configs)}" if len(configs) > 1 else "The run"
        table(title, ("what", "value"), _plan_rows(config))
        for warning in make_plan(config).warnings:
            click.echo(f"warning: {warning}", err=True)
    done(f"{len(configs)} configurations are valid; nothing was trained or written")
    return 0


def _plan_rows(config: RunConfig) -> list[tuple[str, str]]:
    from olmix.grpo.run_plan import make_plan

    plan = make_plan(config)

    def memory(value: int | None) -> str:
        return "said by the weights' folder" if value is None else f"{value / _GIB:.3f} GiB"

    def count(value: int | None) -> str:
        return "said by the weights' folder" if value is None else f"{value:,}"

    sequences, prompt, answer = plan.rollout_shape
    at_once, length = plan.update_shape
    model, training = config.model, config.training
    return [
        ("model", f"{model.model_family} {model.model_size}, {model.dtype}, from {model.source}"),
        ("parameters", count(plan.parameters)),
        ("trained by LoRA", count(plan.lora_parameters)),
        ("learner", f"{config.grpo.variant}, {config.grpo.num_generations} answers a prompt"),
        ("rewards", ", ".join(f"{n} {r.weight:g}" for n, r in config.grpo.rewards.items())),
        ("optimizer", f"{config.optimizer.kind}, {config.schedule} to "
                      f"{config.optimizer.learning_rate:g}, warm-up {config.warmup_updates}"),
        ("steps", f"{plan.steps:,} = {training.num_batches:,} batches x {training.passes} epochs"),
        ("updates", f"{plan.updates:,}"),
        ("rollout", f"{sequences} sequences of {prompt} + {answer} tokens"),
        ("update", f"{at_once} sequences of {length} tokens at once"),
        ("memory: weights", memory(plan.model_bytes)),
        ("memory: LoRA and optimizer", memory(plan.training_bytes)),
        ("memory: cache of a rollout", memory(plan.cache_bytes)),
        ("memory: logits of an update", memory(plan.logits_bytes)),
        ("memory: sum (at least)", memory(plan.total_bytes)),
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
    """Compose runs, lists of overrides, and say what is wrong with each; JSON in, JSON out."""
    import json
    import sys

    from olmix.grpo.compose import check_each, require_hydra

    require_hydra()
    found = check_each(json.load(sys.stdin))
    plain = [[{"where": p.where, "what": p.what} for p in problems] for problems in found]
    click.echo(json.dumps(plain))


@grpo.command("check-gpu")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_gpu(as_json: bool) -> int:
    """Say which devices JAX finds, and whether an accelerator is among them."""
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
    """Measure a checkpoint and its base model, side by side.

    KEY=VALUE changes how, as in `evaluation.num_prompts=9`.
    """
    import json

    from olmix.grpo.evaluate import evaluate_checkpoint

    report = evaluate_checkpoint(checkpoint_dir, step=step, overrides=words, output=output)
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return 0
    base, trained = report["base"], report["checkpoint"]
    rows = [(name, f"{base[name]:.3f}", f"{value:.3f}") for name, value in trained.items()]
    table(
        f"{report['num_prompts']} questions, {report['preset']} answers",
        ("measure", "base model", f"step {report['step']}"),
        rows,
    )
    return 0


@grpo.command()
@_checkpoint_dir
@click.option("--step", type=int, help="Which checkpoint; the last one if left out.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder.")
def export(checkpoint_dir: Path, step: int | None, output: Path) -> int:
    """Write a checkpoint as one model in the Hugging Face layout, the updates merged in."""
    from olmix.grpo.export import export_checkpoint

    size = export_checkpoint(checkpoint_dir, output, step=step)
    done(f"{output}: {size:,} parameters")
    return 0


@grpo.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of results.csv and its plot."
)
def results(folders: tuple[Path, ...], output: Path | None) -> int:
    """One table of runs: what they changed and what came out."""
    from olmix.grpo.results import collect_runs, results_table, write_results

    runs = collect_runs(folders)
    columns, rows = results_table(runs)
    table("", columns, rows)
    if output is not None:
        write_results(runs, output)
        done(f"{output / 'results.csv'}, {output / 'results.png'}")
    return 0 if all(each.state == "finished" for each in runs) else 1


def run_training() -> None:
    """Run ``run_training.py``: its words are those of `olmix grpo train`."""
    run(train)
