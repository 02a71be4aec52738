"""Writing files so that a killed process leaves the old one or the new one, never a half.

A file is written beside its place, flushed to the disk and renamed into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from olmix.errors import DataError

__all__ = [
    "atomic_path",
    "digest",
    "read_json",
    "render_yaml",
    "write_bytes",
    "write_json",
    "write_text",
    "write_yaml",
]


@contextmanager
def atomic_path(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a path beside `path` to write to; on success it takes the place of `path`.

    Without `sync` a power failure may lose the file, a killed process may not: for many files that
    a command makes again.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield beside
        if sync:
            with beside.open("rb") as handle:
                os.fsync(handle.fileno())
        beside.replace(target)
        if sync:
            _sync_folder(target.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Let a file's new name reach the disk; file systems that cannot are left alone."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def write_bytes(path: str | Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file in one step."""
    with atomic_path(path, sync=sync) as beside:
        beside.write_bytes(content)


def write_text(path: str | Path, content: str, *, sync: bool = True) -> None:
    """Write a text file in one step."""
    write_bytes(path, content.encode("utf-8"), sync=sync)


def write_json(path: str | Path, value: Any, *, sync: bool = True) -> None:
    """Write a value as JSON in one step; numbers that JSON cannot hold are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", sync=sync)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error


def json_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of the lines of a text of JSON lines that hold anything.

    Only a newline ends one: a JSON string may hold U+2028, U+0085 and their like as they are. A
    byte order mark is passed over.
    """
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            yield number, line


def render_yaml(value: Any) -> str:
    """Return a value as YAML, keys in their order.

    Readers of YAML 1.1 and of 1.2 find the same: text that either takes for a number, a date or a
    boolean (``on``, ``1e5``) is quoted.
    """
    import yaml

    text: str = yaml.dump(
        value, None, _dumper(), sort_keys=False, allow_unicode=True, width=100,
        default_flow_style=False,
    )  # fmt: skip
    return text


@lru_cache
def _dumper() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]  # the C part may be missing
        """Writes everything out, and quotes what YAML 1.2 would take for a number."""

        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    numeric = re.compile(
        r"[-+]?(?:[0-9_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|"
        r"(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?)$"
    )
    Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))
    Dumper.add_implicit_resolver("tag:yaml.org,2002:float", numeric, list("-+.0123456789"))
    return Dumper


def write_yaml(path: str | Path, value: Any, header: str = "") -> None:
    """Write a value as YAML in one step, below a header of comment lines."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    write_text(path, comments + render_yaml(value))


def digest(value: Any, length: int = 8) -> str:
    """Return a short hash of a value that JSON can hold; key order does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode()).hexdigest()[:length]
