"""Training one run folder with OLMo-core: resume, train, summarise."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import math
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import olmix
from olmix.config import InLoopEval, LaunchConfig, OlmoCoreTraining, ValidationEval
from olmix.errors import ConfigError, DataError, MissingPackageError, OlmixError, Problem, nearest
from olmix.io.checkpoints import checkpoint_problem
from olmix.io.files import digest, read_json, write_json
from olmix.io.runs import RunFolder
from olmix.io.tokens import byte_lengths
from olmix.mixture import Mixture
from olmix.runlog import Run
from olmix.train.olmo_core.plan import Plan, build_plan
from olmix.train.olmo_core.process import is_distributed, keep_log, prepare_environment
from olmix.train.outcome import Progress

__all__ = ["train_run"]

logger = logging.getLogger(__name__)

_MICRO_EVAL_TOKENS = 1 << 16
_LOSS = "train/CE loss"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class _Work:
    """What a run needs, taken from its config and checked.

    Attributes:
        training: the training section.
        mix: the mixture.
        tokenizer: OLMo-core's tokenizer config.
        model: OLMo-core's model config.
        plan: batch size, steps, learning rate.
    """

    training: OlmoCoreTraining
    mix: Mixture
    tokenizer: Any
    model: Any
    plan: Plan


@dataclass(frozen=True)
class _Caller:
    """Whom a run tells how far it is, and asks whether to go on."""

    on_progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]


def train_run(
    folder: RunFolder,
    config: LaunchConfig,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train one run, or go on with it from its last checkpoint.

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
    if importlib.util.find_spec("olmo_core") is None:
        raise MissingPackageError("ai2-olmo-core", "olmo-core", "training.trainer: olmo_core")
    # A launcher moves a folder aside whose run is another one; what is finished here is this run.
    if folder.read_status().state == "finished" and folder.summary.is_file():
        logger.info("%s is finished", folder.name)
        return
    first = int(os.environ.get("RANK", "0")) == 0
    before = folder.read_status()
    run = Run(folder) if first else None
    try:
        _check(config, training)
        prepare_environment()
        # One of several processes must not leave the others alone; it is asked after a step.
        if run is not None and not is_distributed() and should_stop():
            run.interrupt("stopped while it was loading; launch again to go on")
            folder.update_status(step=before.step, num_steps=before.num_steps)
            return
        _train(folder, config, training, config.mix, run, _Caller(on_progress, should_stop))
    except Exception as error:
        if run is not None:
            run.fail(str(error) if isinstance(error, OlmixError) else repr(error))
        raise


def _train(
    folder: RunFolder,
    config: LaunchConfig,
    training: OlmoCoreTraining,
    mix: Mixture,
    run: Run | None,
    caller: _Caller,
) -> None:
    """Set OLMo-core up, train, and tear it down."""
    from olmo_core.train import teardown_training_environment

    try:
        with keep_log(folder) if run is not None else nullcontext():
            work = _build_work(config, training, mix)
            if run is not None:
                run.num_steps = work.plan.num_steps
                _forget_other_runs(folder, config, work.plan)
            trainer, taken, reports = _build_trainer(folder, config, work, run, caller)
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
        raise DataError(
            f"{path}: this checkpoint cannot be loaded as {training.proxy_model_id}: {error}"
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
    if isinstance(config.eval, InLoopEval) and importlib.util.find_spec("olmo_eval") is None:
        raise MissingPackageError("ai2-olmo-eval", "olmo-core-eval", "eval.type: inloop")
    if isinstance(config.eval, ValidationEval) and config.data.tokenizer is None:
        what = "is missing; eval.type: validation counts bytes with it"
        raise ConfigError([Problem("data.tokenizer", what)], config.name)


def _build_work(config: LaunchConfig, training: OlmoCoreTraining, mix: Mixture) -> _Work:
    from olmo_core.distributed.utils import get_world_size

    from olmix.train.olmo_core.data import build_tokenizer

    tokenizer = build_tokenizer(training, config.data)
    model = _build_model_config(training, tokenizer)
    parameters = training.model_parameters or model.num_non_embedding_params
    plan = build_plan(training, parameters, get_world_size())
    return _Work(training, mix, tokenizer, model, plan)


def _build_model_config(training: OlmoCoreTraining, tokenizer: Any) -> Any:
    """Return the model that `proxy_model_id` names.

    Raises:
        ConfigError: OLMo-core has no such factory.
    """
    from olmo_core.nn.transformer import TransformerConfig

    known = {name.lower(): name for name in dir(TransformerConfig) if name.startswith("olmo")}
    factory = known.get(training.proxy_model_id.lower())
    if factory is None:
        guess = nearest(training.proxy_model_id, known)
        hint = f"did you mean `{guess}`?" if guess else f"allowed: {', '.join(sorted(known))}"
        what = f'found "{training.proxy_model_id}"; {hint}'
        raise ConfigError([Problem("training.proxy_model_id", what)], "training")
    return getattr(TransformerConfig, factory)(vocab_size=tokenizer.padded_vocab_size())


def _forget_other_runs(folder: RunFolder, config: LaunchConfig, plan: Plan) -> None:
    """Remove checkpoints and logs of a run that is not this one.

    OLMo-core refuses to go on where the data or its total has changed; so the run starts afresh.
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
            "%s: its config has changed since its checkpoint: it starts afresh", folder.name
        )
        for name in ("checkpoints", "cache"):
            shutil.rmtree(folder.path / name, ignore_errors=True)
        with folder.metrics.open("r+") as log:
            log.truncate(0)
    write_json(file, record)


