r"""Whether a given answer is the true one: the same for rewards and evaluation.

`grpo.answer` chooses how answers are compared:

- ``number``: both are one number, exactly equal; ``1/2`` is ``0.5``, and a currency, a percent
  sign, a unit or ``x =`` may stand beside it.
- ``math``: the same, and else what math-verify holds for equal: ``2x+3`` is ``3+2x``.
- ``exact``: the same text, letter case, spaces and LaTeX's dollars apart.
- ``choice``: the same letter, as in ``B``, ``(B)`` or ``B. because ...``.

What cannot be read in that way counts only as the same text.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from olmix.errors import MissingPackageError

__all__ = [
    "AnswerKind",
    "first_number",
    "is_readable",
    "read_number",
    "require_verifier",
    "score_answer",
    "true_number",
]

AnswerKind = Literal["number", "math", "exact", "choice"]

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)(?P<top>{_DIGITS})(?:[eE](?P<power>[-+]?\d{{1,3}}))?"
    rf"(?:\s*/\s*(?P<below>{_DIGITS}))?"
)
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([-+]?\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_BOXED = re.compile(r"\\boxed\s*\{(.*)\}", re.DOTALL)
_TEXT = re.compile(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}")
_NAMED = re.compile(r"([a-z]\w?)\s*=\s*", re.IGNORECASE)
_CURRENCY = "$€£¥"
_UNIT = re.compile(r"%|\s?[^\W\d_]{2,}\.?(?:[ /][^\W\d_]+)*")
_SCALES = frozenset("hundred thousand million billion trillion dozen half quarter percent".split())
_CHOICE = re.compile(
    r"(?:(?:answer|option|choice)\s*(?:is)?:?\s*)?\(?([a-z])(?:[).:](?:\s.*)?)?", re.I
)
_WORD = re.compile(r"(?<![\\a-z])[a-z]{3,}", re.IGNORECASE)
_FUNCTION = re.compile(
    r"(?<![\\a-z])(sqrt|pi|sin|cos|tan|cot|sec|csc|log|ln|exp|arcsin|arccos|arctan|infty|theta"
    r"|alpha|beta|min|max|gcd)(?![a-z])",
    re.IGNORECASE,
)
_EXPLODES = re.compile(r"\d{7,}\s*!|!\s*!|\^[^+\-=,]*\^|\*\*[^+\-=,]*\*\*|\^\s*\{?\s*\d{4,}")
_ROOT = re.compile(r"(?<![\\a-z])sqrt\(([^()]*)\)")
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
    if _plain(given) == _plain(true):
        return 1.0
    if kind == "exact":
        return 0.0
    if kind == "choice":
        letter = _read_choice(true)
        return float(letter is not None and _read_choice(given) == letter)
    found, wanted = _read_quantity(given), _read_quantity(true)
    if found is not None and wanted is not None:
        return found.closeness(wanted)
    return float(kind == "math" and _same_mathematics(given, true))


def is_readable(true: str, kind: AnswerKind) -> bool:
    """Whether a true answer can be met by more than its own text."""
    if kind == "choice":
        return _read_choice(true) is not None
    if kind == "number":
        return _read_quantity(true) is not None
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


def read_number(text: str) -> Fraction | None:
    """Return the number that a text is: ``-1,200.50``, ``1e5``, ``1/2`` or LaTeX's fraction."""
    fraction = _FRACTION.fullmatch(text.strip())
    if fraction is not None:
        return Fraction(int(fraction[1]), int(fraction[2])) if int(fraction[2]) else None
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    below = Fraction((found["below"] or "1").replace(",", ""))
    if not below or len(text) > _LONGEST:
        return None
    value = Fraction(found["top"].replace(",", "")) / below
    value *= Fraction(10) ** int(found["power"] or 0)
    return -value if found["sign"] == "-" else value


def true_number(text: str) -> Fraction | None:
    """Return the number of a true answer, which may have a unit, a currency or a name."""
    quantity = _read_quantity(text)
    return None if quantity is None else quantity.value


