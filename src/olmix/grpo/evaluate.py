"""Measuring a model on questions that training does not see."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from olmix.grpo.answers import require_verifier
from olmix.grpo.checkpoints import read_saved_run
from olmix.grpo.config import RunConfig
from olmix.grpo.data import Question, held_out_questions, load_dataset
from olmix.grpo.fit_prompts import shorter_questions
from olmix.grpo.prompts import render_prompt
from olmix.grpo.rewards import answer_reward, exact_format
from olmix.text.files import write_json

__all__ = ["PRESETS", "evaluate_checkpoint", "measure", "pass_at_k"]

logger = logging.getLogger(__name__)

PRESETS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0, "top_p": None, "top_k": None},
    "standard": {"temperature": 0.7, "top_p": 0.95, "top_k": 50},
    "liberal": {"temperature": 0.85, "top_p": 1.0, "top_k": 2000},
}
"""How answers are sampled; those of Tunix's GRPO example."""


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Return the chance that one of `k` answers drawn without replacement is right.

    The unbiased estimator of Chen et al. 2021 (arXiv:2107.03374), 1 - C(n - c, k) / C(n, k).
    """
    return 1.0 - math.comb(num_samples - num_correct, k) / math.comb(num_samples, k)


def measure(
    model: Any, tokenizer: Any, questions: Sequence[Question], config: RunConfig
) -> dict[str, float]:
    """Ask a model each question `evaluation.num_samples` times.

    Returns:
        ``accuracy`` (the true answer, compared as `grpo.answer` says), ``partial_accuracy`` (within
        a tenth counts), ``format_rate`` (exact format), ``completion_length`` in tokens,
        ``clipped_fraction``, and ``pass@k`` for each power of two up to the number of samples.
    """
    evaluation = config.evaluation
    completions, lengths = _sample(model, tokenizer, questions, config)
    repeated = [entry for entry in questions for _ in range(evaluation.num_samples)]
    prompts = [entry.question for entry in repeated]
    answers = [entry.answer for entry in repeated]
    check = answer_reward(config.grpo.answer)
    scores = np.array(check(prompts, completions, answers))
    right = (scores == 1.0).reshape(len(questions), -1)
    room = config.generation.max_new_tokens
    measured = {
        "accuracy": float(right.mean()),
        "partial_accuracy": float((scores > 0).mean()),
        "format_rate": float(np.mean(exact_format(prompts, completions))),
        "completion_length": float(np.mean(lengths)),
        "clipped_fraction": float(np.mean([length >= room for length in lengths])),
    }
    for power in range(evaluation.num_samples.bit_length()):
        k = 2**power
        chances = [pass_at_k(evaluation.num_samples, int(row.sum()), k) for row in right]
        measured[f"pass@{k}"] = float(np.mean(chances))
    return measured


def _sample(
    model: Any, tokenizer: Any, questions: Sequence[Question], config: RunConfig
) -> tuple[list[str], list[int]]:
    """Return answers and their lengths, those to one question side by side."""
    from tunix.generate import sampler

    generation, evaluation = config.generation, config.evaluation
    shape = model.config
    engine = sampler.Sampler(
        model,
        tokenizer,
        sampler.CacheConfig(
            cache_size=generation.max_prompt_length + generation.max_new_tokens,
            num_layers=shape.num_layers,
            num_kv_heads=shape.num_kv_heads,
            head_dim=shape.head_dim,
        ),
    )
    prompts = [
        render_prompt(entry.question, config.model.prompt_template)
        for entry in questions
        for _ in range(evaluation.num_samples)
    ]
    size = min(evaluation.batch_size, len(prompts))
    completions: list[str] = []
    lengths: list[int] = []
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        # All batches have one shape, so that the model is compiled once.
        output = engine(
            input_strings=batch + batch[-1:] * (size - len(batch)),
            max_generation_steps=generation.max_new_tokens,
            max_prompt_length=generation.max_prompt_length,
            eos_tokens=list(config.eos_tokens or tokenizer.end_ids),
            seed=evaluation.seed + start,
            **_sampling(evaluation.preset, tokenizer),
        )
        completions.extend(output.text[: len(batch)])
        lengths.extend(len(tokens) for tokens in output.tokens[: len(batch)])
    return completions, lengths


def _sampling(preset: str, tokenizer: Any) -> dict[str, Any]:
    """Return a preset; no more tokens are chosen from than there are."""
    settings = PRESETS[preset]
    if settings["top_k"] is None:
        return settings
    return {**settings, "top_k": min(settings["top_k"], tokenizer.size)}


def evaluate_checkpoint(
    path: Path,
    *,
    step: int | None = None,
    overrides: Sequence[str] = (),
    output: Path | None = None,
) -> dict[str, Any]:
    """Measure a checkpoint and its base model on the same questions.

    Args:
        path: folder of a run, or of its checkpoints.
        step: which checkpoint; the last one where left out.
        overrides: such as ``evaluation.num_samples=8``.
        output: JSON file to write.

    Raises:
        DataError: there is no such checkpoint, or its base model is gone.
        ConfigError: an override is wrong.
        MissingPackageError: the package that compares the answers is not installed.
    """
    saved = read_saved_run(path, step)
    config = _override(saved.config, overrides)
    require_verifier(config.grpo.answer)
    from olmix.grpo.devices import make_mesh
    from olmix.grpo.models import add_lora, load_model
    from olmix.grpo.tokenizer import load_tokenizer

    mesh = make_mesh(config.model.mesh_shape)
    from olmix.grpo.tunix_adapter import restore_lora

    tokenizer = load_tokenizer(saved.base)
    base, _ = load_model(saved.base, config.model, mesh)
    model = add_lora(base, config.model, mesh, config.seed)
    restore_lora(model, saved.checkpoints, saved.update)
    dataset = shorter_questions(load_dataset(config.data), tokenizer, config)
    questions = held_out_questions(dataset, config.evaluation.num_prompts, config.evaluation.seed)
    with mesh:
        report = {
            "checkpoint_dir": str(saved.checkpoints),
            "step": saved.step,
            "num_prompts": len(questions),
            "preset": config.evaluation.preset,
            "seed": config.evaluation.seed,
            "base": measure(base, tokenizer, questions, config),
            "checkpoint": measure(model, tokenizer, questions, config),
        }
    if output is not None:
        write_json(output, report)
    return report


def _override(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Return a config with some of its `evaluation` (and `generation`) keys changed."""
    if not overrides:
        return config
    from omegaconf import OmegaConf

    from olmix.errors import ConfigError, Problem

    allowed = ("evaluation.", "generation.")
    foreign = [word for word in overrides if not word.startswith(allowed) or "=" not in word]
    if foreign:
        what = "only evaluation.KEY=VALUE and generation.KEY=VALUE can be changed here"
        raise ConfigError([Problem(word, what) for word in foreign], "evaluate")
    plain = OmegaConf.create(config.to_plain())
    changed = OmegaConf.merge(plain, OmegaConf.from_dotlist(list(overrides)))
    return RunConfig.from_dict(OmegaConf.to_container(changed), "evaluate")
