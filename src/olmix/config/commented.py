"""A config as YAML, with the meaning of every key as a comment above it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from olmix.config.base import Section
from olmix.text.yaml import render_yaml

__all__ = ["render_commented"]

_WIDTH = 90


def render_commented(config: Section, plain: Mapping[str, object], purpose: str) -> str:
    """Return a config as YAML, with what it is for and every key with its meaning.

    Args:
        config: the config, whose models know what their keys mean.
        plain: the keys to write, as the user would; a list of sections is explained once, at its
            first entry.
        purpose: lines at the top.
    """
    head = [f"# {line}" for line in purpose.splitlines()]
    return "\n".join([*head, "", *_lines(config, plain)]) + "\n"


def _lines(
    section: Section, plain: Mapping[str, object], *, explained: bool = True
) -> Iterator[str]:
    fields = type(section).model_fields
    for key, value in plain.items():
        field = fields.get(key)
        if explained and field is not None and field.description:
            yield f"# {_first_sentence(field.description)}"
        inner = getattr(section, key, None)
        if isinstance(inner, Section) and isinstance(value, Mapping):
            yield f"{key}:"
            yield from _indented(_lines(inner, value, explained=explained), "  ")
        elif (
            isinstance(inner, tuple)
            and inner
            and all(isinstance(one, Section) for one in inner)
            and isinstance(value, Sequence)
        ):
            yield f"{key}:"
            for place, (one, entry) in enumerate(zip(inner, value, strict=True)):
                lines = _lines(one, entry, explained=explained and place == 0)
                yield from _as_item(list(lines))
        else:
            yield from render_yaml({key: value}).splitlines()


def _first_sentence(text: str) -> str:
    """Return the first sentence of a docstring, in one line."""
    line = " ".join(text.split())
    first = line.split(". ")[0].rstrip(".")
    if len(first) > _WIDTH:
        first = re.split("[;:,] ", first[:_WIDTH])[0]
    return textwrap.shorten(first, _WIDTH, placeholder=" ...")


def _indented(lines: Iterator[str], by: str) -> Iterator[str]:
    return (f"{by}{line}" for line in lines)


def _as_item(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a mapping as an entry of a list, comments still above its first key."""
    first = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    yield from (f"  {line}" for line in lines[:first])
    yield f"- {lines[first]}"
    yield from (f"  {line}" for line in lines[first + 1 :])
