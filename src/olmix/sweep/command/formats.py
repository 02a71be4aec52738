"""Config files in the formats that trainers read: YAML, JSON, TOML."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from olmix.errors import ConfigError, Problem
from olmix.sweep.document import YamlDocument
from olmix.text.yaml import render_yaml

__all__ = ["FORMATS", "read_text", "render_text"]

FORMATS: Mapping[str, str] = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
"""The format of a file by its suffix."""
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def read_text(text: str, suffix: str, name: str) -> tuple[dict[str, Any], YamlDocument | None]:
    """Return what a config file holds, and its text where its comments can be kept.

    Args:
        text: the file.
        suffix: of its name; one of `FORMATS`.
        name: the file, for messages.

    Raises:
        ConfigError: the text is not of this format, or no mapping of keys.
    """
    if FORMATS[suffix] == "yaml":
        document = YamlDocument(text, name)
        return document.data, document
    try:
        data = json.loads(text) if FORMATS[suffix] == "json" else tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(
            [Problem("", f"this is not {suffix[1:].upper()}: {error}")], name
        ) from None
    if not isinstance(data, dict):
        raise ConfigError([Problem("", "a mapping is needed")], name)
    return data, None


def render_text(data: Mapping[str, object], suffix: str) -> str:
    """Return a config file.

    Raises:
        ConfigError: TOML has no null.
    """
    kind = FORMATS[suffix]
    if kind == "json":
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return render_yaml(dict(data)) if kind == "yaml" else "\n".join(_tables(data, ())) + "\n"


def _tables(table: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a TOML table: its values first, then the tables below it."""
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    for key, value in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value, (*path, key))}"
    for key, value in inner.items():
        where = (*path, key)
        yield f"\n[{'.'.join(map(_key, where))}]"
        yield from _tables(value, where)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _value(value: object, path: tuple[str, ...]) -> str:
    if value is None:
        raise ConfigError([Problem(".".join(path), "TOML has no null; delete the key: !delete")])
    if isinstance(value, Mapping):
        cells = (f"{_key(key)} = {_value(entry, (*path, key))}" for key, entry in value.items())
        return "{" + ", ".join(cells) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(entry, path) for entry in value) + "]"
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _quoted(value)


def _quoted(value: object) -> str:
    """Return a scalar as JSON has it, which TOML reads too, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
