"""Asking a model questions, and scoring what it answers: for evaluation, and for pass rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from olmix.grpo.config import RunConfig
from olmix.grpo.own_rewards import Reward
from olmix.grpo.prompts import render_prompt
from olmix.grpo.questions import Question
from olmix.grpo.rates import Measured
from olmix.grpo.rewards import built_in_rewards
from olmix.text.progress import NOBODY, Steps

__all__ = ["PRESETS", "Asker", "Sampling", "pass_at_k", "sampling_of"]

Array = np.ndarray[Any, Any]

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


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    Attributes:
        settings: temperature, top_p and top_k of Tunix's sampler.
        num_samples: answers to a question.
        batch_size: prompts at once.
        seed: draws them.
    """

    settings: Mapping[str, Any]
    num_samples: int
    batch_size: int
    seed: int


def sampling_of(config: RunConfig) -> Sampling:
    """Return how answers are drawn in an evaluation."""
    evaluation = config.evaluation
    return Sampling(
        PRESETS[evaluation.preset],
        evaluation.num_samples,
        evaluation.batch_size,
        evaluation.seed,
    )


class Asker:
    """Asks models the same questions in the same way, and scores their answers.

    Args:
        questions: to ask.
        tokenizer: of the models.
        config: of the run.
        sampling: how answers are drawn.
        rewards: that score them too; their states stay as they are.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        tokenizer: Any,
        config: RunConfig,
        sampling: Sampling,
        rewards: Sequence[Reward] = (),
    ) -> None:
        self._questions, self._tokenizer = questions, tokenizer
        self._config, self._sampling, self._rewards = config, sampling, rewards
        self._engines: dict[Any, Any] = {}

    @property
    def num_batches(self) -> int:
        """Batches of answers that one measurement draws."""
        return -(-len(self._questions) * self._sampling.num_samples // self._batch_size)

    @property
    def _batch_size(self) -> int:
        answers = len(self._questions) * self._sampling.num_samples
        return min(self._sampling.batch_size, answers)

    def measure(self, model: Any, steps: Steps = NOBODY) -> Measured:
        """Ask a model each question `num_samples` times.

        Args:
            model: the model.
            steps: told of each batch of answers.

        Returns:
            Where the data have true answers, ``accuracy`` (compared as `grpo.answer` says),
            ``partial_accuracy`` (within a tenth counts) and ``pass@k`` for each power of two up to
            the number of samples; ``format_rate`` (exact format), ``reward`` and the mean of each
            reward, ``completion_length`` in tokens, ``clipped_fraction``.
        """
        completions, tokens = self._answers(model, steps)
        count = self._sampling.num_samples
        room = self._config.generation.max_new_tokens
        columns = self._columns()
        grpo = self._config.grpo
        built_in = built_in_rewards(grpo.answer, grpo.answer_mark)

        def by_question(scores: Sequence[float | None]) -> Array:
            return np.array([math.nan if s is None else s for s in scores]).reshape(-1, count)

        values: dict[str, Array] = {}
        scores = by_question(built_in["check_answer"](completions, completions, columns["answer"]))
        if np.isfinite(scores).any():
            known = np.where(np.isfinite(scores).all(axis=1), 1.0, math.nan)
            right = scores == 1.0
            values["accuracy"] = right.mean(axis=1) * known
            values["partial_accuracy"] = (scores > 0).mean(axis=1) * known
            for k in (2**power for power in range(count.bit_length())):
                chances = [pass_at_k(count, int(row.sum()), k) for row in right]
                values[f"pass@{k}"] = np.array(chances) * known
        values["format_rate"] = by_question(
            built_in["exact_format"](completions, completions)
        ).mean(axis=1)
        rates = frozenset({*values, "clipped_fraction"})
        values |= self._rewarded(completions, tokens, columns)
        lengths = by_question([float(len(ids)) for ids in tokens])
        values["completion_length"] = lengths.mean(axis=1)
        values["clipped_fraction"] = (lengths >= room).mean(axis=1)
        names = tuple(str(question.columns.get("dataset", "")) for question in self._questions)
        several = len(self._config.data.sources) > 1
        return Measured(values, rates, count, names if several else ())

    def _columns(self) -> dict[str, list[Any]]:
        """Return the columns of all answers, as rewards get them."""
        asked = [q for q in self._questions for _ in range(self._sampling.num_samples)]
        names = dict.fromkeys(name for question in asked for name in question.columns)
        return {
            "question": [question.question for question in asked],
            "answer": [question.answer for question in asked],
            **{name: [question.columns.get(name) for question in asked] for name in names},
        }

    def _rewarded(
        self,
        completions: Sequence[str],
        tokens: Sequence[Sequence[int]],
        columns: Mapping[str, Any],
    ) -> dict[str, Array]:
        """Return the reward of each question's answers, by the copies of the rewards."""
        if not self._rewards:
            return {}
        count = self._sampling.num_samples
        found: dict[str, Array] = {}
        total = np.zeros(len(completions))
        for reward in self._rewards:
            scores = reward.copied().score(self._prompts(), completions, columns, tokens)
            numbers = np.array([math.nan if score is None else score for score in scores])
            total += reward.weight * np.nan_to_num(numbers)
            given = numbers.reshape(-1, count)
            known = np.isfinite(given).any(axis=1)
            means = np.full(len(given), math.nan)
            means[known] = np.nanmean(given[known], axis=1)
            found[f"reward/{reward.name}"] = means
        return {"reward": total.reshape(-1, count).mean(axis=1), **found}

    def _prompts(self) -> list[str]:
        template, mark = self._config.model.prompt_template, self._config.grpo.answer_mark
        rendered = [render_prompt(question, template, mark) for question in self._questions]
        return [prompt for prompt in rendered for _ in range(self._sampling.num_samples)]

    def _engine(self, model: Any) -> Any:
        """Return a sampler with the weights that the model has now, compiled once for each kind."""
        from flax import nnx
        from tunix.generate import sampler

        kind = tuple(path for path, _ in nnx.to_flat_state(nnx.state(model)))
        if kind not in self._engines:
            generation, shape = self._config.generation, model.config
            self._engines[kind] = sampler.Sampler(
                model,
                self._tokenizer,
                sampler.CacheConfig(
                    cache_size=generation.max_prompt_length + generation.max_new_tokens,
                    num_layers=shape.num_layers,
                    num_kv_heads=shape.num_kv_heads,
                    head_dim=shape.head_dim,
                ),
            )
        engine = self._engines[kind]
        engine.transformer_state = nnx.variables(model, nnx.Param)
        return engine

    def _answers(self, model: Any, steps: Steps) -> tuple[list[str], list[list[int]]]:
        """Return answers and their tokens, those to one question side by side."""
        sampling, generation = self._sampling, self._config.generation
        engine, prompts = self._engine(model), self._prompts()
        settings = dict(sampling.settings)
        if settings["top_k"] is not None:  # no more are chosen from than there are
            settings["top_k"] = min(settings["top_k"], self._tokenizer.size)
        size = self._batch_size
        completions: list[str] = []
        tokens: list[list[int]] = []
        for start in range(0, len(prompts), size):
            batch = prompts[start : start + size]
            # All batches have one shape, so that the model is compiled once.
            output = engine(
                input_strings=batch + batch[-1:] * (size - len(batch)),
                max_generation_steps=generation.max_new_tokens,
                max_prompt_length=generation.max_prompt_length,
                eos_tokens=list(self._config.eos_tokens or self._tokenizer.end_ids),
                seed=sampling.seed + start,
                **settings,
            )
            completions.extend(output.text[: len(batch)])
            tokens.extend([int(i) for i in ids] for ids in output.tokens[: len(batch)])
            steps()
        return completions, tokens
