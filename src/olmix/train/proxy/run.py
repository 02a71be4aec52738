"""One run: what its config asks for, and what it leaves in its folder.

A job knows nothing of steps or of other runs. It takes the measurements and writes them (through
`RunWriter`, like every trainer) so that a
killed run resumes from its checkpoint as if nothing had happened: records that were written after
the checkpoint are cut off, because they will be written again.
"""

from __future__ import annotations

import importlib.metadata
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np

import olmix
from olmix.config import LaunchConfig, ProxyTraining, ValidationEval
from olmix.domains import iter_domains
from olmix.errors import DataError, DivergedError, NotAvailableError
from olmix.mixing.windows import WindowPlan, open_windows
from olmix.mixture import Mixture
from olmix.records.identity import run_identity
from olmix.records.run import RunFolder
from olmix.records.run_config import open_run_trackers, read_run_config
from olmix.records.run_writer import RunWriter
from olmix.records.tokens import byte_lengths, data_dtype, end_of_document
from olmix.simplex import Array
from olmix.train.proxy.batches import cut_run, plan_run
from olmix.train.proxy.checkpoint import Position, load_checkpoint, save_checkpoint
from olmix.train.proxy.evaluation import Validation, build_validation
from olmix.train.proxy.loop import Geometry, TrainState, initial_state
from olmix.train.proxy.model import ModelShape
from olmix.train.proxy.optimizer import Hyper

