"""`agent-tunix`: the older command line, with flags. Deprecated, but it still works."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from olmix.cli.grpo import check_gpu, evaluate, run_words, show_config
from olmix.cli.main import run

__all__ = ["agent_tunix", "main"]

FLAGS: Mapping[str, str] = {
    "--model-size": "model",
    "--lora-rank": "model.lora_rank",
    "--lora-alpha": "model.lora_alpha",
    "--learning-rate": "optimizer.learning_rate",
    "--weight-decay": "optimizer.weight_decay",
    "--warmup-steps": "++optimizer.warmup_steps",
    "--num-generations": "grpo.num_generations",
    "--num-iterations": "grpo.num_iterations",
    "--beta": "grpo.beta",
    "--epsilon": "grpo.epsilon",
    "--temperature": "generation.temperature",
    "--top-p": "generation.top_p",
    "--top-k": "generation.top_k",
    "--max-prompt-length": "generation.max_prompt_length",
    "--max-new-tokens": "generation.max_new_tokens",
    "--num-batches": "training.num_batches",
    "--batch-size": "training.batch_size",
    "--num-epochs": "training.epochs",
    "--data-source": "training.data_source",
    "--data-path": "training.data_path",
    "--gradient-clip": "training.gradient_clip",
    "--checkpoint-dir": "training.checkpoint_dir",
    "--seed": "seed",
}
"""Older flag to the key that it sets."""


def _flags(command: Callable[..., object]) -> Callable[..., object]:
    for flag, key in reversed(list(FLAGS.items())):
        command = click.option(flag, flag.strip("-").replace("-", "_"), help=f"{key}.")(command)
    return command


@click.group()
def agent_tunix() -> None:
    """Older names of `olmix grpo`."""


@agent_tunix.command()
@_flags
@click.option("--dry-run", is_flag=True, help="Check and plan; train nothing.")
@click.argument("overrides", nargs=-1)
def train(overrides: tuple[str, ...], dry_run: bool, **given: str | None) -> int:
    """Train with flags. Deprecated: use `olmix grpo train KEY=VALUE`."""
    words = []
    for flag, key in FLAGS.items():
        value = given[flag.strip("-").replace("-", "_")]
        if value is not None:
            words.append(f"{key}={f'gemma3_{value}' if flag == '--model-size' else value}")
    words.extend(overrides)
    better = " ".join(["olmix grpo train", *words])
    click.echo(f"warning: the flags of agent-tunix are deprecated; use: {better}", err=True)
    return run_words(words, dry_run=dry_run)


for _command in (evaluate, check_gpu, show_config):
    agent_tunix.add_command(_command)


def main() -> None:
    """Run ``agent-tunix``."""
    run(agent_tunix)
