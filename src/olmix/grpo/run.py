"""One training run: base model, data, learner, records, evaluation, plots.

The folder of a run is the common one (`olmix.records.run`): ``config.yaml``, ``status.json``,
``metrics.jsonl``, ``summary.json``; beside them ``samples.jsonl``, ``rewards.png``,
``checkpoints/`` and, where the weights were made here, ``base/``.
"""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config.trackers import TrackersConfig, TrackioTracker, WandbTracker
from olmix.errors import DataError
from olmix.grpo.base_model import base_folder
from olmix.grpo.checkpoints import identity, open_checkpoints, saved_base
from olmix.grpo.config import RunConfig
from olmix.grpo.data import Dataset, batches, held_out_questions, load_dataset
from olmix.grpo.fit_prompts import shorter_questions
from olmix.grpo.own_rewards import load_rewards, try_rewards
from olmix.grpo.prompts import render_prompt
from olmix.grpo.run_plan import data_warnings, make_plan
from olmix.grpo.tokenizer import TextTokenizer, load_tokenizer
from olmix.records.run import RunFolder
from olmix.records.run_writer import RunWriter, final_metrics, sigterm_interrupts
from olmix.records.trackers import TrackedRun, Trackers, open_trackers
from olmix.text.files import digest
from olmix.text.yaml import write_yaml

__all__ = ["run_training", "start_trackers"]

logger = logging.getLogger(__name__)

_LAST_SHARE = 10
"""The objective is the mean over this fraction (one in) of the steps, the last ones."""