__all__ = ["ProxyRun", "ProxyWork", "prepare"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProxyWork:
    """A run as its config asks for it, with its data opened and checked.

    Attributes:
        identity: hash of all of it.
        config: the launch config.
        training: the training section.
        mix: the mixture.
        plan: the windows of the run.
        validation: what it is measured on.
        geometry: what its compilation depends on.
        hyper: numbers of its optimizer.
    """

    identity: str
    config: LaunchConfig
    training: ProxyTraining
    mix: Mixture
    plan: WindowPlan
    validation: Validation
    geometry: Geometry
    hyper: Hyper


def prepare(config: LaunchConfig) -> ProxyWork:
    """Open and check everything that a run needs.

    Raises:
        OlmixError: something is missing or does not fit; `olmix.records.identity` and the modules
            `batches` and `evaluation` beside this one say what they check.
    """
    identity = run_identity(config)
    training, evaluation, mix = config.training, config.eval, config.mix
    if (
        not isinstance(training, ProxyTraining)
        or not isinstance(evaluation, ValidationEval)
        or mix is None
        or config.data.tokenizer is None
    ):
        raise NotAvailableError(
            f"{config.name}: the embedded trainer runs `training.trainer: proxy` with a mixture, a "
            "tokenizer and `eval.type: validation`"
        )
    lengths = byte_lengths(config.data.tokenizer)
    paths = {name: path[-1].paths for name, path in iter_domains(config.data.tree())}
    used = [name for name, share in mix.items() if share.weight > 0]
    dtype, context = data_dtype(config.data, used), training.context_length
    domains = [open_windows(name, paths[name], dtype, context) for name in used]
    if training.subset_share < 1:
        domains = cut_run(domains, training, end_of_document(config.data.tokenizer))
    plan = plan_run(domains, mix, training, len(lengths))
    plan.check()
    geometry = Geometry(ModelShape.of(training, len(lengths)), training.batch_size, context)
    held_out = [
        open_windows(name, files, dtype, context, "validation domain")
        for name, files in evaluation.paths.items()
    ]
    validation = build_validation(held_out, evaluation.max_tokens, lengths, geometry.eval_batch)
    return ProxyWork(
        identity, config, training, mix, plan, validation, geometry, Hyper.of(training)
    )


class ProxyRun:
    """A run that is being trained, and its folder.

    Args:
        folder: the run folder.
        work: what `prepare` made of its config.

    Attributes:
        writer: reports it in its folder.
        initial: state to start from.
        loss: training loss of the last step, `None` before the first.
        metrics: what the last evaluation found.
    """

    def __init__(self, folder: RunFolder, work: ProxyWork) -> None:
        self.folder = folder
        self.work = work
        self.metrics: dict[str, float] = {}
        self.loss: float | None = None
        self._final_loss = math.nan
        fresh = initial_state(work.training.seed, work.geometry.shape)
        stored = load_checkpoint(folder.checkpoint, work.identity, fresh)
        if stored is not None and not _holds(folder.metrics, stored[0].metrics_bytes):
            stored = None
        self._position, self.initial = stored or (Position(work.identity), fresh)
        self._seconds_before = self._position.seconds
        self._losses = list(self._position.losses)
        if stored is None:
            folder.checkpoint.unlink(missing_ok=True)
        self.writer = RunWriter(
            folder,
            identity=work.identity,
            num_steps=work.training.num_steps,
            keep_bytes=self._position.metrics_bytes,
            trackers=open_run_trackers(folder, work.config),
        )
        where = "starts" if stored is None else f"resumes at step {self._position.step}"
        logger.info("%s (%s) %s", folder.name, work.identity, where)

    @property
    def step(self) -> int:
        """Step that the run starts from."""
        return self._position.step

    def record_losses(self, first_step: int, log: Array) -> None:
        """Take the log of some steps and write the records that are due.

        A record holds the mean loss since the one before it, and the learning rate of its step.

        Args:
            first_step: steps done before them.
            log: (steps, 2) losses and learning rates.

        Raises:
            DivergedError: a loss is not finite.
        """
        training = self.work.training
        for step, (loss, rate) in enumerate(log.tolist(), start=first_step + 1):
            if not math.isfinite(loss):
                raise DivergedError(
                    f"the training loss became {loss} at step {step} of {training.num_steps}. "
                    f"Lower training.learning_rate (now {training.learning_rate:g}) or raise "
                    f"training.warmup_fraction (now {training.warmup_fraction:g})."
                )
            self._losses.append(loss)
            self.loss = loss
            if step % training.log_interval == 0 or step == training.num_steps:
                mean = math.fsum(self._losses) / len(self._losses)
                tokens = self._tokens(step)
                self.writer.log({"step": step, "tokens": tokens, "loss": mean, "lr": rate})
                self._final_loss = mean
                self._losses.clear()

    def record_evaluation(self, step: int, nats: Array) -> None:
        """Write what was measured after `step` steps.

        Raises:
            DivergedError: a metric is not finite.
        """
        metrics = self.work.validation.bits_per_byte(nats)
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise DivergedError(
                f"{', '.join(bad)} is not finite after step {step}. Lower training.learning_rate "
                f"(now {self.work.training.learning_rate:g})."
            )
        self.metrics = metrics
        self.writer.log({"step": step, "tokens": self._tokens(step), "eval": metrics})

    def save(self, step: int, state: TrainState, seconds: float) -> None:
        """Write a checkpoint, `seconds` into this sitting."""
        self._position = replace(
            self._position,
            step=step,
            metrics_bytes=self.writer.sync(),
            losses=tuple(self._losses),
            seconds=self._seconds_before + seconds,
        )
        save_checkpoint(self.folder.checkpoint, self._position, state)

    def finish(self, seconds: float, rate: float) -> None:
        """Write the summary, then say that the run is finished, then drop the checkpoint."""
        num_steps = self.work.training.num_steps
        facts = self._facts(self._seconds_before + seconds, rate)
        self.writer.finish(self.metrics, facts, step=num_steps, tokens_per_second=rate)
        self.folder.checkpoint.unlink(missing_ok=True)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        logger.info("%s finished: %s; %.0f tokens/s", self.folder.name, shown, rate)

    def _tokens(self, step: int) -> int:
        return step * self.work.training.batch_size * self.work.training.context_length

    def _facts(self, seconds: float, rate: float) -> dict[str, object]:
        """Return what the summary holds beside the metrics."""
        training, plan = self.work.training, self.work.plan
        return {
            "steps": training.num_steps,
            "tokens": self._tokens(training.num_steps),
            "seconds": round(seconds, 3),
            "tokens_per_second": round(rate, 1),
            "final_loss": self._final_loss,
            "weights": {name: share.weight for name, share in self.work.mix.items()},
            "token_shares": plan.token_shares,
            "epochs": plan.epochs,
            "seed": training.seed,
            "versions": {
                "jax": jax.__version__,
                "optax": importlib.metadata.version("optax"),
                "numpy": np.__version__,
                "olmix": olmix.__version__,
            },
            "device": jax.devices()[0].device_kind,
        }


def _holds(path: Path, size: int) -> bool:
    """Whether a file has at least `size` bytes."""
    try:
        return path.stat().st_size >= size
    except FileNotFoundError:
        return size == 0


def read_config(folder: RunFolder) -> LaunchConfig:
    """Read the config of a run folder.

    Raises:
        ConfigError: with every problem of the file.
        DataError: the folder is not there.
    """
    if not folder.path.is_dir():
        raise DataError(f"{folder.path}: there is no such run folder")
    return read_run_config(folder)
