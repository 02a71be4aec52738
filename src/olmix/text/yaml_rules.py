"""The meaning of YAML to Olmix and to OmegaConf: two sets of rules for one parser.

All files of Olmix are `Yaml12`: ``3e-4`` is a number, ``on`` is a word. Torchtune and Hydra read
their configs with OmegaConf, whose rules are `OmegaConfYaml`. The two differ in scalars:

| text                    | 1.2    | OmegaConf | why                                          |
|-------------------------|--------|-----------|----------------------------------------------|
| ``yes``, ``On``, ``no`` | text   | bool      | words of 1.1; a domain may be called ``on``  |
| ``012``, ``0o17``       | 12, 15 | 10, text  | 1.1 writes octal numbers without the ``o``   |
| ``12:30``               | text   | 750       | base 60 of 1.1; most people mean a time      |
| ``09``, ``-.5``         | number | text      | PyYAML's patterns leave them out             |

With both, merge keys are read, dates are text, and a key given twice is a problem; so is a tag
other than ``!!str`` and its like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import yaml

from olmix.errors import Problem

__all__ = [
    "OmegaConfYaml",
    "TooMuchError",
    "Yaml12",
    "behind_merge",
    "is_merge",
    "line_of",
    "read_scalar",
]

MAX_DEPTH = 100
MAX_ADDED = 200_000  # values that a file holds beside those that one sees
MAX_NUMBER_LENGTH = 1000
TOO_DEEP = f"its values are nested too deeply; at most {MAX_DEPTH} levels are read"
_TAG = "tag:yaml.org,2002:"


class TooMuchError(yaml.MarkedYAMLError):  # type: ignore[misc]
    """The text may be YAML, but holds more than is read."""


class Yaml12(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.2: PyYAML says what stands where, in C where it can, and the rules here what it means.

    Attributes:
        root: the nodes of the text; ``None`` where it holds nothing.
        data: what they mean.
        problems: what was found wrong with the values.
        has_aliases: whether parts of the text stand in several places (``*a``, ``<<``).

    Raises:
        yaml.YAMLError: it is not YAML, or holds more than is read.
    """

    yaml_implicit_resolvers: dict[str, object] = {}
    yaml_constructors: dict[str, Any] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._extents: dict[int, tuple[int, int] | None] = {}
        self.problems: list[Problem] = []
        self.has_aliases = False
        self.root = self.get_single_node()
        if self.root is not None and "*" in text:
            self._check_aliases()
        self.data: Any = None if self.root is None else self.construct_object(self.root)

    def descend_resolver(self, parent: Any, index: Any) -> None:
        """Take note that a value begins."""
        del index
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooMuchError(None, None, TOO_DEEP, parent.start_mark)

    def ascend_resolver(self) -> None:
        """Take note that a value ends."""
        self._depth -= 1

    def _check_aliases(self) -> None:
        """Refuse aliases that stand for too much, or for what they stand in."""
        count, depth = self._extent(self.root)
        what = TOO_DEEP if depth > MAX_DEPTH else ""
        added = min(count - len(self._extents), 10**15)
        if added > MAX_ADDED:
            what = f"its aliases (*) add {added:,} values or more; at most {MAX_ADDED:,} are read"
        if what:
            raise TooMuchError(None, None, what, self.root.start_mark)

    def _extent(self, node: Any) -> tuple[int, int]:
        """Return how many values a node holds with aliases written out, and how deep they go."""
        if id(node) in self._extents:
            self.has_aliases = True
            found = self._extents[id(node)]
            if found is None:
                what = "an alias (*) is inside its own anchor (&); write the value out"
                raise TooMuchError(None, None, what, node.start_mark)
            return found
        self._extents[id(node)] = None  # while it is being measured
        parts = () if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            parts = chain.from_iterable(parts)
        count, depth = 1, 1
        for part_count, part_depth in map(self._extent, parts):
            count, depth = count + part_count, max(depth, 1 + part_depth)
        self._extents[id(node)] = count, depth
        return count, depth

    def _note(self, node: object, what: str) -> None:
        self.problems.append(Problem("", what, line_of(node)))

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Return what a node means; an alias means a copy of what it stands for."""
        del deep
        kind, size = node.tag.removeprefix(_TAG), len(node.value)
        if size > MAX_NUMBER_LENGTH and kind in ("int", "float"):
            what = f"a number of {size:,} characters; at most {MAX_NUMBER_LENGTH:,} are read"
        elif node.tag not in self.yaml_constructors:
            shown = node.tag.replace(_TAG, "!!")
            what = f"the tag {shown} is not read; write the value without it"
        else:
            try:
                return self.yaml_constructors[node.tag](self, node)
            except (LookupError, ValueError):
                what = f"`{node.value}` is not what its tag !!{kind} says"
        self._note(node, what)
        return None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; keys of its own come before those that it merges."""
        del deep
        found: dict[object, object] = {}
        merged: list[object] = []
        for key_node, value_node in node.value:
            if is_merge(key_node):
                if merged:
                    self._note(key_node, 'found duplicate key "<<"; write `<<: [*a, *b]`')
                merged += behind_merge(value_node)
                self.has_aliases = True
            elif not isinstance(key_node, yaml.ScalarNode):
                what = "found a mapping or list instead of a key; put text with braces into "
                self._note(key_node, f"{what}quotes")
            else:
                key = self.construct_object(key_node)
                if key in found:
                    self._note(key_node, f'found duplicate key "{key}"; keep one')
                found[key] = self.construct_object(value_node)
        for part in merged:
            if isinstance(part, yaml.MappingNode):
                for key, value in self.construct_mapping(part).items():
                    found.setdefault(key, value)
            else:
                self._note(part, "`<<` takes a mapping, or a list of mappings")
        return found


