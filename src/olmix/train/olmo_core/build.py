"""The parts of a run of OLMo-core: its model, data, optimizer, schedule and callbacks."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from olmix.config import InLoopEval, LaunchConfig, OlmoCoreTraining, ValidationEval
from olmix.errors import ConfigError, Problem, nearest
from olmix.mixture import Mixture
from olmix.records.run import RunFolder
from olmix.records.tokens import byte_lengths, data_dtype
from olmix.runlog import Run
from olmix.train.olmo_core.process import is_distributed
from olmix.train.olmo_core.schedule import TrainingSchedule, build_schedule
from olmix.train.olmo_core.tasks import add_tasks
from olmix.train.outcome import RunProgress

__all__ = ["Caller", "OlmoCoreWork", "build_trainer", "build_work"]

_MICRO_EVAL_TOKENS = 1 << 16
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class OlmoCoreWork:
    """A run's settings, taken from its config and checked.

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
    plan: TrainingSchedule


@dataclass(frozen=True)
class Caller:
    """Callbacks of a run: its progress, and whether it should continue."""

    on_progress: Callable[[RunProgress], None]
    should_stop: Callable[[], bool]


def build_work(config: LaunchConfig, training: OlmoCoreTraining, mix: Mixture) -> OlmoCoreWork:
    """Return what a run needs, on the devices that there are.

    Raises:
        OlmixError: OLMo-core has no such model or tokenizer, or the numbers do not fit together.
    """
    from olmo_core.distributed.utils import get_world_size

    from olmix.train.olmo_core.data import build_tokenizer

    tokenizer = build_tokenizer(training, config.data)
    model = _build_model_config(training, tokenizer)
    parameters = training.model_parameters or model.num_non_embedding_params
    plan = build_schedule(training, parameters, get_world_size())
    return OlmoCoreWork(training, mix, tokenizer, model, plan)


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


def build_trainer(
    folder: RunFolder, config: LaunchConfig, work: OlmoCoreWork, run: Run | None, caller: Caller
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
        add_tasks(trainer, config.eval, work.tokenizer, training.eval_interval, plan.num_steps)
    return trainer, taken, reports


def _build_module(work: OlmoCoreWork, model: Any) -> Any:
    """Return the model with its optimizer and schedule."""
    import torch
    from olmo_core.config import DType
    from olmo_core.distributed.parallel import DataParallelType
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
    config: LaunchConfig, work: OlmoCoreWork, run: Run | None, caller: Caller
) -> dict[str, object]:
    """Return our callbacks."""
    from olmix.mixing.windows import open_windows
    from olmix.train.olmo_core.callbacks import RunFolderCallback, ValidationCallback
    from olmix.train.proxy.evaluation import build_validation

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
        dtype = data_dtype(config.data, [n for n, s in work.mix.items() if s.weight > 0])
        held_out = [
            open_windows(name, files, dtype, plan.sequence_length, "validation domain")
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
