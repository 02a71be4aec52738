"""Counts of object storage, kept so that a bucket is not listed twice.

An entry is one JSON file below ``$OLMIX_CACHE_DIR/priors`` or ``~/.cache/olmix/priors``. Its name
is a hash of all that the counts depend on: every path of every domain, the scheme's endpoint and
profile, the dtype, the columns and the tokenizer. It holds the time and the sizes that were found.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from olmix.config import DataConfig
from olmix.errors import DataError
from olmix.records.storage.buckets import endpoint_of
from olmix.text.files import cache_root, digest, read_json, write_json

__all__ = ["cache_file", "read_cache", "write_cache"]

FORMAT = 2


def cache_file(data: DataConfig, schemes: tuple[str, ...]) -> Path:
    """Return where the counts of a data section are kept."""
    reached = {}
    for scheme in schemes:
        settings = data.storage.get(scheme)  # type: ignore[call-overload]
        profile = os.environ.get(f"{scheme.upper()}_PROFILE")
        reached[scheme] = [
            endpoint_of(scheme, settings),
            profile if settings is None else settings.to_plain(),
        ]
    key = {
        "format": FORMAT,
        "paths": {domain: list(data.paths_of(domain)) for domain in data.domains},
        "dtype": data.dtype,
        "parquet_column": data.parquet_column,
        "text_field": data.text_field,
        "tokenizer": data.tokenizer,
        "reached": reached,
    }
    return cache_root() / "priors" / f"{digest(key, 16)}.json"


def read_cache(file: Path) -> dict[str, Any] | None:
    """Return an entry, `counted` (seconds since 1970) and `domains`, where there is a whole one."""
    try:
        found = read_json(file)
        return dict(found) if found["format"] == FORMAT and found["domains"] else None
    except (DataError, KeyError, TypeError):
        return None


def write_cache(file: Path, domains: list[dict[str, object]]) -> None:
    """Keep the counts of all domains."""
    write_json(file, {"format": FORMAT, "counted": round(time.time()), "domains": domains})
