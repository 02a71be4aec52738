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
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config.trackers import TrackersConfig, TrackioTracker, WandbTracker
from olmix.errors import DataError
from olmix.grpo.base_model import base_folder
from olmix.grpo.checkpoints import identity, list_updates, open_checkpoints, saved_base
from olmix.grpo.config import RunConfig
from olmix.grpo.curriculum import Lesson, choose_questions, try_curriculum
from olmix.grpo.data import batches, held_out_questions, load_dataset
from olmix.grpo.own_rewards import Reward, load_rewards, try_rewards
from olmix.grpo.prompt_lengths import shorter_questions
from olmix.grpo.prompts import render_prompt
from olmix.grpo.rates import Measured
from olmix.grpo.reward_states import RewardStates
from olmix.grpo.run_plan import data_warnings, make_plan
from olmix.grpo.served_rollout import require_engine
from olmix.grpo.tokenizer import TextTokenizer, load_tokenizer
from olmix.records.fit.scores import LEVEL
from olmix.records.run import RunFolder
from olmix.records.run_writer import RunWriter, final_metrics, sigterm_interrupts
from olmix.records.trackers import TrackedRun, Trackers, open_trackers
from olmix.text.files import digest
from olmix.text.numbers import duration, per_cent, with_error
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
    require_engine(config.generation.engine)
    rewards = load_rewards(config.grpo)
    dataset = load_dataset(config.data)
    try_curriculum(dataset, config)
    try_rewards(rewards, dataset.train[0], config.grpo.answer_mark)
    run.track(start_trackers(config, folder))
    from olmix.grpo.devices import make_mesh

    begin = time.monotonic()
    mesh = make_mesh(config.model.mesh_shape)
    from olmix.grpo.asking import Asker, sampling_of
    from olmix.grpo.models import load_model, trained_model
    from olmix.grpo.optimizer import build_optimizer, learning_rate
    from olmix.grpo.recorder import Recorder
    from olmix.grpo.tunix_adapter import GrpoTrainer, Models

    checkpoint_dir = Path(config.training.checkpoint_dir or folder / "checkpoints")
    base_path = saved_base(checkpoint_dir) or base_folder(config, folder)
    tokenizer = load_tokenizer(base_path)
    reference, architecture = load_model(base_path, config.model, mesh)
    _check_vocabulary(architecture.vocab_size, tokenizer, config)
    dataset = shorter_questions(dataset, tokenizer, config)
    for warning in data_warnings(dataset, config):
        logger.warning(warning)
    actor = trained_model(reference, config.model, mesh, config.seed)
    open_checkpoints(config, checkpoint_dir, base_path, _sources(rewards, config))
    with mesh:
        lesson = choose_questions(dataset, reference, tokenizer, config, checkpoint_dir)
    held = held_out_questions(dataset, config.evaluation.num_prompts, config.evaluation.seed)
    asker = Asker(held, tokenizer, config, sampling_of(config), rewards)
    states = RewardStates(rewards, checkpoint_dir)
    recorder = Recorder(
        run,
        config,
        rewards,
        rate=lambda update: float(learning_rate(config, update)),
        on_step=_Progress(config, run, states, checkpoint_dir),
        evaluate=lambda step: _between(config, step, lambda: asker.measure(trainer.model)),
    )
    trainer = GrpoTrainer(
        config,
        Models(
            actor, reference, tokenizer, config.eos_tokens or tokenizer.end_ids, mesh, base_path
        ),
        optimizer=build_optimizer(config),
        rewards=[recorder.watch(reward) for reward in rewards],
        listener=recorder,
        checkpoint_dir=checkpoint_dir,
    )
    measured: dict[str, Measured] = {}
    with mesh:
        if config.evaluation.at_start:
            measured["start"] = asker.measure(reference)
        ready = time.monotonic()
        done = trainer.restored_step
        if done:
            logger.info("resuming after step %d, from %s", done, checkpoint_dir)
        recorder.resume(done)
        states.restore(done)
        if done < config.training.num_steps:
            trainer.train(islice(_columns(lesson, config), done, None))
        else:
            trainer.close()
            logger.info("all %d steps were already done; nothing was trained", done)
        trained = time.monotonic()
        if config.evaluation.at_end:
            measured["end"] = asker.measure(actor)
    seconds = {"prepare": ready - begin, "train": trained - ready}
    seconds["total"] = time.monotonic() - begin
    from olmix.grpo.results import write_reward_plot

    write_reward_plot(recorder.rows, folder / "rewards.png", seed=config.seed)
    return _summarise(config, recorder.rows, measured, seconds)


def _between(config: RunConfig, step: int, measure: Callable[[], Measured]) -> Mapping[str, float]:
    """Return what is measured after a step, each rate with its interval; nothing after most."""
    every = config.evaluation.every
    if every is None or step % every:
        return {}
    found = measure()
    row = {f"eval/{name}": value for name, value in found.means().items()}
    for name, (low, high) in found.intervals().items():
        if name in found.rates:
            row |= {f"eval/{name}_low": low, f"eval/{name}_high": high}
    said = ", ".join(
        f"{name} {100 * row[f'eval/{name}']:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
        for name, (low, high) in found.intervals().items()
        if name in ("accuracy", "format_rate")
    )
    logger.info("after step %d, on held-out questions: %s", step, said)
    return row