def _build_trainer(
    folder: RunFolder, config: LaunchConfig, work: _Work, run: Run | None, caller: _Caller
) -> tuple[Any, Any, dict[str, Any]]:
    """Return the trainer, what it takes from each domain, and our callbacks by name."""
    from olmo_core.data import NumpyDataLoaderConfig
    from olmo_core.train import Duration, TrainerConfig
    from olmo_core.train.callbacks import CheckpointerCallback, CheckpointRemovalStrategy
    from olmo_core.utils import get_default_device, seed_all

    from olmix.train.olmo_core.data import build_dataset, count_taken

    plan, training = work.plan, work.training
    cache = folder.path / "cache"
    mixed = build_dataset(training, config.data, work.mix, plan, work.tokenizer, cache)
    seed_all(training.seed)
    module = _build_module(work, work.model.build(init_device=get_default_device().type))
    loader = NumpyDataLoaderConfig(
        global_batch_size=plan.batch_tokens, work_dir=str(cache), seed=training.seed, num_workers=0
    ).build(mixed.dataset, dp_process_group=module.dp_process_group)
    loader.reshuffle(epoch=1)
    per_step = plan.batch_tokens // plan.sequence_length
    order = loader.get_global_indices()[: loader.total_size]
    taken = count_taken(mixed, order, plan.num_steps * per_step)
    reports = _build_reports(config, work, run, caller)
    between = training.checkpoint_interval
    trainer = TrainerConfig(
        save_folder=str(folder.path / "checkpoints"),
        work_dir=str(cache),
        save_overwrite=True,
        metrics_collect_interval=min(10, plan.num_steps),
        **({} if is_distributed() else {"cancel_check_interval": 1}),
        max_duration=Duration.steps(plan.num_steps),
        callbacks={
            **reports,
            "checkpointer": CheckpointerCallback(
                save_interval=plan.num_steps,
                ephemeral_save_interval=between if between < plan.num_steps else None,
                # Also those that were saved when a run was stopped.
                remove=CheckpointRemovalStrategy.all_non_permanent,
                pre_train_checkpoint=False,
                save_async=False,
            ),
        },
    ).build(module, loader)
    if isinstance(config.eval, InLoopEval) and not training.no_eval:
        _add_tasks(trainer, config.eval, work)
    return trainer, taken, reports