def line_of(node: Any) -> int:
    """Return the line of a node, from 1."""
    return int(node.start_mark.line) + 1


_LARGEST = 10**308
"""The largest whole number that is kept as one, about the largest float."""


def is_merge(key: Any) -> bool:
    """Whether the node of a key is ``<<``, which merges other mappings into this one."""
    return bool(key.tag == f"{_TAG}merge")


def behind_merge(node: object) -> Sequence[object]:
    """Return the nodes behind ``<<``; of two with the same key the first one counts."""
    return node.value if isinstance(node, yaml.SequenceNode) else (node,)


def _integer(loader: Yaml12, node: object) -> float:
    """Return an integer of YAML 1.2; ``_`` between digits and ``0b11`` are read too.

    One that is too large for a float is infinite, as in JSON.
    """
    text = loader.construct_scalar(node).replace("_", "")
    digits = text.lstrip("+-")
    base = {"0o": 8, "0x": 16, "0b": 2}.get(digits[:2], 10)
    size = int(digits, base)
    return (-1 if text[0] == "-" else 1) * (size if size < _LARGEST else math.inf)


for _kind, _build, _pattern, _first in (
    ("null", Yaml12.construct_yaml_null, "(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", Yaml12.construct_yaml_bool, "(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    (
        "int",
        _integer,
        "[-+]?(?:[0-9][0-9_]*|0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+)$",
        "-+0123456789",
    ),
    (
        "float",
        Yaml12.construct_yaml_float,
        r"(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+.0123456789",
    ),
    ("merge", Yaml12.construct_scalar, "<<$", "<"),
    ("str", Yaml12.construct_scalar, "", ""),
    ("map", Yaml12.construct_mapping, "", ""),
    ("seq", Yaml12.construct_sequence, "", ""),
):
    Yaml12.add_constructor(f"{_TAG}{_kind}", _build)
    if _pattern:
        Yaml12.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(_pattern), list(_first))


class OmegaConfYaml(Yaml12):
    """YAML 1.1 as OmegaConf reads it: PyYAML's rules without dates, with numbers like ``3e-4``."""

    yaml_implicit_resolvers = {
        first: [rule for rule in rules if rule[0] != f"{_TAG}timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


OmegaConfYaml.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(
        r"[-+]?[0-9]+(?:_[0-9]+)*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"
        r"|\.[0-9]+(?:_[0-9]+)*(?:[eE][-+][0-9]+)?$"
    ),
    list("-+.0123456789"),
)
OmegaConfYaml.add_constructor(f"{_TAG}int", Yaml12.construct_yaml_int)
OmegaConfYaml.add_constructor(f"{_TAG}value", Yaml12.construct_scalar)


@lru_cache(maxsize=4096)
def read_scalar(text: str, rules: type[Yaml12] = Yaml12) -> object:
    """Return what a scalar without quotes means."""
    loader = rules("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, text))
