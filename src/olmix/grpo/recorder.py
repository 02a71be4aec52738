"""Records of a run while it trains: `metrics.jsonl`, `samples.jsonl`, trackers, and warnings."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from olmix.errors import DivergedError
from olmix.grpo.config import RunConfig
from olmix.grpo.own_rewards import Reward
from olmix.records.run_writer import RunWriter, keep_steps

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

_PATIENCE = 3
"""Steps in a row after which a hopeless state is said."""

Array = np.ndarray[Any, Any]


class Recorder:
    """Collects a step's rollouts and writes a row when its updates are done.

    Args:
        run: writes the rows.
        config: of the run.
        rewards: that are computed.
        rate: update (from 0) to learning rate.
        on_step: called with each row.
        evaluate: step to what an evaluation after it measured; nothing after most of them.
    """

    def __init__(
        self,
        run: RunWriter,
        config: RunConfig,
        rewards: Sequence[Reward],
        *,
        rate: Callable[[int], float],
        on_step: Callable[[Mapping[str, float]], None] | None = None,
        evaluate: Callable[[int], Mapping[str, float]] | None = None,
    ) -> None:
        self._run, self._config = run, config
        self._samples_file = run.folder.path / "samples.jsonl"
        self._rate, self._on_step, self._evaluate = rate, on_step, evaluate
        self.rows: list[dict[str, float]] = []
        self._scores: dict[str, list[float | None]] = {reward.name: [] for reward in rewards}
        self._begin = time.monotonic()
        self._hopeless = {"clipped": 0, "constant": 0}
        self._abstained = False
        self._clear()

    def _clear(self) -> None:
        for scores in self._scores.values():
            scores.clear()
        self._tokens: list[Sequence[int]] = []
        self._ended: list[bool] = []
        self._totals: list[float] = []
        self._samples: list[dict[str, object]] = []
        self._rollout_end = self._begin

    def resume(self, step: int) -> None:
        """Continue after a step: rows of later ones are dropped."""
        self._begin = time.monotonic()
        self.rows = [
            {name: value for name, value in row.items() if isinstance(value, int | float)}
            for row in self._run.keep_steps(step)
        ]
        keep_steps(self._samples_file, step)

    def watch(self, reward: Reward) -> Callable[..., list[float]]:
        """Return the weighted reward as Tunix calls it, noting what it gave."""

        def weighted(prompts: Any, completions: Any, **columns: Any) -> list[float]:
            texts = {
                name: [str(value) if isinstance(value, np.str_) else value for value in values]
                for name, values in columns.items()
                if not isinstance(values, str)
            }
            noted = self._scores[reward.name]
            scores = reward.score(
                [str(text) for text in prompts],
                [str(text) for text in completions],
                texts,
                self._tokens[len(noted) : len(noted) + len(completions)],
            )
            noted.extend(scores)
            return [0.0 if score is None else reward.weight * score for score in scores]

        weighted.__name__ = reward.name
        return weighted

    def on_rollout(self, tokens: Sequence[Sequence[int]], ended: Sequence[bool]) -> None:
        """Take the tokens of each answer, and whether it ended by itself."""
        self._tokens.extend(tokens)
        self._ended.extend(ended)

    def on_answers(
        self, prompts: Sequence[str], completions: Sequence[str], totals: Array, advantages: Array
    ) -> None:
        """Take answers with their rewards; the first few are kept as samples."""
        offset = len(self._totals)
        self._totals.extend(float(total) for total in totals)
        self._rollout_end = time.monotonic()
        room = self._config.training.samples_per_step - len(self._samples)
        # One answer of each group first, so that samples show different prompts.
        groups = self._config.grpo.num_generations
        order = sorted(range(len(totals)), key=lambda index: (index % groups, index))
        for index in order[: max(room, 0)]:
            scores = {name: values[offset + index] for name, values in self._scores.items()}
            self._samples.append(
                {
                    "prompt": str(prompts[index]),
                    "completion": str(completions[index]),
                    "rewards": scores,
                    "reward": float(totals[index]),
                    "advantage": float(advantages[index]),
                    "tokens": len(self._tokens[offset + index]),
                    "ended": self._ended[offset + index],
                }
            )

    def on_step(self, step: int, measured: Mapping[str, float]) -> None:
        """Write the row of a finished step.

        Raises:
            DivergedError: the loss is not finite: no further step would mend it.
        """
        now = time.monotonic()
        groups = np.reshape(self._totals, (-1, self._config.grpo.num_generations))
        lengths = [len(tokens) for tokens in self._tokens]
        rollout, whole = self._rollout_end - self._begin, now - self._begin
        row: dict[str, float] = {
            "step": step,
            "reward": float(groups.mean()),
            **self._means(),
            "completion_length": float(np.mean(lengths)),
            "clipped_fraction": 1.0 - float(np.mean(self._ended)),
            "zero_variance_fraction": float(np.mean(np.ptp(groups, axis=1) < 1e-9)),
            "kl": measured["kl"],
            "entropy": measured["entropy"],
            "loss": measured["loss"],
            "grad_norm": measured["grad_norm"],
            "ratio_clipped_fraction": measured["pg_clipfrac"],
            "learning_rate": self._rate(step * self._config.grpo.num_iterations - 1),
            "tokens": sum(lengths),
            "rollout_s": rollout,
            "update_s": whole - rollout,
            "tokens_per_second": sum(lengths) / whole,
        }
        if self._evaluate is not None and math.isfinite(row["loss"]):
            row |= self._evaluate(step)
        self.rows.append(row)
        self._run.log(row)
        with self._samples_file.open("a", encoding="utf-8") as handle:
            handle.writelines(json.dumps({"step": step, **each}) + "\n" for each in self._samples)
        if not math.isfinite(row["loss"]):
            raise DivergedError(
                f"the training loss became {row['loss']} at step {step}. Lower "
                f"optimizer.learning_rate (now {self._config.optimizer.learning_rate:g}) or set "
                "training.gradient_clip."
            )
        self._warn(row)
        self._warn_of_abstentions()
        if self._on_step is not None:
            self._on_step(row)
        self._begin = time.monotonic()
        self._clear()

    def _warn_of_abstentions(self) -> None:
        """Say once that all rewards abstained from an answer, whose reward is then 0."""
        unscored = sum(
            all(s is None for s in each) for each in zip(*self._scores.values(), strict=True)
        )
        if unscored and not self._abstained:
            self._abstained = True
            logger.warning(
                "all rewards abstained on %d of %d answers in one step; their reward is 0",
                unscored,
                len(self._totals),
            )

    def _means(self) -> dict[str, float]:
        """Return the mean of each reward over the answers from which it did not abstain."""
        given = {n: [s for s in scores if s is not None] for n, scores in self._scores.items()}
        return {f"reward/{n}": float(np.mean(scores)) for n, scores in given.items() if scores}

    def _warn(self, row: Mapping[str, float]) -> None:
        """Say in words when nothing can be learned, once per state."""
        states = {
            "clipped": (
                row["clipped_fraction"] == 1.0,
                "all answers of the last %d steps were cut at %d tokens before they ended: raise "
                "generation.max_new_tokens, or check generation.eos_tokens",
                (_PATIENCE, self._config.generation.max_new_tokens),
            ),
            "constant": (
                row["zero_variance_fraction"] == 1.0,
                "in the last %d steps all answers to a prompt got the same reward (%.2f), so "
                "there was nothing to learn: raise grpo.num_generations or "
                "generation.temperature, or choose rewards that differ between answers",
                (_PATIENCE, row["reward"]),
            ),
        }
        for name, (holds, message, values) in states.items():
            self._hopeless[name] = self._hopeless[name] + 1 if holds else 0
            if self._hopeless[name] == _PATIENCE:
                logger.warning(message, *values)
