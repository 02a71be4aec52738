"""Scalars as OmegaConf reads them, and values written so that every YAML reader agrees.

Torchtune and Hydra read their files with OmegaConf: the scalars of YAML 1.1 (``yes`` is true,
``012`` is 10), but ``3e-4`` is a number. Olmix reads ``experiment.yaml`` as YAML 1.2. What is
written here means the same to both: words that one of them takes for something else are quoted, and
a number with an exponent has a decimal point.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["kind_of", "read_scalar", "render_flow", "render_key"]

_TRUE = {"yes", "true", "on"}
_FALSE = {"no", "false", "off"}
_NULL = {"", "~", "null"}
_INTEGER = re.compile(
    r"[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"
)
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?"
)
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")
# Text that needs no quotes anywhere, and text with an interpolation, outside brackets.
_BARE = re.compile(r"[A-Za-z_/][\w/.+@=-]*(?:[ ][\w/.+@=-]+)*", re.ASCII)
# What YAML cannot hold as it is, or takes for the end of a line.
_UNPRINTABLE = re.compile(
    "[^\\t\\n\\r -~\\u00a0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd"
    "\\U00010000-\\U0010ffff]"
)
_INTERPOLATION = re.compile(r"\$\{[A-Za-z_][\w.]*\}[\w/.+@=-]*", re.ASCII)


def _is_word(text: str, words: set[str]) -> bool:
    """Say whether a text is one of the words in lower, upper or title case."""
    return text.lower() in words and text in (text.lower(), text.upper(), text.title())


def read_scalar(text: str) -> Any:
    """Return the value of an unquoted scalar."""
    if _is_word(text, _NULL):
        return None
    if _is_word(text, _TRUE):
        return True
    if _is_word(text, _FALSE):
        return False
    if _INTEGER.fullmatch(text):
        return _read_integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    special = _SPECIAL.fullmatch(text)
    if special is not None:
        value = math.inf if special[2].lower() == "inf" else math.nan
        return -value if special[1] == "-" else value
    return text


def _read_integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith(("0b", "0x", "0o")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)


def kind_of(value: Any) -> str:
    """Return the type of a value in the words of YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "text"
    return "mapping" if isinstance(value, Mapping) else "list"


def render_flow(value: Any, *, inside: bool = False) -> str:
    """Return a value on one line.

    Args:
        value: scalars, lists and mappings.
        inside: whether it stands inside brackets, where more characters need quotes.
    """
    if isinstance(value, Mapping):
        cells = (f"{render_key(k)}: {render_flow(v, inside=True)}" for k, v in value.items())
        return "{" + ", ".join(cells) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(render_flow(entry, inside=True) for entry in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _render_float(value)
    if isinstance(value, int):
        return str(value)
    return _render_text(str(value), inside=inside)


def render_key(key: Any) -> str:
    """Return a key of a mapping."""
    return render_flow(key, inside=True)


def _render_float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    mantissa, mark, exponent = repr(value).partition("e")
    if mark and "." not in mantissa:
        mantissa += ".0"
    if mark and exponent[0] not in "+-":
        exponent = f"+{exponent}"
    return f"{mantissa}{mark}{exponent}"


def _render_text(text: str, *, inside: bool) -> str:
    bare = _BARE.fullmatch(text) and isinstance(read_scalar(text), str)
    if bare or (not inside and _INTERPOLATION.fullmatch(text)):
        return text
    return _UNPRINTABLE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