class _Progress:
    """Says how a run goes, and saves the rewards' states: called after each step.

    It is called before the checkpoint is written, so that no checkpoint lacks its states.
    """

    def __init__(
        self, config: RunConfig, run: RunWriter, states: RewardStates, checkpoint_dir: Path
    ) -> None:
        self._steps, self._run = config.training.num_steps, run
        self._every = max(1, self._steps // 10)
        self._interval, self._per_step = (
            config.training.checkpoint_interval,
            config.grpo.num_iterations,
        )
        self._states, self._checkpoint_dir = states, checkpoint_dir
        self._seconds: list[float] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        step = int(row["step"])
        if step % self._interval == 0 or step == self._steps:
            kept = [update // self._per_step for update in list_updates(self._checkpoint_dir)]
            self._states.keep(kept)
            self._states.save(step)
        self._run.progress(step=step, tokens_per_second=row["tokens_per_second"])
        self._seconds.append(row["rollout_s"] + row["update_s"])
        if step % self._every == 0 or step in (1, self._steps):
            parts = [
                f"{n.removeprefix('reward/')} {v:.2f}"
                for n, v in row.items()
                if n.startswith("reward/")
            ]
            logger.info(
                "step %d of %d: reward %.2f (%s), %.0f tokens, %.1f s%s",
                step, self._steps, row["reward"], ", ".join(parts),
                row["completion_length"], self._seconds[-1], self._left(step),
            )  # fmt: skip

    def _left(self, step: int) -> str:
        """Return the time left in words, by the steps so far; the first one compiles, too."""
        known = self._seconds[1:]
        if not known or step == self._steps:
            return ""
        return f", about {duration((self._steps - step) * sum(known) / len(known))} left"


def _sources(rewards: Sequence[Reward], config: RunConfig) -> dict[str, str]:
    """Return a hash of the source of each reward of one's own, where it is known."""
    own = [each for each in rewards if config.grpo.rewards[each.name].function is not None]
    return {each.name: source for each in own if (source := each.source) is not None}


def _check_vocabulary(entries: int, tokenizer: TextTokenizer, config: RunConfig) -> None:
    """Refuse a random model that can sample ids its tokenizer does not know.

    Released models pad their embedding, and have learned never to sample the padding.
    """
    if config.model.is_random and entries > tokenizer.size:
        raise DataError(
            f"the model has {entries} embeddings, its tokenizer {tokenizer.size} entries; set "
            f"model.custom_params.vocab_size={tokenizer.size}"
        )


def _columns(lesson: Lesson, config: RunConfig) -> Iterator[dict[str, Any]]:
    """Yield the batches of the whole run as Tunix takes them: arrays, `prompts` among them."""
    training = config.training
    template, mark = config.model.prompt_template, config.grpo.answer_mark
    columns = dict.fromkeys(name for entry in lesson.dataset.train for name in entry.columns)
    for batch in batches(
        lesson.dataset,
        batch_size=training.batch_size,
        num_batches=training.num_batches,
        epochs=training.passes,
        seed=config.seed,
        easiness=lesson.easiness,
    ):
        given: dict[str, list[Any]] = {
            "question": [entry.question for entry in batch],
            "answer": [entry.answer for entry in batch],
            **{name: [entry.columns.get(name) for entry in batch] for name in columns},
        }
        yield {
            "prompts": np.array([render_prompt(entry, template, mark) for entry in batch]),
            **{name: _array(values) for name, values in given.items()},
        }


def _array(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return one entry per value, whatever the values are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _summarise(
    config: RunConfig,
    rows: Sequence[Mapping[str, float]],
    measured: Mapping[str, Measured],
    seconds: Mapping[str, float],
) -> tuple[dict[str, float], dict[str, object]]:
    """Return what a run came to: its metrics, means over the last tenth of the steps, and facts."""
    last = rows[-max(1, len(rows) // _LAST_SHARE) :]
    # A reward that abstains from all answers of a step has no mean in its row.
    names = dict.fromkeys(n for row in last for n in row if not n.startswith("eval/"))
    means = {n: float(np.mean([row[n] for row in last if n in row])) for n in names}
    tokens = int(sum(row["tokens"] for row in rows))
    spent = sum(row["rollout_s"] + row["update_s"] for row in rows)
    evaluated = {
        f"eval/{when}/{name}": value
        for when, each in measured.items()
        for name, value in each.means().items()
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
        "evaluation": _evaluation(measured),
    }


def _evaluation(measured: Mapping[str, Measured]) -> dict[str, object]:
    """Return means by when they were measured, their intervals, and the paired change."""
    found: dict[str, Any] = {when: each.means() for when, each in measured.items()}
    found["level"] = LEVEL
    found["intervals"] = {
        when: {name: list(pair) for name, pair in each.intervals().items()}
        for when, each in measured.items()
    }
    if "start" in measured and "end" in measured:
        change = measured["end"].change_from(measured["start"])
        found["change"] = {
            name: {"difference": each.difference, "half_width": each.half_width}
            for name, each in change.items()
        }
        for name in ("accuracy", "format_rate", "reward"):
            if name in change:
                logger.info(
                    "%s on the same held-out questions, before and after: %s (%s)",
                    name,
                    with_error(change[name].difference, change[name].half_width, sign=True),
                    per_cent(LEVEL),
                )
    return found
