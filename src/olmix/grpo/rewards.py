"""The built-in rewards: how good an answer is, each a function of its own.

A reward gets ``prompts`` and ``completions`` and the columns of the dataset as keywords, all lists
of one length, and returns one number per completion. Those below are in [0, 1]; weights are in
`grpo.rewards`. The wanted format is ``<reasoning>...</reasoning><answer>...</answer>``.

The four are those of Tunix's GRPO example for Gemma (exact and approximate format, answer,
number), rescaled to [0, 1] so that weights mean what they say. How answers are compared is in
`answers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from olmix.errors import nearest
from olmix.grpo.answers import (
    INSIDE,
    AnswerKind,
    extract_answer,
    first_number,
    score_answer,
    true_number,
)

__all__ = [
    "REWARDS",
    "TAGS",
    "RewardFunction",
    "answer_reward",
    "approximate_format",
    "check_answer",
    "check_rewards",
    "exact_format",
    "numeric_answer",
]

TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
"""In the order in which an answer holds them."""

_EXACT = re.compile(
    rf"\s*<reasoning>{INSIDE}</reasoning>\s*<answer>({INSIDE})</answer>\s*", re.DOTALL
)

RewardFunction = Callable[..., Any]
"""Gets keywords; what it returns is checked where it is called."""


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


def answer_reward(kind: AnswerKind) -> RewardFunction:
    """Return `check_answer` for a kind of answers, `grpo.answer`."""

    def check(
        prompts: Sequence[str], completions: Sequence[str], answer: Sequence[str], **columns: Any
    ) -> list[float]:
        del prompts, columns
        return [
            score_answer(extract_answer(text), true, kind)
            for text, true in zip(completions, answer, strict=True)
        ]

    return check


check_answer = answer_reward("number")
"""1 for the true answer, 0.5 for a number within a tenth of it, and 0 otherwise."""


def numeric_answer(
    prompts: Sequence[str], completions: Sequence[str], answer: Sequence[str], **columns: Any
) -> list[float]:
    """Return 1 where the first number behind ``<answer>`` is the true one, closed tag or not."""
    del prompts, columns
    scores = []
    for text, true in zip(completions, answer, strict=True):
        _, tag, behind = text.partition("<answer>")
        given = first_number(behind) if tag else None
        scores.append(float(given is not None and given == true_number(true)))
    return scores


REWARDS: Mapping[str, RewardFunction] = {
    "exact_format": exact_format,
    "approximate_format": approximate_format,
    "check_answer": check_answer,
    "numeric_answer": numeric_answer,
}
"""The built-in rewards by their names in `grpo.rewards`."""


def check_rewards(rewards: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yield (name, what is wrong) of names and their functions, without importing anything."""
    for name, function in rewards.items():
        if function is None:
            if name not in REWARDS:
                guess = nearest(name, REWARDS)
                hint = f"did you mean `{guess}`? " if guess else ""
                yield (
                    name,
                    f"unknown reward; {hint}allowed: {', '.join(REWARDS)}, or "
                    f'{{function: "module:function", weight: 1.0}}',
                )
        elif not re.fullmatch(r"[\w.]+:\w+", function):
            yield name, f'found "{function}"; "module:function" is needed'