def first_number(text: str) -> Fraction | None:
    """Return the first number in a text, unless it is a part of something longer such as 2x."""
    start = re.search(r"\\[dt]?frac|\.?\d", text)
    if start is None:
        return None
    begin = start.start()
    begin -= text[:begin].endswith(("-", "+"))
    found = _FRACTION.match(text, begin) or _NUMBER.match(text, begin)
    if found is None or re.match(r"\s*[\^*/+=(]|[\w:]", text[found.end() :]):
        return None
    if re.search(r"[\w^*/(:,]$", text[:begin]):
        return None
    return read_number(found[0])


def _plain(text: str) -> str:
    """Return a text in the form in which texts are compared."""
    text = unicodedata.normalize("NFKC", text).strip()
    boxed = _BOXED.fullmatch(text.strip("$ "))
    text = boxed[1] if boxed else text
    text = _TEXT.sub(r"\1", text).replace("\u2212", "-").strip(" \n").removesuffix(".")
    text = text[2:-2] if len(text) > 4 and text[:2] == text[-2:] == "**" else text
    text = " ".join(text.split()).removesuffix(".")
    if len(text) > 2 and text[0] == text[-1] == "$":
        text = text.strip("$").strip()
    return re.sub(r"\s*([(),\[\]{}=+*/^<>])\s*", r"\1", text).casefold()


@dataclass(frozen=True)
class _Quantity:
    """A number with its name (as in ``x = 3``) and its unit, empty where there is none."""

    value: Fraction
    name: str
    unit: str

    def closeness(self, true: _Quantity) -> float:
        """Return 1 for equal numbers, 0.5 within a tenth, 0 otherwise and for other things."""
        pairs = ((self.unit, true.unit), (self.name, true.name))
        if any(mine and others and mine != others for mine, others in pairs):
            return 0.0
        if self.value == true.value:
            return 1.0
        return 0.5 if abs(self.value - true.value) <= abs(true.value) / 10 else 0.0


def _read_quantity(text: str) -> _Quantity | None:
    """Read a text that is one number, with a currency, a unit or a name before or behind it."""
    text = _plain(text).replace("\\$", "").replace("\\%", "%")
    named = _NAMED.match(text)
    text = text[named.end() :] if named else text
    sign = "-" if text.startswith("-") and text[1:2] in tuple(_CURRENCY) else ""
    text = sign + text[len(sign) :].strip(_CURRENCY + " ")
    found = _FRACTION.match(text) or _NUMBER.match(text)
    if found is None:
        return None
    value, rest = read_number(found[0]), text[found.end() :].strip(_CURRENCY)
    if value is None or (rest and _UNIT.fullmatch(rest) is None):
        return None
    unit = rest.strip(" .")
    if _SCALES & set(unit.split()):
        return None
    return _Quantity(value, named[1] if named else "", "" if unit == "%" else unit)


def _read_choice(text: str) -> str | None:
    found = _CHOICE.fullmatch(_plain(text))
    return found[1] if found else None


def _same_mathematics(given: str, true: str) -> bool:
    """Whether math-verify holds two expressions for equal.

    Its parser reads words as products of their letters and times as ratios, and cannot be
    interrupted outside the main thread; such texts, and towers of powers, are not given to it.
    """
    roots = [_ROOT.sub(r"\\sqrt{\1}", _plain(text)) for text in (true, given)]
    texts = [_FUNCTION.sub(r"\\\1", text) for text in roots]
    if any(
        len(text) > _LONGEST or ":" in text or _WORD.search(text) or _EXPLODES.search(text)
        for text in texts
    ):
        return False
    import math_verify

    limit = _TIME_S if threading.current_thread() is threading.main_thread() else None
    parsed: list[Any] = [
        math_verify.parse(f"${text}$", parsing_timeout=limit, raise_on_error=False)
        for text in texts
    ]
    if not all(parsed):
        return False
    return bool(math_verify.verify(*parsed, timeout_seconds=limit, raise_on_error=False))
