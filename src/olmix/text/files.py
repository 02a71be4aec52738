"""Writing files so that a killed process leaves the old one or the new one, never a half.

A file is written beside its place, flushed to the disk and renamed into it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from olmix.errors import DataError

__all__ = [
    "atomic_path",
    "digest",
    "read_json",
    "write_bytes",
    "write_json",
    "write_text",
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


def digest(value: Any, length: int = 8) -> str:
    """Return a short hash of a value that JSON can hold; key order does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode()).hexdigest()[:length]
