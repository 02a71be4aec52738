"""Reading and writing YAML: one reader, on libyaml, for every file.

Lines are looked for when an error needs them. `olmix.text.yaml_rules` says what a text means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from olmix.errors import ConfigError, Problem
from olmix.text.files import write_text
from olmix.text.yaml_rules import TooMuchError, Yaml12, behind_merge, is_merge, line_of

__all__ = ["YamlFile", "load", "parse_yaml", "read_yaml", "render_yaml", "write_yaml"]

Location = tuple[str | int, ...]
# What PyYAML says in half sentences, and what to do about what it says.
_WHOLE = {
    "but found another document": "found another document",
    "second occurrence": "found duplicate anchor (&)",
}
_ADVICE = {
    "cannot start any token": "put text that begins with this character into quotes",
    "mapping values are not allowed": 'put text with ": " into quotes, and check the indentation',
    "found another document": "a file is one document; remove the rest",
    "duplicate anchor": "rename one of the two",
    "undefined alias": "put text that begins with * into quotes",
    "alphabetic or numeric character": "put text that begins with * or & into quotes",
    "incompatible YAML document": "Olmix reads YAML 1.2; remove the line %YAML",
}
_OLD_ENDS = "\x85\u2028\u2029"  # ends of lines in YAML 1.1 and to libyaml
_OLDER = re.compile(r"(?:[ \t]*(?:#.*)?\n)*%YAML[ \t]+1\.1\b")


@dataclass(frozen=True)
class YamlFile:
    """The content of a YAML file as plain Python values, and where each of them stands.

    Attributes:
        path: the file.
        data: its content: dicts, lists, strings, numbers, booleans and ``None``.
        text: the text of the whole file.
        above: keys that lead to `data` in the file.
        rules: what its scalars and tags mean.
    """

    path: Path
    data: Any
    text: str
    above: Location = ()
    rules: type[Yaml12] = Yaml12

    @cached_property
    def _root(self) -> object:
        return load(self.text, str(self.path), self.rules).root

    def line(self, location: Sequence[str | int]) -> int | None:
        """Return the line, from 1, of the deepest key on the way to `location`."""
        node, found = self._root, None
        for step in (*self.above, *location):
            place = next(_children(node, step), None)
            if place is None:
                break
            found, node = place
        return found

    def section(self, key: str) -> YamlFile:
        """Return the part of the file below a key, or the whole file where it has no such key."""
        if not isinstance(self.data, dict) or key not in self.data:
            return self
        return replace(self, data=self.data[key], above=(*self.above, key))


def _children(node: object, step: str | int) -> Iterator[tuple[int, object]]:
    """Yield the line and the node of an entry; those of merged mappings come last."""
    if isinstance(node, yaml.SequenceNode):
        if isinstance(step, int) and 0 <= step < len(node.value):
            yield line_of(node.value[step]), node.value[step]
    elif isinstance(node, yaml.MappingNode):
        rules = Yaml12("")
        for key, value in sorted(node.value, key=lambda pair: is_merge(pair[0])):
            if is_merge(key):
                for part in behind_merge(value):
                    yield from _children(part, step)
            elif rules.construct_object(key) == step:
                yield line_of(key), value


def read_yaml(path: str | Path, rules: type[Yaml12] = Yaml12) -> YamlFile:
    """Read one YAML document.

    Raises:
        ConfigError: the file is missing, unreadable, not YAML, gives a key twice, or holds more
            than is read.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([Problem("", "there is no such file")], str(file)) from None
    except (OSError, UnicodeDecodeError) as error:
        folder = "this is a folder; a YAML file is needed" if file.is_dir() else ""
        raise ConfigError([Problem("", folder or f"cannot be read: {error}")], str(file)) from error
    return YamlFile(file, parse_yaml(text, str(file), rules), text, rules=rules)


def parse_yaml(text: str, name: str, rules: type[Yaml12] = Yaml12) -> object:
    """Return the content of a text as plain values; raises as `read_yaml` does.

    Args:
        text: one YAML document.
        name: what problems name.
        rules: what its scalars and tags mean.
    """
    if _OLDER.match(text):
        what = "it says that it is YAML 1.1; Olmix reads YAML 1.2. Remove the line %YAML"
        raise ConfigError([Problem("", what)], name)
    return load(text, name, rules).data


def load(text: str, name: str, rules: type[Yaml12] = Yaml12) -> Yaml12:
    """Return what a text means, and its nodes with their places in it.

    A byte order mark is not counted in places; take it off before.

    Raises:
        ConfigError: it is not YAML, or holds more than is read; or with every key given twice, key
            that is no scalar, and tag that is not read.
    """
    try:
        loaded = rules(text)
        problems = list(dict.fromkeys(loaded.problems))
    except yaml.MarkedYAMLError as error:
        problems = [_explain(error, text)]
    except ReaderError as error:
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        what = f"not valid YAML: the character U+{error.character:04X} is not allowed; remove it"
        problems = [Problem("", what, line)]
    if problems:
        raise ConfigError(problems, name)
    return loaded


def _explain(error: yaml.MarkedYAMLError, text: str) -> Problem:
    """Return what PyYAML found wrong, and what to do about it."""
    mark, started = error.problem_mark, error.context_mark
    lines = re.split(f"\r\n|[\r\n{_OLD_ENDS}]", text.rstrip())
    number = min(mark.line, len(lines) - 1)  # the end of a file is below its last line
    what = _WHOLE.get(error.problem, error.problem)
    if not isinstance(error, TooMuchError):
        what = f"not valid YAML: {what}"
    if started is not None and started.line != number and str(error.context).startswith("while"):
        what += f" {error.context} from line {started.line + 1} on"
    advice = [words for part, words in _ADVICE.items() if part in what]
    line = lines[number]
    if "\t" in (*line[: len(line) - len(line.lstrip())], line[mark.column : mark.column + 1]):
        advice = ["there is a tab: indent with spaces"]
    elif re.search(f"[{_OLD_ENDS}]", text):
        advice = ["U+0085, U+2028 and U+2029 end a line: put them into double quotes as `\\u2028`"]
    return Problem("", "; ".join([what, *advice]), number + 1)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes everything out, and quotes what YAML 1.2 would take for a number."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:[0-9_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|"
        r"(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?)$"
    ),
    list("-+.0123456789"),
)


def render_yaml(value: object) -> str:
    """Return a value as YAML, keys in their order.

    Readers of YAML 1.1 and of 1.2 find the same: text that either takes for a number, a date or a
    boolean (``on``, ``1e5``) is quoted.
    """
    text: str = yaml.dump(
        value, None, _Dumper, sort_keys=False, allow_unicode=True, width=100,
        default_flow_style=False,
    )  # fmt: skip
    return text


def write_yaml(path: str | Path, value: object, header: str = "") -> None:
    """Write a value as YAML in one step, below a header of comment lines."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    write_text(path, comments + render_yaml(value))
