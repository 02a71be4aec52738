"""Which questions are trained on, and in which order: by how often the base model is right."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.errors import DataError
from olmix.grpo.config import RunConfig
from olmix.grpo.data import Dataset, pass_rates
from olmix.grpo.questions import Question
from olmix.grpo.training_config import CurriculumConfig
from olmix.text.files import read_json, write_json

__all__ = ["Lesson", "choose_questions", "try_curriculum"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """The questions that a run trains on.

    Attributes:
        dataset: the questions, those left out that the curriculum leaves out.
        easiness: question to pass rate, where a run begins with the easiest ones.
    """

    dataset: Dataset
    easiness: Callable[[Question], float] | None = None


def choose_questions(
    dataset: Dataset, base: object, tokenizer: object, config: RunConfig, checkpoint_dir: Path
) -> Lesson:
    """Choose and order the questions to train on, as `training.curriculum` says.

    Rates that are measured are kept beside the checkpoints, so that a resumed run has the same.

    Raises:
        DataError: a rate is missing or no share, or no question is left.
    """
    chosen = config.training.curriculum
    if chosen is None:
        return Lesson(dataset)
    if chosen.column is not None:
        rates = pass_rates(dataset.train, chosen.column)
    else:
        rates = _measured(dataset, base, tokenizer, config, checkpoint_dir / "pass_rates.json")
    kept = _chosen(dataset, rates, chosen)
    logger.info(
        "curriculum: %d of %d questions have pass rates from %g to %g",
        len(kept.train), len(dataset.train), chosen.min_pass_rate, chosen.max_pass_rate,
    )  # fmt: skip
    if chosen.order == "shuffled":
        return Lesson(kept)
    return Lesson(kept, easiness=lambda question: rates[question.key])


def try_curriculum(dataset: Dataset, config: RunConfig) -> None:
    """Choose by the pass rates of a column, which are known before there is a model.

    Raises:
        DataError: a rate is missing or no share, or no question is left.
    """
    chosen = config.training.curriculum
    if chosen is not None and chosen.column is not None:
        _chosen(dataset, pass_rates(dataset.train, chosen.column), chosen)


def _chosen(dataset: Dataset, rates: Mapping[str, float], chosen: CurriculumConfig) -> Dataset:
    low, high = chosen.min_pass_rate, chosen.max_pass_rate
    return dataset.chosen(lambda question: low <= rates[question.key] <= high)


def _measured(
    dataset: Dataset, base: Any, tokenizer: Any, config: RunConfig, file: Path
) -> Mapping[str, float]:
    if file.is_file():
        saved = read_json(file)
        rates = saved if isinstance(saved, dict) else {}
        if all(isinstance(rates.get(each.key), float | int) for each in dataset.train):
            return rates
    from olmix.grpo.asking import Asker, Sampling

    generation, chosen = config.generation, config.training.curriculum
    sampling = Sampling(
        {n: getattr(generation, n) for n in ("temperature", "top_p", "top_k")},
        num_samples=1 if chosen is None else chosen.num_samples,
        batch_size=config.evaluation.batch_size,
        seed=config.seed,
    )
    questions = list({question.key: question for question in dataset.train}.values())
    logger.info("curriculum: the base model answers %d questions", len(questions))
    found = Asker(questions, tokenizer, config, sampling).measure(base).values
    if "accuracy" not in found:
        raise DataError(
            "training.curriculum: pass rates are measured with true answers, and the data have "
            "none; set training.curriculum.column"
        )
    rates = {q.key: float(rate) for q, rate in zip(questions, found["accuracy"], strict=True)}
    write_json(file, rates)
    return rates
