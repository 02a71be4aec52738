"""Guesses at what an unknown key was meant to be: agent-tunix's names, then likeness."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from typing import get_args, get_origin

from olmix.config.base import Section
from olmix.grpo.config import RunConfig

__all__ = ["known_keys", "older_name", "suggest"]

_OLDER = {
    "num_train_epochs": "training.epochs",
    "per_device_train_batch_size": "training.batch_size",
    "gradient_accumulation_steps": "training.micro_batch_size",
    "max_completion_length": "generation.max_new_tokens",
    "loss_type": "grpo.variant",
    "importance_sampling_level": "grpo.variant",
    "reward_weights": "grpo.rewards",
    "reward_funcs": "grpo.rewards",
    "report_to": "logging",
    "use_vllm": "generation.engine",
    "dataset_name": "training.data_path",
    "model_name_or_path": "model.model_id",
    "lora_r": "model.lora_rank",
    "lora_target_modules": "model.lora_module_path",
    "target_modules": "model.lora_module_path",
    "run_name": "experiment_name",
    "eval_strategy": "evaluation.every",
    "save_total_limit": "training.max_checkpoints",
    "resume_from_checkpoint": "training.resume",
    "accuracy_num_batches": "evaluation.num_prompts",
    "adam_epsilon": "optimizer.eps",
    "alpha": "model.lora_alpha",
    "beta1": "optimizer.b1",
    "beta2": "optimizer.b2",
    "checkpoint_path": "training.checkpoint_dir",
    "ckpt_dir": "training.checkpoint_dir",
    "clip_epsilon": "grpo.epsilon",
    "eval_every_n_steps": "evaluation.every",
    "eval_steps": "evaluation.every",
    "eval_num_batches": "evaluation.num_prompts",
    "decay_steps_ratio": "the rate falls over all updates, to scheduler.end_value",
    "inference_config": "evaluation.preset",
    "intermediate_checkpoint_dir": "training.checkpoint_dir",
    "kl_coef": "grpo.beta",
    "kl_coeff": "grpo.beta",
    "lr": "optimizer.learning_rate",
    "lr_scheduler": "scheduler.name",
    "lr_scheduler_type": "scheduler.name",
    "max_checkpoints_to_keep": "training.max_checkpoints",
    "max_generation_steps": "generation.max_new_tokens",
    "max_grad_norm": "training.gradient_clip",
    "max_steps": "training.num_batches",
    "max_to_keep": "training.max_checkpoints",
    "max_tokens": "generation.max_new_tokens",
    "max_tokens_to_generate": "generation.max_new_tokens",
    "mini_batch_size": "training.batch_size",
    "mu": "grpo.num_iterations",
    "num_passes": "evaluation.num_samples",
    "num_samples_per_prompt": "grpo.num_generations",
    "num_test_batches": "evaluation.num_prompts",
    "rank": "model.lora_rank",
    "save_interval_steps": "training.checkpoint_interval",
    "save_steps": "training.checkpoint_interval",
    "test_data_dir": "training.data_path",
    "total_generation_steps": "generation.max_new_tokens",
    "train_batch_size": "training.batch_size",
    "train_data_dir": "training.data_path",
    "train_micro_batch_size": "training.micro_batch_size",
    "wandb_enabled": "logging",
    "wandb_project": "project_name",
    "warmup_ratio": "scheduler.warmup_fraction",
    "warmup_steps_ratio": "scheduler.warmup_fraction",
}
"""Last part of a key of agent-tunix, Tunix or TRL to the key that does it here, or a sentence."""

_LEAST = 0.75
"""Likeness of the last parts of two keys below which nothing is suggested."""
_FREE = {
    "grpo.rewards.": '={function:"module:function",weight:1.0} adds a reward',
    "training.datasets.": "={data_source:jsonl,data_path:FILE,weight:1.0} adds a dataset",
}
"""The sections that take keys of one's own, and how."""


def older_name(key: str) -> str | None:
    """Return what takes the place of an older name, whatever section it is looked for in."""
    found = _OLDER.get(key.rpartition(".")[2])
    return found if found is None or " " in found else f"did you mean `{found}`?"


@cache
def known_keys() -> tuple[str, ...]:
    """Return all dotted keys of a configuration, those that the tree leaves out included."""
    return tuple(_keys(RunConfig, ""))


def _keys(section: type[Section], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        for inner in _sections(field.annotation):
            yield from _keys(inner, f"{prefix}{name}.")


def _sections(annotation: object) -> Iterator[type[Section]]:
    if isinstance(annotation, type):
        if issubclass(annotation, Section):
            yield annotation
        return
    if get_origin(annotation) is dict:
        return  # its keys are names of one's own
    for part in get_args(annotation):
        yield from _sections(part)


def suggest(key: str) -> str:
    """Return what to do about a key that the tree does not have: a sentence, or nothing."""
    if key in known_keys():
        return f"it is not set by default: +{key}=... adds it"
    for section, how in _FREE.items():
        if key.startswith(section):
            name = key.removeprefix(section).partition(".")[0]
            return f"+{section}{name}{how}"
    alike = _alike(key)
    return older_name(key) or (f"did you mean `{alike}`?" if alike else "")


def _alike(key: str) -> str | None:
    """Return the known key with the most alike last part, and of those the most alike whole."""
    leaf = key.rpartition(".")[2]

    def likeness(known: str) -> tuple[float, float]:
        last = difflib.SequenceMatcher(None, leaf, known.rpartition(".")[2]).ratio()
        return last, difflib.SequenceMatcher(None, key, known).ratio()

    best = max(known_keys(), key=likeness)
    return best if likeness(best)[0] >= _LEAST else None
