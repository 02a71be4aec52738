"""The built-in rewards: how good an answer is, each a function of its own.

A reward gets ``prompts`` and ``completions`` and the columns of the dataset as keywords, all lists
of one length, and returns one number per completion, or `None` to abstain. Those below are in
[0, 1] and abstain where the data have no true answer; weights are in `grpo.rewards`. The wanted
format is that of `grpo.answer_mark`.

The four are those of Tunix's GRPO example for Gemma (exact and approximate format, answer,
number), rescaled to [0, 1] so that weights mean what they say. How answers are compared is in
`answers`, how they are marked in `marks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from olmix.errors import nearest
from olmix.grpo.answers import AnswerKind, first_number_is, score_answer
from olmix.grpo.marks import (
    AnswerMark,
    behind_mark,
    extract_answer,
    has_exact_format,
    pieces,
)

__all__ = [
    "NEED_ANSWERS",
    "REWARDS",
    "RewardFunction",
    "approximate_format",
    "built_in_rewards",
    "check_answer",
    "check_rewards",
    "exact_format",
    "numeric_answer",
]

_Texts = Sequence[str]
_Answers = Sequence[str | None]
RewardFunction = Callable[..., Any]
"""Gets keywords; what it returns is checked where it is called."""

NEED_ANSWERS = ("check_answer", "numeric_answer")
"""Rewards that compare with a true answer."""


def built_in_rewards(kind: AnswerKind, mark: AnswerMark) -> Mapping[str, RewardFunction]:
    """Return the built-in rewards for `grpo.answer` and `grpo.answer_mark`, by name."""
    wanted = pieces(mark)

    def exact_format(prompts: _Texts, completions: _Texts, **columns: Any) -> list[float]:
        """Return 1 where a completion is reasoning and a marked answer and nothing else."""
        del prompts, columns
        return [float(has_exact_format(text, mark)) for text in completions]

    def approximate_format(prompts: _Texts, completions: _Texts, **columns: Any) -> list[float]:
        """Return the share of the marks that occur exactly once."""
        del prompts, columns
        if not wanted:
            return [1.0] * len(completions)
        return [sum(text.count(p) == 1 for p in wanted) / len(wanted) for text in completions]

    def check_answer(
        prompts: _Texts, completions: _Texts, answer: _Answers, **columns: Any
    ) -> list[float | None]:
        """Return 1 for the true answer, 0.5 for a number within a tenth of it, and else 0."""
        del prompts, columns
        return [
            None if true is None else score_answer(extract_answer(text, mark), true, kind)
            for text, true in zip(completions, answer, strict=True)
        ]

    def numeric_answer(
        prompts: _Texts, completions: _Texts, answer: _Answers, **columns: Any
    ) -> list[float | None]:
        """Return 1 where the first number behind the mark is the true one, ended or not."""
        del prompts, columns
        return [
            None if true is None else float(first_number_is(behind_mark(text, mark) or "", true))
            for text, true in zip(completions, answer, strict=True)
        ]

    made = (exact_format, approximate_format, check_answer, numeric_answer)
    return {each.__name__: each for each in made}


REWARDS = built_in_rewards("number", "tags")
"""The built-in rewards with the defaults, by their names in `grpo.rewards`."""


exact_format = REWARDS["exact_format"]
approximate_format = REWARDS["approximate_format"]
check_answer = REWARDS["check_answer"]
numeric_answer = REWARDS["numeric_answer"]


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
