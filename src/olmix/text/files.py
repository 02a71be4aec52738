"""Writing files so that a killed process leaves the old one or the new one, never a half.

A file is written beside its place, flushed to the disk and renamed into it.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from olmix.errors import DataError

__all__ = [
    "atomic_path",
    "cache_root",
    "digest",
    "folder_beside",
    "is_shallow",
    "read_json",
    "read_records",
    "replace_link",
    "write_bytes",
    "write_json",
    "write_text",
]

MAX_DEPTH = 64
"""Lists and objects within one another that a record may have."""
_MAX_DIGITS = 300
"""Digits of a whole number that a float can hold, a little less."""


def cache_root() -> Path:
    """Return where things that can be made again lie: `$OLMIX_CACHE_DIR` or `~/.cache/olmix`."""
    given = os.environ.get("OLMIX_CACHE_DIR")
    return Path(given) if given else Path.home() / ".cache" / "olmix"


@contextmanager
def atomic_path(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a path beside `path` to write to; on success it takes the place of `path`.

    Without `sync` a power failure may lose the file, a killed process may not: for many files that
    a command makes again.
    """
    target = Path(path)
    beside = _place_beside(target)
    try:
        yield beside
        if sync:
            with beside.open("rb") as handle:
                os.fsync(handle.fileno())
        beside.replace(target)
        if sync:
            _sync_folder(target.parent)
    except OSError as error:
        # A full disk names no file; others name one that is gone when this is read.
        if error.errno is None or error.filename not in (None, str(beside)):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def folder_beside(path: str | Path) -> Iterator[Path]:
    """Give an empty folder beside `path`, to fill it and to rename it into place.

    What is still there at the end is removed.
    """
    beside = _place_beside(Path(path))
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def replace_link(link: str | Path, target: str) -> None:
    """Let a symbolic link point at another folder, in one step."""
    beside = _place_beside(Path(link))
    beside.unlink(missing_ok=True)
    beside.symlink_to(target, target_is_directory=True)
    beside.replace(link)


def _place_beside(target: Path) -> Path:
    """Return where a file, link or folder is written before it is renamed to `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target.parent)
    return target.with_name(f".{target.name}.{_this_machine()}-{os.getpid()}.tmp")


_LEFTOVER = re.compile(r"\..+\.(?:([0-9a-f]{8})-)?([0-9]{1,9})\.tmp")
"""Name of what is being written: machine and process. Earlier releases left the machine out."""


@lru_cache
def _this_machine() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


_MANY = 500
_crowded: set[Path] = set()
"""Folders of many files that were looked through: in every one of thousands it takes a while."""


def _remove_leftovers(folder: Path) -> None:
    """Remove what dead processes of this machine were writing into a folder."""
    if folder in _crowded:
        return
    with suppress(OSError):
        entries = list(os.scandir(folder))
        if len(entries) > _MANY:
            _crowded.add(folder)
        for entry in entries:
            match = _LEFTOVER.fullmatch(entry.name)
            if match is None or match[1] not in (None, _this_machine()):
                continue
            if _is_alive(int(match[2])):
                continue
            if entry.is_file(follow_symlinks=False) or entry.is_symlink():
                Path(entry.path).unlink()
            elif match[1] is not None:  # a folder needs the surer name
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


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


def write_json(path: str | Path, value: object, *, sync: bool = True) -> None:
    """Write a value as JSON in one step; numbers that JSON cannot hold are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", sync=sync)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:  # also numbers of more digits than Python reads
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error
    except RecursionError:
        raise DataError(f"{path}: cannot be read as JSON: it is nested too deeply") from None


def json_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of the lines of a text of JSON lines that hold anything.

    Only a newline ends one: a JSON string may hold U+2028, U+0085 and their like as they are. A
    byte order mark is skipped.
    """
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            yield number, line


def read_records(content: bytes) -> Iterator[dict[str, object]]:
    """Yield the JSON objects among lines, as logs hold them.

    A line feed alone ends a line: text may hold line breaks of Unicode. What is no object is passed
    over, such as a line that a crash cut off, and so is one that is nested deeper than
    `MAX_DEPTH`. A byte order mark and bytes that are not UTF-8 cost nothing but themselves;
    numbers too large for a float are infinite.
    """
    for line in content.removeprefix(codecs.BOM_UTF8).split(b"\n"):
        try:
            record = _LINES.decode(line.decode("utf-8", errors="replace"))
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and is_shallow(record):
            yield record


def is_shallow(value: object, depth: int = MAX_DEPTH) -> bool:
    """Whether a decoded value holds no more than `depth` lists and objects in one another."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(is_shallow(each, depth - 1) for each in inner)


def _whole(digits: str) -> float:
    """Return a whole number; one too large for a float is infinite, as it is with a point."""
    return int(digits) if len(digits) < _MAX_DIGITS else float(digits)


_LINES = json.JSONDecoder(parse_int=_whole, strict=False)


def digest(value: Any, length: int = 8) -> str:
    """Return a short hash of a value that JSON can hold; key order does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode()).hexdigest()[:length]
