"""Training one run folder with OLMo-core: resume, train, summarise."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import math
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import olmix
from olmix.config import InLoopEval, LaunchConfig, OlmoCoreTraining, ValidationEval
from olmix.errors import ConfigError, DataError, DivergedError, Problem, require
from olmix.mixture import Mixture
from olmix.records.olmo_checkpoints import checkpoint_problem
from olmix.records.run import RunFolder
from olmix.runlog import Run
from olmix.text.files import digest, read_json, write_json
from olmix.train.olmo_core.build import Caller, OlmoCoreWork, build_trainer, build_work
from olmix.train.olmo_core.process import is_distributed, keep_log, prepare_environment
from olmix.train.olmo_core.schedule import TrainingSchedule
from olmix.train.olmo_core.tasks import check_tasks, pick_metrics
from olmix.train.outcome import RunProgress

__all__ = ["train_run"]

logger = logging.getLogger(__name__)

_LOSS = "train/CE loss"


def train_run(
    folder: RunFolder,
    config: LaunchConfig,
    *,
    on_progress: Callable[[RunProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train one run, from its last checkpoint if it has one.

    It writes `metrics.jsonl`, `status.json`, `summary.json` and `log.txt` of the folder as the
    embedded trainer does; OLMo-core's own checkpoints lie in `checkpoints/`. Under `torchrun` all
    processes call this, and the first reports.

    Args:
        folder: the run folder; the caller holds its lock.
        config: the run's launch config, with `training.trainer: olmo_core` and a mixture.
        on_progress: called when metrics were logged.
        should_stop: asked after every step; a run that stops saves a checkpoint and goes back to
            pending. What signals do is left to the caller.

    Raises:
        OlmixError: OLMo-core is not installed, or something in the config or data does not fit;
            the status says the same.
    """
    training = config.training
    if not isinstance(training, OlmoCoreTraining) or config.mix is None:
        raise ConfigError(
            [Problem("training", "an olmo_core run with a mix is needed")], folder.name
        )
    require(["olmo_core"], "olmo-core", "training.trainer: olmo_core")
    # A launcher moves a folder aside whose run is another one; what is finished here is this run.
    if folder.read_status().state == "finished" and folder.summary.is_file():
        logger.info("%s is finished", folder.name)
        return
    first = int(os.environ.get("RANK", "0")) == 0
    run = Run(folder) if first else None
    try:
        _check(config, training)
        prepare_environment()
        # One of several processes must not leave the others alone; it is asked after a step.
        if run is not None and not is_distributed() and should_stop():
            run.interrupt()
            return
        _train(folder, config, training, config.mix, run, Caller(on_progress, should_stop))
    except BaseException as error:
        if run is not None:
            run.end_with(error)
        raise


def _train(
    folder: RunFolder,
    config: LaunchConfig,
    training: OlmoCoreTraining,
    mix: Mixture,
    run: Run | None,
    caller: Caller,
) -> None:
    """Set OLMo-core up, train, and tear it down."""
    from olmo_core.train import teardown_training_environment

    try:
        with keep_log(folder) if run is not None else nullcontext():
            work = build_work(config, training, mix)
            if run is not None:
                run.num_steps = work.plan.num_steps
                _forget_other_runs(folder, config, work.plan)
            trainer, taken, reports = build_trainer(folder, config, work, run, caller)
            _load_checkpoint(trainer, training)
            trainer.fit()
            if run is not None:
                _conclude(run, config, work, taken, reports, trainer.global_step)
    finally:
        teardown_training_environment()


def _load_checkpoint(trainer: Any, training: OlmoCoreTraining) -> None:
    """Take up the run's own last checkpoint, or else the weights that it is to start from.

    Raises:
        DataError: the checkpoint is damaged, or of another model.
    """
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        if not trainer.maybe_load_checkpoint() and training.checkpoint_path is not None:
            trainer.load_checkpoint(
                training.checkpoint_path, load_trainer_state=False, load_optim_state=False
            )
    except (CheckpointException, RuntimeError, OSError, KeyError) as error:
        own = trainer.checkpointer.contains_checkpoint(trainer.save_folder)
        path = trainer.save_folder if own else training.checkpoint_path
        # The message of a CheckpointException is a traceback; its last line says what is wrong.
        why = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise DataError(
            f"{path}: this checkpoint cannot be loaded as {training.proxy_model_id}: {why[0]}"
        ) from error


def _check(config: LaunchConfig, training: OlmoCoreTraining) -> None:
    """Refuse what cannot run, before minutes of set-up.

    Raises:
        MissingPackageError: in-loop tasks need OLMo-core's own package of tasks.
        ConfigError: there is no checkpoint to start from, or bits per byte lack a local tokenizer.
    """
    path = training.checkpoint_path
    wrong = checkpoint_problem(path) if path is not None else None
    if wrong is not None:
        raise ConfigError([Problem("training.checkpoint_path", wrong)], config.name)
    if training.no_eval:
        return
    if isinstance(config.eval, InLoopEval):
        check_tasks(config.eval, config.name)
    if isinstance(config.eval, ValidationEval) and config.data.tokenizer is None:
        what = "is missing; eval.type: validation counts bytes with it"
        raise ConfigError([Problem("data.tokenizer", what)], config.name)


def _forget_other_runs(folder: RunFolder, config: LaunchConfig, plan: TrainingSchedule) -> None:
    """Remove checkpoints and logs of a run that is not this one.

    OLMo-core refuses to resume where the data or its total has changed, so the run starts over.
    """
    plain = config.to_plain()
    kept = {key: plain[key] for key in ("training", "data", "mix")}
    kept["training"].pop("checkpoint_interval", None)
    kept["training"].pop("device_batch_size", None)
    record = {"digest": digest([kept, plan.num_tokens, plan.batch_tokens], 16)}
    file = folder.path / "olmo_core.json"
    try:
        before = read_json(file)
    except DataError:
        before = None
    if before is not None and before != record:
        logger.info(
            "%s: its config has changed since its checkpoint, so it starts over", folder.name
        )
        for name in ("checkpoints", "cache"):
            shutil.rmtree(folder.path / name, ignore_errors=True)
        folder.metrics.unlink(missing_ok=True)
    write_json(file, record)


def _conclude(
    run: Run,
    config: LaunchConfig,
    work: OlmoCoreWork,
    taken: Any,
    reports: dict[str, Any],
    step: int,
) -> None:
    """Write the summary of a run that is done, or set one that was stopped back to pending."""
    if step < work.plan.num_steps:
        run.interrupt()
        return
    logged = reports["run_folder"].logged
    loss = logged.get(_LOSS, math.nan)
    if not math.isfinite(loss):
        rate = work.plan.learning_rate
        raise DivergedError(
            f"the training loss became {loss}. Lower training.learning_rate (now {rate:g})."
        )
    metrics: dict[str, float] = {}
    if "validation" in reports:
        metrics = reports["validation"].metrics
    elif isinstance(config.eval, InLoopEval) and not work.training.no_eval:
        metrics = pick_metrics(config.eval, logged)
    run.finish(
        metrics or {_LOSS: loss},
        token_shares=taken.shares,
        facts={
            "epochs": taken.passes,
            "weights": {name: share.weight for name, share in work.mix.items()},
            "final_loss": loss,
            "seed": work.training.seed,
            "tokens": work.plan.num_tokens,
            "versions": {
                "ai2-olmo-core": importlib.metadata.version("ai2-olmo-core"),
                "torch": importlib.metadata.version("torch"),
                "olmix": olmix.__version__,
            },
        },
    )
