"""Reading YAML so that an error can name its line.

YAML 1.2 as ruamel.yaml reads it: ``3e-4`` is a number, ``on`` is a word, a key given twice is an
error. Files without rarer notation are read by libyaml, 20 times faster, with the same values;
lines are looked for only when an error needs them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import yaml as libyaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from olmix.errors import ConfigError, Problem

__all__ = ["YamlFile", "read_yaml"]

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """The content of a YAML file as plain Python values, and where each of them stands.

    Attributes:
        path: the file.
        data: its content: dicts, lists, strings, numbers, booleans and ``None``.
        text: the text of the whole file.
        above: keys that lead to `data` in the file.
    """

    path: Path
    data: Any
    text: str
    above: Location = ()

    @cached_property
    def _marked(self) -> Any:
        return _read_marked(self.text)

    def line(self, location: Sequence[str | int]) -> int | None:
        """Return the line, from 1, of the deepest key on the way to `location`."""
        node, found = self._marked, None
        for step in (*self.above, *location):
            try:
                if isinstance(node, CommentedMap) and step in node:
                    found = node.lc.key(step)[0] + 1
                elif isinstance(node, CommentedSeq) and isinstance(step, int):
                    found = node.lc.item(step)[0] + 1
                else:
                    break
                node = node[step]
            except (KeyError, IndexError, AttributeError, TypeError):
                break
        return found

    def section(self, key: str) -> YamlFile:
        """Return the part of the file below a key, or the whole file where it has no such key."""
        if not isinstance(self.data, dict) or key not in self.data:
            return self
        return YamlFile(self.path, self.data[key], self.text, (*self.above, key))


class _RareError(Exception):
    """The text uses notation in which libyaml, which is of YAML 1.1, may mean something else."""


class _Composer(getattr(libyaml, "CSafeLoader", libyaml.SafeLoader)):  # type: ignore[misc]
    """Tells what stands where; `_value` says what it means."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        del kind, value, implicit
        return ""

    def descend_resolver(self, node: Any, index: Any) -> None:
        del node, index

    def ascend_resolver(self) -> None:
        return None


_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile("[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_REAL = re.compile("[-+]?(?:0|[1-9][0-9]*)(?:[.][0-9]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)")


def _value(node: Any) -> Any:
    """Return what a node means where all versions of YAML agree; raises where they may not."""
    if isinstance(node, libyaml.MappingNode):
        found = {_value(key): _value(value) for key, value in node.value}
        if len(found) != len(node.value):
            raise _RareError  # a key is given twice
        return found
    if isinstance(node, libyaml.SequenceNode):
        return [_value(item) for item in node.value]
    return node.value if node.style else _scalar(node.value)


@lru_cache(maxsize=65536)
def _scalar(text: str) -> Any:
    """Return what a scalar without quotes means."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-+.0123456789":
        if _WHOLE.fullmatch(text):
            return int(text)
        if _REAL.fullmatch(text):
            return float(text)
        raise _RareError  # octals, dates, infinity; and text such as 140M
    if text in ("<<", "="):
        raise _RareError
    return text


_RARE = re.compile(
    r"(?:^|[\s\[{,:])(?:!|&[^\s&])"  # tags and anchors
    r"|(?:^|\s)[|>][-+0-9]*\s*(?:#.*)?$"  # block scalars
    "|[\t\x85\u2028\u2029\ufeff]"  # tabs, and line ends of YAML 1.1
    r"|^%|^\.\.\.",  # directives, ends of documents
    re.MULTILINE,
)


def _read_common(text: str) -> Any:
    """Return the content of a text; raises where ruamel.yaml might find another, or an error."""
    if _RARE.search(text):
        raise _RareError
    node = libyaml.compose(text, _Composer)
    return None if node is None else _value(node)


def _read_marked(text: str) -> Any:
    return YAML(typ="rt").load(StringIO(text))


def _plain(node: Any) -> Any:
    """Strip the round-trip types of ruamel.yaml off a value."""
    if isinstance(node, Mapping):
        return {_plain(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    # A round-trip boolean is an int underneath and was handled there; what is left are dates, and
    # scalars with a tag of their own, which is a part of what they say.
    tag = node.tag.value if isinstance(node, TaggedScalar) else None
    return f"{tag} {node}".rstrip() if tag is not None else str(node)


def read_yaml(path: str | Path) -> YamlFile:
    """Read one YAML document.

    Raises:
        ConfigError: the file is missing, unreadable, not YAML, or gives a key twice.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([Problem("", "there is no such file")], str(file)) from None
    except IsADirectoryError:
        raise ConfigError(
            [Problem("", "this is a folder; a YAML file is needed")], str(file)
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem("", f"cannot be read: {error}")], str(file)) from error
    try:
        data = _read_common(text)
    except (_RareError, libyaml.YAMLError, RecursionError, TypeError, ValueError):
        data = _read_any(text, file)
    return YamlFile(file, data, text)


def _read_any(text: str, file: Path) -> Any:
    """Return the content of a text as ruamel.yaml reads it.

    Raises:
        ConfigError: it is not YAML, or gives a key twice.
    """
    try:
        return _plain(_read_marked(text))
    except DuplicateKeyError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark is not None else None
        first = str(error.problem).split(" with value")[0]
        raise ConfigError([Problem("", f"{first}; keep one of the two", line)], str(file)) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        raise ConfigError(
            [Problem("", f"not valid YAML: {error.problem}", line)], str(file)
        ) from None
    except TypeError:
        what = "a mapping or list stands where a key must be; put text with braces into quotes"
        raise ConfigError([Problem("", what)], str(file)) from None
    except RecursionError:
        what = "its values are nested too deeply"
        raise ConfigError([Problem("", what)], str(file)) from None
    except (YAMLError, ValueError) as error:
        raise ConfigError([Problem("", f"not valid YAML: {error}")], str(file)) from None
