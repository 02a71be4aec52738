r"""How an answer is marked in a completion (`grpo.answer_mark`): its place and its format.

- ``tags``: ``<reasoning>...</reasoning><answer>...</answer>`` and nothing else.
- ``boxed``: some text, and ``\boxed{...}`` once, at the end.
- ``hashes``: some text, and a last line ``#### ...``, as in GSM8K.
- ``none``: the completion is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

__all__ = [
    "TAGS",
    "AnswerMark",
    "behind_mark",
    "extract_answer",
    "has_exact_format",
    "instruction",
    "last_boxed",
    "pieces",
    "write_answer",
]

AnswerMark = Literal["tags", "boxed", "hashes", "none"]

TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
"""In the order in which an answer holds them."""
_BOXED = "\\boxed{"
_HASHES = "####"
_PIECES: dict[AnswerMark, tuple[str, ...]] = {
    "tags": TAGS,
    "boxed": (_BOXED,),
    "hashes": (_HASHES,),
    "none": (),
}
_INSIDE = r"(?:(?!</?(?:reasoning|answer)>).)+"
"""Text between two tags, no tag in it."""
_ANSWER = re.compile(rf"<answer>({_INSIDE})</answer>", re.DOTALL)
_EXACT = re.compile(
    rf"\s*<reasoning>{_INSIDE}</reasoning>\s*<answer>{_INSIDE}</answer>\s*", re.DOTALL
)

_INSTRUCTIONS: dict[AnswerMark, str] = {
    "tags": (
        "Solve the problem. Think about it first and write how you solve it between <reasoning> "
        "and </reasoning>. Then write the answer, which is a single number or word, between "
        "<answer> and </answer>."
    ),
    "boxed": (
        "Solve the problem. Think about it first and write how you solve it. Then write the "
        "answer, and nothing behind it, as \\boxed{answer}."
    ),
    "hashes": (
        "Solve the problem. Think about it first and write how you solve it. Then write the "
        "answer, and nothing else, on a last line behind ####."
    ),
    "none": "",
}
_SHORT: dict[AnswerMark, str] = {
    "tags": "Use <reasoning> and <answer>.",
    "boxed": "Use \\boxed{}.",
    "hashes": "Use ####.",
    "none": "",
}
"""For the built-in tokenizer, where every letter is a token."""


def instruction(mark: AnswerMark, *, short: bool = False) -> str:
    """Return what asks a model for answers in the format."""
    return (_SHORT if short else _INSTRUCTIONS)[mark]


def pieces(mark: AnswerMark) -> tuple[str, ...]:
    """Return what an answer in the format holds exactly once each."""
    return _PIECES[mark]


def extract_answer(completion: str, mark: AnswerMark = "tags") -> str | None:
    """Return the marked answer, the last one where there are several."""
    if mark == "tags":
        found = _ANSWER.findall(completion)
        return found[-1].strip() if found else None
    if mark == "boxed":
        return last_boxed(completion)
    behind = completion.rpartition(_HASHES) if mark == "hashes" else ("", "-", completion)
    text = behind[2].strip()
    return (
        (text.splitlines()[0].strip() if mark == "hashes" else text) if behind[1] and text else None
    )


def behind_mark(completion: str, mark: AnswerMark) -> str | None:
    """Return all text behind the first place where an answer begins, marked to its end or not."""
    begin = {"tags": "<answer>", "boxed": _BOXED, "hashes": _HASHES, "none": ""}[mark]
    at = completion.find(begin)
    return None if at < 0 else completion[at + len(begin) :]


def has_exact_format(completion: str, mark: AnswerMark = "tags") -> bool:
    """Whether a completion is reasoning and a marked answer and nothing else."""
    if mark == "tags":
        return _EXACT.fullmatch(completion) is not None
    if mark == "none":
        return bool(completion.strip())
    before, piece, behind = completion.partition(_PIECES[mark][0])
    if not piece or piece in behind or not before.strip().strip("$"):
        return False
    if mark == "hashes":
        return bool(behind.strip()) and "\n" not in behind.strip()
    spans = list(_boxed_spans(completion))
    return last_boxed(completion) is not None and not completion[spans[-1][1] + 1 :].strip(" \n$.")


def write_answer(reasoning: str, answer: str, mark: AnswerMark) -> str:
    """Return a completion in the exact format."""
    return {
        "tags": f"<reasoning>{reasoning}</reasoning><answer>{answer}</answer>",
        "boxed": f"{reasoning} {_BOXED}{answer}}}",
        "hashes": f"{reasoning}\n{_HASHES} {answer}",
        "none": answer,
    }[mark]


def last_boxed(text: str) -> str | None:
    r"""Return what stands in the last ``\boxed{...}`` whose braces close."""
    spans = list(_boxed_spans(text))
    return text[slice(*spans[-1])].strip() or None if spans else None


def _boxed_spans(text: str) -> Iterator[tuple[int, int]]:
    for found in re.finditer(re.escape(_BOXED), text):
        depth = 1
        for index in range(found.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[index], 0)
            if not depth:
                yield found.end(), index
                break
