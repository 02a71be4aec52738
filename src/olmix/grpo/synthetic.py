"""Tasks that are made here: sums, copying and sorting, each with worked answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from olmix.grpo.questions import Question

__all__ = ["synthetic_questions"]

_NUM_LISTS = 3000
"""Lists of digits to copy or sort."""
_DIGITS = (3, 5)
"""Fewest and most digits of a list."""


def synthetic_questions(task: str | None = None) -> list[Question]:
    """Return the questions of a task: `sums` (the default), `copying` or `sorting`."""
    return _TASKS[task or "sums"]()


def _sums() -> list[Question]:
    """Return the sums and differences of two numbers below 20 with results from 0 to 38."""
    numbers = range(20)
    made = [
        (f"What is {a} {sign} {b}?", f"{a} {sign} {b} = {result}", str(result))
        for a in numbers
        for b in numbers
        for sign, result in (("+", a + b), ("-", a - b))
        if result >= 0
    ]
    return [Question(text, answer, {"reasoning": worked}) for text, worked, answer in made]


def _lists(verb: str, change: Callable[[str], str]) -> list[Question]:
    rng = np.random.default_rng(0)
    made: dict[str, None] = {}
    while len(made) < _NUM_LISTS:
        length = int(rng.integers(_DIGITS[0], _DIGITS[1] + 1))
        made.setdefault("".join(map(str, rng.integers(0, 10, length))))
    return [Question(f"{verb} {digits}.", change(digits), {"reasoning": digits}) for digits in made]


_TASKS: Mapping[str, Callable[[], list[Question]]] = {
    "sums": _sums,
    "copying": lambda: _lists("Copy", str),
    "sorting": lambda: _lists("Sort", lambda digits: "".join(sorted(digits))),
}
