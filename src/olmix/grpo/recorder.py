"""What a run writes while it trains: `metrics.jsonl`, `samples.jsonl`, trackers, and warnings."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from olmix.grpo.config import RunConfig
from olmix.grpo.rewards import Reward
from olmix.records.trackers import Trackers

__all__ = ["Recorder", "keep_steps"]

logger = logging.getLogger(__name__)

_PATIENCE = 3
"""Steps in a row after which a hopeless state is said."""

Array = np.ndarray[Any, Any]


def keep_steps(path: Path, last: int) -> list[dict[str, Any]]:
    """Drop lines of steps after `last`, and a line cut off by a crash; return what is kept."""
    from olmix.text.files import json_lines, write_text

    if not path.is_file():
        return []
    kept = []
    for _, line in json_lines(path.read_text(encoding="utf-8")):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record.get("step", 0) <= last:
            kept.append(record)
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
    return kept


class Recorder:
    """Collects a step's rollouts and writes a row when its updates are done.

    Args:
        folder: of the run.
        config: of the run.
        rewards: that are computed.
        trackers: that get each row too.
        rate: update (from 0) to learning rate.
        on_step: called with each row.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        rewards: Sequence[Reward],
        trackers: Trackers,
        *,
        rate: Callable[[int], float],
        on_step: Callable[[Mapping[str, float]], None] | None = None,
    ) -> None:
        self._folder, self._config, self._trackers = folder, config, trackers
        self._rate, self._on_step = rate, on_step
        self.rows: list[dict[str, float]] = []
        self._scores: dict[str, list[float]] = {reward.name: [] for reward in rewards}
        self._begin = time.monotonic()
        self._hopeless = {"clipped": 0, "constant": 0}
        self._clear()

    def _clear(self) -> None:
        for scores in self._scores.values():
            scores.clear()
        self._lengths: list[int] = []
        self._ended: list[bool] = []
        self._totals: list[float] = []
        self._samples: list[dict[str, Any]] = []
        self._rollout_end = self._begin

    def resume(self, step: int) -> None:
        """Go on after a step, now: rows of later ones are dropped."""
        self._begin = time.monotonic()
        self.rows = keep_steps(self._folder / "metrics.jsonl", step)
        keep_steps(self._folder / "samples.jsonl", step)

    def watch(self, reward: Reward) -> Callable[..., list[float]]:
        """Return the weighted reward as Tunix calls it, noting what it gave."""

        def weighted(prompts: Any, completions: Any, **columns: Any) -> list[float]:
            texts = {
                name: [str(value) if isinstance(value, np.str_) else value for value in values]
                for name, values in columns.items()
                if not isinstance(values, str)
            }
            given = reward.function(
                prompts=[str(text) for text in prompts],
                completions=[str(text) for text in completions],
                **texts,
            )
            scores = [float(score) for score in given]
            self._scores[reward.name].extend(scores)
            return [reward.weight * score for score in scores]

        weighted.__name__ = reward.name
        return weighted

    def on_rollout(self, lengths: Sequence[int], ended: Sequence[bool]) -> None:
        """Take the tokens of each answer, and whether it ended by itself."""
        self._lengths.extend(lengths)
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
                    "tokens": self._lengths[offset + index],
                    "ended": self._ended[offset + index],
                }
            )

    def on_step(self, step: int, measured: Mapping[str, float]) -> None:
        """Write the row of a finished step."""
        now = time.monotonic()
        groups = np.reshape(self._totals, (-1, self._config.grpo.num_generations))
        rollout, whole = self._rollout_end - self._begin, now - self._begin
        row: dict[str, float] = {
            "step": step,
            "reward": float(groups.mean()),
            **{f"reward/{name}": float(np.mean(s)) for name, s in self._scores.items()},
            "completion_length": float(np.mean(self._lengths)),
            "clipped_fraction": 1.0 - float(np.mean(self._ended)),
            "zero_variance_fraction": float(np.mean(np.ptp(groups, axis=1) < 1e-9)),
            "kl": measured["kl"],
            "loss": measured["loss"],
            "grad_norm": measured["grad_norm"],
            "ratio_clipped_fraction": measured["pg_clipfrac"],
            "learning_rate": self._rate(step * self._config.grpo.num_iterations - 1),
            "tokens": sum(self._lengths),
            "rollout_s": rollout,
            "update_s": whole - rollout,
            "tokens_per_second": sum(self._lengths) / whole,
        }
        self.rows.append(row)
        self._append("metrics.jsonl", [row])
        self._append("samples.jsonl", [{"step": step, **each} for each in self._samples])
        self._trackers.log(step, {name: value for name, value in row.items() if name != "step"})
        self._warn(row)
        if self._on_step is not None:
            self._on_step(row)
        self._begin = now
        self._clear()

    def _append(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        with (self._folder / name).open("a", encoding="utf-8") as handle:
            handle.write("".join(json.dumps(record) + "\n" for record in records))

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
                "in the last %d steps all answers to a prompt got the same reward (%.2f), so there "
                "was nothing to learn: raise grpo.num_generations or generation.temperature, or "
                "choose rewards that tell the answers apart",
                (_PATIENCE, row["reward"]),
            ),
        }
        for name, (holds, message, values) in states.items():
            self._hopeless[name] = self._hopeless[name] + 1 if holds else 0
            if self._hopeless[name] == _PATIENCE:
                logger.warning(message, *values)