def _build_module(work: _Work, model: Any) -> Any:
    """Return the model with its optimizer and schedule."""
    import torch
    from olmo_core.config import DType
    from olmo_core.distributed.parallel import DataParallelType
    from olmo_core.distributed.utils import is_distributed
    from olmo_core.optim import AdamWConfig, CosWithWarmup, LinearWithWarmup
    from olmo_core.train.train_module import (
        TransformerDataParallelConfig,
        TransformerTrainModuleConfig,
    )
    from olmo_core.utils import get_default_device

    plan = work.plan
    on_gpu = torch.cuda.is_available()
    if work.training.train_type == "anneal":
        schedule: Any = LinearWithWarmup(warmup=0, alpha_f=0.0)
    else:
        schedule = CosWithWarmup(warmup=plan.warmup_steps)
    shared = TransformerDataParallelConfig(name=DataParallelType.ddp) if is_distributed() else None
    return TransformerTrainModuleConfig(
        rank_microbatch_size=plan.part_tokens,
        max_sequence_length=plan.sequence_length,
        optim=AdamWConfig(lr=plan.learning_rate, weight_decay=0.1, betas=(0.9, 0.95)),
        scheduler=schedule,
        compile_model=on_gpu,
        autocast_precision=DType.bfloat16 if on_gpu else None,
        dp_config=shared,
        z_loss_multiplier=1e-5,
        max_grad_norm=1.0,
    ).build(model, device=get_default_device())


def _build_reports(
    config: LaunchConfig, work: _Work, run: Run | None, caller: _Caller
) -> dict[str, Any]:
    """Return our callbacks."""
    from olmix.train.batches import open_windows
    from olmix.train.evaluation import build_validation
    from olmix.train.olmo_core.callbacks import RunFolderCallback, ValidationCallback

    plan, training = work.plan, work.training
    reports: dict[str, Any] = {
        "run_folder": RunFolderCallback(
            run=run,
            tokens_per_step=plan.batch_tokens,
            num_steps=plan.num_steps,
            on_progress=caller.on_progress,
            should_stop=caller.should_stop,
            signals={number: signal.getsignal(number) for number in _SIGNALS},
        )
    }
    if isinstance(config.eval, ValidationEval) and not training.no_eval:
        held_out = [
            open_windows(name, files, config.data.dtype, plan.sequence_length, "validation domain")
            for name, files in config.eval.paths.items()
        ]
        lengths = byte_lengths(str(config.data.tokenizer))
        at_once = max(1, min(_MICRO_EVAL_TOKENS, plan.part_tokens) // plan.sequence_length)
        reports["validation"] = ValidationCallback(
            run=run,
            validation=build_validation(held_out, config.eval.max_tokens, lengths, at_once),
            interval=training.eval_interval,
            tokens_per_step=plan.batch_tokens,
            num_steps=plan.num_steps,
        )
    return reports


def _add_tasks(trainer: Any, evaluation: InLoopEval, work: _Work) -> None:
    """Let the trainer evaluate OLMo-core's own tasks."""
    from olmo_core.train.callbacks import DownstreamEvaluatorCallbackConfig

    tasks = [task for family in evaluation.tasks.values() for task in family]
    between = work.training.eval_interval
    callback = DownstreamEvaluatorCallbackConfig(
        tasks=tasks,
        tokenizer=work.tokenizer,
        eval_interval=None,
        fixed_steps=list(range(between, work.plan.num_steps, between)),
        eval_on_finish=True,
    ).build(trainer)
    trainer.add_callback("downstream", callback)


def _conclude(
    run: Run, config: LaunchConfig, work: _Work, taken: Any, reports: dict[str, Any], step: int
) -> None:
    """Write the summary of a run that is done, or set one that was stopped back to pending."""
    if step < work.plan.num_steps:
        run.interrupt(f"stopped at step {step} of {work.plan.num_steps}; launch again to go on")
        return
    logged = reports["run_folder"].logged
    loss = logged.get(_LOSS, math.nan)
    if not math.isfinite(loss):
        rate = work.plan.learning_rate
        run.fail(
            f"the training loss became {loss}. Lower training.learning_rate (now {rate:g}).",
            diverged=True,
        )
        return
    metrics = {name: logged[name] for name in config.eval.metrics if name in logged}
    if "validation" in reports:
        metrics = reports["validation"].metrics
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
