"""A config that is being converted: its content, and the changes to note beside their keys."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olmix.text.yaml import YamlFile, render_yaml

__all__ = ["Draft", "Location", "Plain", "without_nulls"]

Plain = dict[str, Any]
"""A mapping of a YAML file."""
Location = tuple[str | int, ...]
_WIDTH = 100


@dataclass
class Draft:
    """The content of a config, changed in place, and notes that become comments.

    Attributes:
        content: keys and values.
        notes: where something changed, and what.
    """

    content: Plain
    notes: list[tuple[Location, str]] = field(default_factory=list)

    def get(self, *where: str | int) -> Any:
        """Return what stands at a path of keys, `None` if there is nothing."""
        node: Any = self.content
        for step in where:
            if isinstance(node, dict) and isinstance(step, str):
                node = node.get(step)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                return None
        return node

    def section(self, name: str) -> Plain:
        """Return a section, which is made if it is not there."""
        found = self.content.setdefault(name, {})
        return found if isinstance(found, dict) else {}

    def put(self, value: object, *where: str | int, why: str) -> None:
        """Set a value whose mapping is there, and say why."""
        self.get(*where[:-1])[where[-1]] = value
        self.notes.append((where, why))

    def take(self, *where: str | int, why: str) -> Any:
        """Take a key out and return its value; says why where it was there."""
        mapping = self.get(*where[:-1])
        key = where[-1]
        if not isinstance(mapping, dict) or key not in mapping:
            return None
        self.notes.append((where, why))
        return mapping.pop(key)

    def render(self, header: str) -> str:
        """Return the config as YAML, each note above the key that it is about."""
        text = render_yaml(self.content)
        file = YamlFile(Path("draft"), self.content, text)
        comments: dict[int, list[str]] = {}
        for where, note in self.notes:
            comments.setdefault(file.line(where) or 1, []).append(note)
        lines = [f"# {line}".rstrip() for line in header.splitlines()]
        for number, line in enumerate(text.splitlines(), start=1):
            indent = " " * (len(line) - len(line.lstrip(" ")))
            for note in comments.get(number, ()):
                lines += textwrap.wrap(
                    note,
                    _WIDTH,
                    initial_indent=f"{indent}# ",
                    subsequent_indent=f"{indent}# ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            lines.append(line)
        return "\n".join(lines) + "\n"


def without_nulls(value: object) -> object:
    """Return a value without the keys of mappings that are null, which mean "not given"."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [without_nulls(inner) for inner in value]
    return value
