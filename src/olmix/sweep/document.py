"""A YAML file whose values are replaced in its own text, so that every comment stays.

libyaml says where each key and value stands; changed values are spliced into the text, new keys
come behind the last key of their mapping, and everything else stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from yaml import MappingNode, SequenceNode

from olmix.errors import ConfigError, Problem
from olmix.sweep.scalars import render_flow, render_key
from olmix.text.yaml import load, render_yaml
from olmix.text.yaml_rules import OmegaConfYaml

__all__ = ["YamlDocument"]


@dataclass(frozen=True)
class _Edit:
    """Replace ``text[start:end]``."""

    start: int
    end: int
    text: str


class YamlDocument:
    """The text of a YAML mapping, and what OmegaConf reads from it.

    Args:
        text: the file's content.
        name: its name, for messages.

    Attributes:
        data: its content as plain values.
        keeps_comments: whether `render` keeps the comments; it cannot where the file has aliases.

    Raises:
        ConfigError: it is not YAML, not a mapping, or gives a key twice.
    """

    def __init__(self, text: str, name: str) -> None:
        text = text.removeprefix("\ufeff")  # positions do not count it
        self.text = text if text.endswith("\n") or not text else f"{text}\n"
        self.name = name
        loaded = load(self.text, name, OmegaConfYaml)
        if not isinstance(loaded.root, MappingNode):
            raise ConfigError([Problem("", "a mapping is needed")], name)
        self._root = loaded.root
        self.data: dict[str, Any] = loaded.data
        self.keeps_comments = not (loaded.has_aliases or loaded.root.flow_style)

    def render(self, config: Mapping[str, object]) -> str:
        """Return the text with the values of `config`, which may add and leave out keys.

        A file with aliases is rewritten, because one place of its text has several meanings; so
        is one in braces.
        """
        if not self.keeps_comments:
            return render_yaml(dict(config))
        edits = sorted(self._changes(self._root, self.data, config), key=lambda edit: edit.start)
        pieces: list[str] = []
        position = 0
        for edit in edits:
            pieces += (self.text[position : edit.start], edit.text)
            position = edit.end
        pieces.append(self.text[position:])
        return "".join(pieces)

    def _changes(
        self, node: MappingNode, old: Mapping[str, object], new: Mapping[str, object]
    ) -> Iterator[_Edit]:
        """Yield what turns a block mapping into another mapping."""
        indent = node.value[0][0].start_mark.column if node.value else 0
        for (key, value), (key_node, value_node) in zip(old.items(), node.value, strict=True):
            if key not in new:
                start = self.text.rfind("\n", 0, key_node.start_mark.index) + 1
                yield _Edit(start, self._line_end(_end(value_node)), "")
                continue
            start = self.text.index(":", key_node.end_mark.index) + 1
            yield from self._replace(value_node, value, new[key], start, indent)
        added = [(key, value) for key, value in new.items() if key not in old]
        if added:
            place = self._line_end(_end(node))
            lines = (f"{' ' * indent}{render_key(k)}:{_value(v, indent)}\n" for k, v in added)
            yield _Edit(place, place, "".join(lines))

    def _replace(
        self, node: Any, old: Any, wanted: Any, start: int, indent: int
    ) -> Iterator[_Edit]:
        """Yield what turns the value behind `start` into another one.

        Mappings and lists of the same length that are written as blocks are changed inside, so that
        their comments stay.
        """
        if _same(old, wanted):
            return
        if _is_block(node, MappingNode) and isinstance(wanted, Mapping) and wanted:
            yield from self._changes(node, old, wanted)
        elif _is_block(node, SequenceNode) and isinstance(wanted, list) and len(wanted) == len(old):
            for entry, before, after in zip(node.value, old, wanted, strict=True):
                dash = self.text.rindex("-", 0, entry.start_mark.index) + 1
                yield from self._replace(entry, before, after, dash, indent + 2)
        else:
            end = max(_end(node), start)
            tail = "\n" if self.text[end - 1 : end] == "\n" else ""
            yield _Edit(start, end, _value(wanted, indent) + tail)

    def _line_end(self, position: int) -> int:
        """Return the start of the line after `position`."""
        if position > 0 and self.text[position - 1] == "\n":
            return position
        found = self.text.find("\n", position)
        return len(self.text) if found < 0 else found + 1


def _is_block(node: object, kind: type[MappingNode | SequenceNode]) -> bool:
    """Whether a value is a mapping or a list with entries on lines of their own."""
    return isinstance(node, kind) and bool(node.value and not node.flow_style)


def _end(node: Any) -> int:
    """Return where the text of a value ends; a block ends with its last value."""
    if _is_block(node, MappingNode):
        return _end(node.value[-1][1])
    if _is_block(node, SequenceNode):
        return _end(node.value[-1])
    position: int = node.end_mark.index
    return position


def _value(value: object, indent: int) -> str:
    """Return a value behind its colon: a block for a mapping, else one line."""
    if isinstance(value, Mapping) and value:
        step = indent + 2
        return "".join(f"\n{' ' * step}{render_key(k)}:{_value(v, step)}" for k, v in value.items())
    return f" {render_flow(value)}"


def _same(old: Any, new: Any) -> bool:
    """Whether two values and their types agree: 1, 1.0 and true differ."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return list(old) == list(new) and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new) or (old != old and new != new)  # NaN is itself
