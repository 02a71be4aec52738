"""Reading YAML so that an error can name its line.

YAML 1.2 as ruamel.yaml reads it: ``3e-4`` is a number, ``on`` is a word, a key given twice is an
error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
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
    """

    path: Path
    data: Any
    _marked: Any

    def line(self, location: Sequence[str | int]) -> int | None:
        """Return the line, from 1, of the deepest key on the way to `location`."""
        node, found = self._marked, None
        for step in location:
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
        return YamlFile(self.path, self.data[key], self._marked[key])


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
    # A round-trip boolean is an int underneath and was handled there; what is left are dates.
    return str(node)


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
    yaml = YAML(typ="rt")
    try:
        marked = yaml.load(StringIO(text))
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
    except (YAMLError, ValueError) as error:
        raise ConfigError([Problem("", f"not valid YAML: {error}")], str(file)) from None
    return YamlFile(file, _plain(marked), marked)
