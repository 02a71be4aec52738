"""Rewards: how good an answer is, each a function of its own.

A reward gets ``prompts`` and ``completions`` and the columns of the dataset as keywords, all lists
of one length, and returns one number per completion. Those below are in [0, 1]; weights are in
`grpo.rewards`. The wanted format is ``<reasoning>...</reasoning><answer>...</answer>``.

The four are those of Tunix's GRPO example for Gemma (exact and approximate format, answer,
number), rescaled to [0, 1] so that weights mean what they say.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from olmix.errors import ConfigError, Problem, nearest

__all__ = [
    "REWARDS",
    "TAGS",
    "Reward",
    "approximate_format",
    "check_answer",
    "check_rewards",
    "exact_format",
    "extract_answer",
    "load_rewards",
    "numeric_answer",
    "read_number",
]

TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
"""In the order in which an answer holds them."""

_INSIDE = r"(?:(?!</?(?:reasoning|answer)>).)+"
_EXACT = re.compile(
    rf"\s*<reasoning>{_INSIDE}</reasoning>\s*<answer>({_INSIDE})</answer>\s*", re.DOTALL
)
_ANSWER = re.compile(rf"<answer>({_INSIDE})</answer>", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")

RewardFunction = Callable[..., Sequence[float]]


def extract_answer(completion: str) -> str | None:
    """Return what stands between the last pair of answer tags, if there is one."""
    found = _ANSWER.findall(completion)
    return found[-1].strip() if found else None


def read_number(text: str) -> Decimal | None:
    """Return the last number in a text; commas between thousands are passed over."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    try:
        return Decimal(found[-1].replace(",", ""))
    except InvalidOperation:
        return None


def exact_format(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    """Return 1 where a completion is reasoning and answer in their tags and nothing else."""
    del prompts, columns
    return [float(_EXACT.fullmatch(text) is not None) for text in completions]


def approximate_format(
    prompts: Sequence[str], completions: Sequence[str], **columns: Any
) -> list[float]:
    """Return the share of the four tags that occur exactly once."""
    del prompts, columns
    return [sum(text.count(tag) == 1 for tag in TAGS) / len(TAGS) for text in completions]


def check_answer(
    prompts: Sequence[str], completions: Sequence[str], answer: Sequence[str], **columns: Any
) -> list[float]:
    """Return 1 for the very answer, 0.5 for a number within 10 % of it, and 0 otherwise.

    Where the answers are words, only the very answer counts; letter case does not.
    """
    del prompts, columns
    scores = []
    for text, true in zip(completions, answer, strict=True):
        given = extract_answer(text)
        if given is None:
            scores.append(0.0)
        elif given.casefold() == true.strip().casefold():
            scores.append(1.0)
        else:
            scores.append(_closeness(read_number(given), read_number(true)))
    return scores


def _closeness(given: Decimal | None, true: Decimal | None) -> float:
    """Return 1 for equal numbers, 0.5 within a tenth, 0 otherwise."""
    if given is None or true is None:
        return 0.0
    if given == true:
        return 1.0
    return 0.5 if abs(given - true) <= abs(true) / 10 else 0.0


def numeric_answer(
    prompts: Sequence[str], completions: Sequence[str], answer: Sequence[str], **columns: Any
) -> list[float]:
    """Return 1 where the first number behind ``<answer>`` is the true one, closed tag or not."""
    del prompts, columns
    scores = []
    for text, true in zip(completions, answer, strict=True):
        _, tag, behind = text.partition("<answer>")
        found = _NUMBER.search(behind) if tag else None
        given = None if found is None else read_number(found[0])
        scores.append(float(given is not None and given == read_number(true)))
    return scores


REWARDS: Mapping[str, RewardFunction] = {
    "exact_format": exact_format,
    "approximate_format": approximate_format,
    "check_answer": check_answer,
    "numeric_answer": numeric_answer,
}
"""The built-in rewards by their names in `grpo.rewards`."""


@dataclass(frozen=True)
class Reward:
    """A reward with its weight."""

    name: str
    function: RewardFunction
    weight: float


def check_rewards(rewards: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, what is wrong) without importing anything."""
    for name, entry in rewards.items():
        if entry.function is None:
            if name not in REWARDS:
                guess = nearest(name, REWARDS)
                hint = f"did you mean `{guess}`? " if guess else ""
                yield (
                    name,
                    f"unknown reward; {hint}allowed: {', '.join(REWARDS)}, or "
                    f'{{function: "module:function", weight: 1.0}}',
                )
        elif not re.fullmatch(r"[\w.]+:\w+", entry.function):
            yield name, f'found "{entry.function}"; "module:function" is needed'


def load_rewards(rewards: Mapping[str, Any]) -> list[Reward]:
    """Import the rewards of a config.

    Raises:
        ConfigError: a module or function is missing, or does not take completions; all at once.
    """
    loaded, problems = [], []
    for name, entry in rewards.items():
        try:
            function = REWARDS[name] if entry.function is None else _import(entry.function)
        except (ImportError, AttributeError, TypeError) as error:
            problems.append(Problem(f"grpo.rewards.{name}", f"{entry.function}: {error}"))
            continue
        loaded.append(Reward(name, function, entry.weight))
    if problems:
        raise ConfigError(problems)
    return loaded


def _import(path: str) -> RewardFunction:
    module, _, name = path.partition(":")
    function: RewardFunction = getattr(importlib.import_module(module), name)
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    if not takes_all and not any(each.name == "completions" for each in parameters):
        raise TypeError("a reward takes `prompts`, `completions` and `**columns`")
    return function
