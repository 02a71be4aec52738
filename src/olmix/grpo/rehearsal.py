"""A dry run: what can be tested of a run without training, network, JAX or files written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olmix.errors import DataError, OlmixError
from olmix.grpo.config import RunConfig
from olmix.grpo.curriculum import try_curriculum
from olmix.grpo.data import Dataset, is_local, load_dataset
from olmix.grpo.own_rewards import load_rewards, try_rewards
from olmix.grpo.prompt_lengths import local_tokenizer, shorter_questions
from olmix.grpo.questions import Question
from olmix.grpo.run_plan import RunPlan, data_warnings, describe_data, make_plan
from olmix.grpo.served_rollout import require_engine
from olmix.grpo.training_config import QuestionSource

__all__ = ["Rehearsal", "rehearse"]

_MADE_UP = Question("What is 3 + 4?", "7", {})
"""For rewards, where the data are read only when the run starts."""

Sources = tuple[QuestionSource, ...]


@dataclass(frozen=True)
class Rehearsal:
    """The findings of a dry run.

    Attributes:
        config: of the run.
        plan: its shapes, memory and steps.
        data: source of the questions and, where they could be read, how many there are.
        warnings: what is allowed but probably not intended.
    """

    config: RunConfig
    plan: RunPlan
    data: str
    warnings: tuple[str, ...]


def rehearse(configs: Sequence[RunConfig]) -> list[Rehearsal]:
    """Try the runs: read local data, measure prompts, and call each reward on two answers.

    Data that several runs share are read once.

    Raises:
        DataError: with what is wrong with data and rewards of all runs, each once.
    """
    read: dict[Sources, Dataset | OlmixError] = {}
    rehearsals: list[Rehearsal] = []
    problems: dict[str, None] = {}
    for config in configs:
        found, wrong = _rehearse(config, read)
        rehearsals.append(found)
        problems |= dict.fromkeys(wrong)
    if problems:
        raise DataError("\n".join(problems))
    return rehearsals


def _rehearse(
    config: RunConfig, read: dict[Sources, Dataset | OlmixError]
) -> tuple[Rehearsal, list[str]]:
    problems: list[str] = []
    warnings: list[str] = []
    dataset: Dataset | None = None
    try:
        dataset = _dataset(config, read)
        if dataset is not None:
            warnings.extend(data_warnings(dataset, config))
            try_curriculum(dataset, config)
    except OlmixError as error:
        problems.append(str(error))
    try:
        require_engine(config.generation.engine)
        rewards = load_rewards(config.grpo)
        if dataset is not None:
            try_rewards(rewards, dataset.train[0], config.grpo.answer_mark)
        elif not problems:
            # Columns are not known yet: only rewards that need none can be called.
            callable_now = [each for each in rewards if not each.may_need_columns]
            try_rewards(callable_now, _MADE_UP, config.grpo.answer_mark)
    except OlmixError as error:
        problems.append(str(error))
    plan = make_plan(config)
    data = describe_data(config, dataset)
    return Rehearsal(config, plan, data, (*plan.warnings, *warnings)), problems


def _dataset(config: RunConfig, read: dict[Sources, Dataset | OlmixError]) -> Dataset | None:
    if not is_local(config.data):
        return None
    sources = config.data.sources
    if sources not in read:
        try:
            read[sources] = load_dataset(config.data)
        except OlmixError as error:
            read[sources] = error
    dataset = read[sources]
    if isinstance(dataset, OlmixError):
        raise dataset
    tokenizer = local_tokenizer(config)
    return dataset if tokenizer is None else shorter_questions(dataset, tokenizer, config)
