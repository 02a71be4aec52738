r"""Whether a given answer is the true one: the same for rewards and evaluation.

`grpo.answer` chooses how answers are compared:

- ``number``: both are one number, exactly equal, as `quantities` reads it: ``1/2`` is ``0.5`` and
  ``50%``; a unit, a currency or ``x =`` may stand beside it.
- ``math``: the same, and else what math-verify holds for equal: ``2x+3`` is ``3+2x``.
- ``exact``: the same text, letter case, spaces and LaTeX's dollars apart.
- ``choice``: the same letter, number or yes, no, true, false, as in ``B``, ``(B)`` or
  ``B. because ...``.

What cannot be read in that way counts only as the same text.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Literal

from olmix.errors import MissingPackageError
from olmix.grpo.answer_text import plain_text, without_lead
from olmix.grpo.quantities import Quantity, first_quantity, read_quantity

__all__ = ["AnswerKind", "first_number_is", "is_readable", "require_verifier", "score_answer"]

AnswerKind = Literal["number", "math", "exact", "choice"]

_CHOICE = re.compile(
    r"(?P<open>[\[({<])?(?P<key>[a-z]|\d{1,2}|yes|no|true|false)(?(open)[\])}>])"
    r"(?P<behind>\).*|[.:](?:\s.*)?|,.*|\s-\s.*|(?(open).*|))"
)
_ANOTHER = re.compile(r"\W*(?:(?:or|and|nor)\b|[a-z](?:[).,:]|$))|,\s*\d")
"""Behind a choice: one more."""
_FUNCTION = re.compile(
    r"(?<![\\a-z])(sqrt|pi|sin|cos|tan|cot|sec|csc|log|ln|exp|arcsin|arccos|arctan|infty|theta"
    r"|alpha|beta|min|max|gcd)(?![a-z])"
)
_INFINITY = re.compile(r"(?<![\\a-z])inf(?:inity)?(?![a-z])")
_ROOT = re.compile(r"(?<![\\a-z])sqrt\(([^()]*)\)")
_SET = re.compile(r"\{([^{}]*)\}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]+\}")
_UNREADABLE = re.compile(
    r"(?<![\\a-z])[a-z]{3,}|[:%]"  # words, ratios, parts of a hundred
    r"|\\overline\{\d|\d_\{?\d|\d \d"  # repeated decimals, other bases, mixed numbers
    r"|\d{7,}\s*!|!\s*!|\^[^+\-=,]*\^|\*\*[^+\-=,]*\*\*|\^\s*\{?\s*\d{4,}"  # too large
)
"""What math-verify's parser reads as something else, or never finishes."""
_LONGEST = 300
"""Letters of the longest answer that is read as mathematics."""
_TIME_S = 5
"""Seconds after which two expressions count as different."""


def score_answer(given: str | None, true: str, kind: AnswerKind) -> float:
    """Return 1 for the true answer, 0.5 for a number within a tenth of it, and 0 otherwise.

    Numbers that are near count half with ``number`` and ``math`` alone.
    """
    if given is None:
        return 0.0
    if plain_text(given) == plain_text(true):
        return 1.0
    if kind == "exact":
        return 0.0
    if kind == "choice":
        letter = _read_choice(true)
        return float(letter is not None and _read_choice(given) == letter)
    found, wanted = read_quantity(given), read_quantity(true)
    if found is not None and wanted is not None:
        return found.closeness(wanted)
    if (found or wanted) and re.search(r"\d ?[a-z]", plain_text(true if wanted is None else given)):
        return 0.0  # a multiple of a letter, which the verifier may read as a unit
    return float(kind == "math" and _same_mathematics(given, true))


def first_number_is(text: str, true: str) -> bool:
    """Whether the first number in a text is that of a true answer, whatever follows it."""
    found, wanted = first_quantity(text), read_quantity(true)
    if found is None or wanted is None:
        return False
    return found.closeness(Quantity(wanted.value, is_percentage=wanted.is_percentage)) == 1.0


def is_readable(true: str, kind: AnswerKind) -> bool:
    """Whether a true answer can be met by more than its own text."""
    if kind == "choice":
        return _read_choice(true) is not None
    if kind == "number":
        return read_quantity(true) is not None
    return True


def require_verifier(kind: AnswerKind) -> None:
    """Raise unless the package that compares answers of a kind is installed.

    Raises:
        MissingPackageError: with the command that installs it.
    """
    if kind != "math":
        return
    try:
        import math_verify  # noqa: F401
    except ImportError:
        raise MissingPackageError(["math-verify"], "grpo", "grpo.answer=math") from None


def _read_choice(text: str) -> str | None:
    first_line = without_lead(plain_text(text.strip().partition("\n")[0]))
    found = _CHOICE.fullmatch(first_line)
    return found["key"] if found and not _ANOTHER.match(found["behind"]) else None


def _same_mathematics(given: str, true: str) -> bool:
    """Whether math-verify holds two expressions for equal.

    It cannot be interrupted outside the main thread. What its parser reads as something else is not
    given to it, nor are pairs whose difference it does not see.
    """
    texts = [_for_parser(text) for text in (true, given)]
    if any(len(t) > _LONGEST or _UNREADABLE.search(_ENVIRONMENT.sub("", t)) for t in texts):
        return False
    shapes = {_shape(text) for text in texts}
    if len({text.count("'") for text in texts}) > 1 or ("pair" in shapes and "list" in shapes):
        return False
    import math_verify

    limit = _TIME_S if threading.current_thread() is threading.main_thread() else None
    parsed: list[Any] = [
        math_verify.parse(f"${text}$", parsing_timeout=limit, raise_on_error=False)
        for text in texts
    ]
    if not all(parsed):
        return False
    return bool(
        math_verify.verify(
            *parsed, allow_set_relation_comp=True, timeout_seconds=limit, raise_on_error=False
        )
    )


def _for_parser(text: str) -> str:
    """Return an expression as LaTeX, where it is written as in programs or by hand."""
    text = _ROOT.sub(r"\\sqrt{\1}", plain_text(text))
    text = _FUNCTION.sub(r"\\\1", _INFINITY.sub(r"\\infty", text))
    plain_set = _SET.fullmatch(text)
    return f"\\{{{plain_set[1]}\\}}" if plain_set else text


def _shape(text: str) -> Literal["pair", "list", ""]:
    """Return how several values are listed: in an order, as in (1, 2), or without, as in {1, 2}."""
    if "," not in text or re.search(r"[<>]|\\in\b|\\[lg]e|\\begin", text):
        return ""
    return "pair" if text[0] == "(" and text[-1] == ")" else "list" if text[0] != "[" else ""