def run_training(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Train as the configuration says and return the summary, which is also written.

    Ctrl-C and SIGTERM leave the run pending: the next start picks up at its last checkpoint.

    Raises:
        OlmixError: weights, data, devices or checkpoints are not as the configuration wants; the
            status of the run says so too.
    """
    write_yaml(RunFolder(folder).config, config.to_plain())
    with (
        sigterm_interrupts(),
        RunWriter(
            RunFolder(folder), identity=identity(config), num_steps=config.training.num_steps
        ) as run,
    ):
        metrics, facts = _train(config, run)
        speed = {name: facts[name] for name in ("tokens_per_second",)}
        run.finish(metrics, facts, step=config.training.num_steps, **speed)
    return {**facts, "metrics": metrics}


def start_trackers(config: RunConfig, folder: Path) -> Trackers | None:
    """Start the trackers that `logging` names; `jsonl` is written anyway.

    Raises:
        MissingPackageError: one of them is not installed.
    """
    named, project = config.logging, config.project_name
    wanted = TrackersConfig(
        wandb=WandbTracker(project=project) if "wandb" in named else None,
        trackio=TrackioTracker(project=project) if "trackio" in named else None,
        tensorboard="tensorboard" in named,
    )
    run = TrackedRun(
        name=config.experiment_name or folder.name,
        folder=folder,
        id=digest(str(folder.resolve()), 16),
        group=None,
        config=config.to_plain(),
        tags=config.tags,
    )
    return open_trackers(run, wanted)


def _train(config: RunConfig, run: RunWriter) -> tuple[dict[str, float], dict[str, Any]]:
    """Train, and return the final metrics and what else the summary holds."""
    folder = run.folder.path
    for warning in make_plan(config).warnings:
        logger.warning(warning)
    rewards = load_rewards(config.grpo)
    dataset = load_dataset(config.data)
    try_rewards(rewards, dataset.train[0])
    run.track(start_trackers(config, folder))
    from olmix.grpo.devices import make_mesh

    begin = time.monotonic()
    mesh = make_mesh(config.model.mesh_shape)
    from olmix.grpo.evaluate import measure
    from olmix.grpo.models import add_lora, load_model
    from olmix.grpo.optimizer import build_optimizer, learning_rate
    from olmix.grpo.recorder import Recorder
    from olmix.grpo.tunix_adapter import Models, Trainer

    checkpoint_dir = Path(config.training.checkpoint_dir or folder / "checkpoints")
    base_path = saved_base(checkpoint_dir) or base_folder(config, folder)
    tokenizer = load_tokenizer(base_path)
    reference, architecture = load_model(base_path, config.model, mesh)
    _check_vocabulary(architecture.vocab_size, tokenizer, config)
    dataset = shorter_questions(dataset, tokenizer, config)
    for warning in data_warnings(dataset, config):
        logger.warning(warning)
    actor = add_lora(reference, config.model, mesh, config.seed)
    open_checkpoints(config, checkpoint_dir, base_path)
    recorder = Recorder(
        run,
        config,
        rewards,
        rate=lambda update: float(learning_rate(config, update)),
        on_step=_Progress(config, run),
    )
    trainer = Trainer(
        config,
        Models(actor, reference, tokenizer, config.eos_tokens or tokenizer.end_ids, mesh),
        optimizer=build_optimizer(config),
        rewards=[recorder.watch(reward) for reward in rewards],
        listener=recorder,
        checkpoint_dir=checkpoint_dir,
    )
    held = held_out_questions(dataset, config.evaluation.num_prompts, config.evaluation.seed)
    measured: dict[str, dict[str, float]] = {}
    with mesh:
        if config.evaluation.at_start:
            measured["start"] = measure(reference, tokenizer, held, config)
        ready = time.monotonic()
        done = trainer.restored_step
        if done:
            logger.info("going on after step %d, from %s", done, checkpoint_dir)
        recorder.resume(done)
        if done < config.training.num_steps:
            trainer.train(islice(_columns(dataset, config), done, None))
        else:
            trainer.close()
            logger.info("all %d steps are done already; nothing was trained", done)
        trained = time.monotonic()
        if config.evaluation.at_end:
            measured["end"] = measure(actor, tokenizer, held, config)
    seconds = {"prepare": ready - begin, "train": trained - ready}
    seconds["total"] = time.monotonic() - begin
    from olmix.grpo.results import write_reward_plot

    write_reward_plot(recorder.rows, folder / "rewards.png", seed=config.seed)
    return _summarise(config, recorder.rows, measured, seconds)


class _Progress:
    """Says how a run goes: in its status after every step, in words ten times."""

    def __init__(self, config: RunConfig, run: RunWriter) -> None:
        self._steps, self._run = config.training.num_steps, run
        self._every = max(1, self._steps // 10)

    def __call__(self, row: Mapping[str, float]) -> None:
        step = int(row["step"])
        self._run.progress(step=step, tokens_per_second=row["tokens_per_second"])
        if step % self._every == 0 or step in (1, self._steps):
            parts = [f"{n.removeprefix('reward/')} {v:.2f}" for n, v in row.items() if "/" in n]
            logger.info(
                "step %d of %d: reward %.2f (%s), %.0f tokens, %.1f s",
                step, self._steps, row["reward"], ", ".join(parts),
                row["completion_length"], row["rollout_s"] + row["update_s"],
            )  # fmt: skip


def _check_vocabulary(entries: int, tokenizer: TextTokenizer, config: RunConfig) -> None:
    """Refuse a random model that can sample ids its tokenizer does not know.

    Released models pad their embedding, and have learned never to sample the padding.
    """
    if config.model.is_random and entries > tokenizer.size:
        raise DataError(
            f"the model has {entries} embeddings, its tokenizer {tokenizer.size} entries; set "
            f"model.custom_params.vocab_size={tokenizer.size}"
        )


def _columns(dataset: Dataset, config: RunConfig) -> Iterator[dict[str, Any]]:
    """Yield the batches of the whole run as Tunix takes them: arrays, `prompts` among them."""
    training = config.training
    for batch in batches(
        dataset,
        batch_size=training.batch_size,
        num_batches=training.num_batches,
        epochs=training.passes,
        seed=config.seed,
    ):
        template = config.model.prompt_template
        yield {
            "prompts": np.array([render_prompt(entry.question, template) for entry in batch]),
            "question": np.array([entry.question for entry in batch]),
            "answer": np.array([entry.answer for entry in batch]),
            **{name: _array([entry.columns[name] for entry in batch]) for name in batch[0].columns},
        }


def _array(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return one entry per value, whatever the values are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _summarise(
    config: RunConfig,
    rows: Sequence[Mapping[str, float]],
    measured: Mapping[str, Mapping[str, float]],
    seconds: Mapping[str, float],
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return what a run came to: its metrics, means over the last tenth of the steps, and facts."""
    last = rows[-max(1, len(rows) // _LAST_SHARE) :]
    # A reward that abstains from all answers of a step has no mean in its row.
    names = dict.fromkeys(name for row in last for name in row)
    means = {n: float(np.mean([row[n] for row in last if n in row])) for n in names}
    tokens = int(sum(row["tokens"] for row in rows))
    spent = sum(row["rollout_s"] + row["update_s"] for row in rows)
    evaluated = {
        f"eval/{when}/{name}": value
        for when, values in measured.items()
        for name, value in values.items()
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    metrics, _ = final_metrics({**means, **evaluated})
    return metrics, {
        "objective": means["reward"],
        "steps": len(rows),
        "tokens": tokens,
        "tokens_per_second": tokens / spent,
        "seconds": seconds["total"],
        "seconds_of": dict(seconds),
        "peak_memory_bytes": peak,
        "experiment": config.experiment_name,
        "seed": config.seed,
        "evaluation": {when: dict(values) for when, values in measured.items()},
    }
