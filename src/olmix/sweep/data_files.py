"""Files of training data: their format, by their suffix, and how many rows they hold."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from olmix.text.files import json_lines

__all__ = ["count_rows", "format_of"]

_MAX_BYTES = 2**28
_FORMATS: Mapping[str, str] = {
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
    ".arrow": "arrow",
}
_PACKED = {".gz", ".bz2", ".xz", ".zst"}


def format_of(files: object) -> str | None:
    """Return the format, as `datasets` calls it, that all files of a data set have.

    Args:
        files: a name, a list of names, or names by split; `None` gives `None`.
    """
    formats = {_format(name) for name in _names(files)}
    return formats.pop() if len(formats) == 1 else None


def _names(files: Any) -> Iterator[str]:
    """Yield the names of data files, which may be given by split, or as lists."""
    if isinstance(files, str):
        yield files
    elif isinstance(files, Mapping | list):
        for entry in files.values() if isinstance(files, Mapping) else files:
            yield from _names(entry)


def _format(name: str) -> str | None:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _FORMATS.get(suffixes[-1]) if suffixes else None


@functools.cache
def count_rows(path: str) -> int | None:
    """Return the rows of a file of JSON, a list or one object a line; `None` if unreadable."""
    file = Path(path)
    try:
        if not file.is_file() or file.stat().st_size > _MAX_BYTES:
            return None
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    if text.lstrip().startswith("["):
        try:
            return len(json.loads(text))
        except ValueError:
            return None
    return sum(1 for _ in json_lines(text))
