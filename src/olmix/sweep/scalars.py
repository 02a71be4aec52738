"""Values written so that every YAML reader agrees.

Torchtune and Hydra read their files with OmegaConf, Olmix reads ``experiment.yaml`` as YAML 1.2
(`olmix.text.yaml_loaders` says how they differ). What is written here means the same to both: words
that one of them takes for something else are quoted, and a number with an exponent has a point.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from olmix.text.yaml_loaders import OmegaConfYaml, read_scalar

__all__ = ["kind_of", "render_flow", "render_key"]

# Text that needs no quotes anywhere, and text with an interpolation, outside brackets.
_BARE = re.compile(r"[A-Za-z_/][\w/.+@=-]*(?:[ ][\w/.+@=-]+)*", re.ASCII)
# What YAML cannot hold as it is, or takes for the end of a line.
_UNPRINTABLE = re.compile(
    "[^\\t\\n\\r -~\\u00a0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd"
    "\\U00010000-\\U0010ffff]"
)
_INTERPOLATION = re.compile(r"\$\{[A-Za-z_][\w.]*\}[\w/.+@=-]*", re.ASCII)


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


def render_key(key: object) -> str:
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
    bare = _BARE.fullmatch(text) and read_scalar(text) == read_scalar(text, OmegaConfYaml) == text
    if bare or (not inside and _INTERPOLATION.fullmatch(text)):
        return text
    return _UNPRINTABLE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
