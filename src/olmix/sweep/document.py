"""A YAML file whose values are replaced in its own text, so that every comment stays.

ruamel.yaml says where each key and value stands; changed values are spliced into the text, new keys
come behind the last key of their mapping, and everything else stays byte for byte. Dumping a
thousand round-trip trees takes a minute; splicing takes a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from olmix.errors import ConfigError, Problem
from olmix.sweep.scalars import read_scalar, render_flow, render_key
from olmix.text.files import render_yaml

__all__ = ["Document"]


@dataclass(frozen=True)
class _Edit:
    """Replace ``text[start:end]``."""

    start: int
    end: int
    text: str


class Document:
    """The text of a YAML mapping, and what OmegaConf reads from it.

    Args:
        text: the file's content.
        name: its name, for messages.

    Attributes:
        data: its content as plain values.

    Raises:
        ConfigError: it is not YAML, not a mapping, or gives a key twice.
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text if text.endswith("\n") or not text else f"{text}\n"
        self.name = name
        try:
            self._root = YAML(typ="safe", pure=True).compose(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else None
            raise ConfigError(
                [Problem("", f"not valid YAML: {error.problem}", line)], name
            ) from None
        except (YAMLError, ValueError) as error:
            raise ConfigError([Problem("", f"not valid YAML: {error}")], name) from None
        if not isinstance(self._root, MappingNode):
            raise ConfigError([Problem("", "a mapping of keys is needed")], name)
        self._seen: set[int] = set()
        self._shared = False
        self.data: dict[str, Any] = self._read(self._root)

    def _read(self, node: Any) -> Any:
        self._shared = self._shared or id(node) in self._seen
        self._seen.add(id(node))
        if isinstance(node, ScalarNode):
            return node.value if node.style else read_scalar(node.value)
        if isinstance(node, SequenceNode):
            return [self._read(entry) for entry in node.value]
        values: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.value == "<<" and not key_node.style:
                self._shared = True
                parts = self._read(value_node)
                for part in reversed(parts if isinstance(parts, list) else [parts]):
                    merged |= part
                continue
            key = self._read(key_node)
            if key in values:
                line = key_node.start_mark.line + 1
                raise ConfigError(
                    [Problem(str(key), "this key is given twice; keep one of the two", line)],
                    self.name,
                )
            values[key] = self._read(value_node)
        return merged | values

    def render(self, config: Mapping[str, Any]) -> str:
        """Return the text with the values of `config`, which may add and leave out keys.

        A file with anchors is written anew, because one place of its text has several meanings.
        """
        if self._shared:
            return render_yaml(dict(config))
        edits = sorted(self._changes(self._root, self.data, config), key=lambda edit: edit.start)
        pieces: list[str] = []
        position = 0
        for edit in edits:
            pieces += (self.text[position : edit.start], edit.text)
            position = edit.end
        pieces.append(self.text[position:])
        return "".join(pieces)

    @property
    def keeps_comments(self) -> bool:
        """Whether `render` keeps the comments; it cannot where the file has anchors."""
        return not self._shared

    def _changes(
        self, node: MappingNode, old: Mapping[str, Any], new: Mapping[str, Any]
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


def _is_block(node: Any, kind: type[MappingNode | SequenceNode]) -> bool:
    """Say whether a value is a mapping or a list with entries on lines of their own."""
    return isinstance(node, kind) and bool(node.value and not node.flow_style)


def _end(node: Any) -> int:
    """Return where the text of a value ends; a block ends with its last value."""
    if _is_block(node, MappingNode):
        return _end(node.value[-1][1])
    if _is_block(node, SequenceNode):
        return _end(node.value[-1])
    position: int = node.end_mark.index
    return position


def _value(value: Any, indent: int) -> str:
    """Return a value behind its colon: a block for a mapping, else one line."""
    if isinstance(value, Mapping) and value:
        step = indent + 2
        return "".join(f"\n{' ' * step}{render_key(k)}:{_value(v, step)}" for k, v in value.items())
    return f" {render_flow(value)}"


def _same(old: Any, new: Any) -> bool:
    """Compare values and their types: 1, 1.0 and true differ."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return list(old) == list(new) and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return bool(old == new) or (old != old and new != new)  # NaN is itself
