r"""The form in which the texts of two answers are compared: without decoration."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["plain_text", "unmarked", "without_lead"]

_MARKS = (("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("*", "*"), ("`", "`"), ('"', '"'),
          ("'", "'"), ("$$", "$$"), ("$", "$"))  # fmt: skip
_BRACKETS = (("\\{", "\\}"), ("{", "}"), ("(", ")"), ("[", "]"))
_BOXED = re.compile(r"\\boxed\s*\{(.*)\}", re.DOTALL)
_FONT = re.compile(r"\\(?:text|mathrm|mathbf|mathit|textbf|textit|mbox|boldsymbol)\s*\{([^{}]*)\}")
_LETTERS = {
    "\u2212": "-", "\u2013": "-", "\u2044": "/", "\u00f7": "/", "\u00d7": "\\times ",
    "\u22c5": "\\cdot ", "\u00ba": "\u00b0", "\u02da": "\u00b0", "\u2019": "'", "\u2018": "'",
    "\u201c": '"', "\u201d": '"', "\u2264": "\\le ", "\u2265": "\\ge ", "\u221e": "\\infty ",
    "\u03c0": "\\pi ", "\u00b1": "\\pm ", "\u222a": "\\cup ",
}  # fmt: skip
_LEADS = re.compile(
    r"(?:(?:so|thus|hence|therefore),? )?(?:the )?(?:(?:final|correct|right|best) )*"
    r"(?:answer|option|choice)\b\s*(?:is\b)?\s*:?\s*(?!$)"
)
_SHIFTED = frozenset("0123456789+\u2212n")
"""What is raised and lowered by letters of its own."""


def plain_text(text: str) -> str:
    r"""Return a text in the form in which texts are compared.

    Letter case, spaces, marks around the whole (``$``, ``\boxed``, ``**``, quotes), fonts and a
    full stop go; raised and lowered digits are written with ``^`` and ``_``.
    """
    text = "".join(_letters(text)).strip()
    boxed = _BOXED.fullmatch(text.strip("$ "))
    text = _FONT.sub(r"\1", boxed[1] if boxed else text)
    text = " ".join(text.split()).removesuffix(".").strip()
    text = unmarked(text, _MARKS).removesuffix(".")
    return re.sub(r"\s*([(),\[\]{}=+*/^<>])\s*", r"\1", text).casefold()


def unmarked(text: str, pairs: tuple[tuple[str, str], ...] = _BRACKETS) -> str:
    """Return a text without pairs of marks, such as brackets, around the whole of it."""
    for begin, end in pairs:
        inside = text[len(begin) : len(text) - len(end)]
        enclosed = len(text) > len(begin + end) and text == f"{begin}{inside}{end}"
        if enclosed and begin not in inside and end not in inside:
            return unmarked(inside.strip(), pairs)
    return text


def without_lead(text: str) -> str:
    """Return a plain text without words such as "the answer is" before it."""
    return _LEADS.sub("", text, count=1)


def _letters(text: str) -> Iterator[str]:
    """Yield the letters of a text in their plain form, without losing what is raised or lowered."""
    shift = ""
    for letter in unicodedata.normalize("NFC", text):
        plain = letter if letter in _LETTERS else unicodedata.normalize("NFKC", letter)
        kind = unicodedata.decomposition(letter).partition(" ")[0]
        mark = {"<super>": "^", "<sub>": "_"}.get(kind, "") if plain in _SHIFTED else ""
        if mark != shift:
            yield ("}" if shift else "") + (mark and f"{mark}{{")
        shift = mark
        yield (" " if kind == "<fraction>" else "") + "".join(_LETTERS.get(c, c) for c in plain)
    if shift:
        yield "}"
