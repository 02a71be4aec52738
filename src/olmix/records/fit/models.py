"""`models.json` as a file: which formats are read. The laws in it: `fit/models_file`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmix.errors import DataError
from olmix.text.files import read_json

__all__ = ["BEST_TENTH", "MODELS_FILE", "MODELS_FORMAT", "OUTERMOST_TENTH", "read_models"]

MODELS_FILE = "models.json"
MODELS_FORMAT = 5
_READ = (3, 4, 5)
"""Formats that are read: what 4 and 5 added (rows for points, shared bases) may be absent."""
BEST_TENTH, OUTERMOST_TENTH = "best_tenth", "outermost_tenth"
"""Keys of what laws predict of these mixtures without having seen them."""
_MOST_BYTES = 1 << 32


def read_models(file: Path) -> Mapping[str, Any]:
    """Return the content of a `models.json`.

    Raises:
        DataError: it is missing, too large, no JSON object, or of a format that this release does
            not read.
    """
    size = file.stat().st_size if file.is_file() else 0  # reading says that it is not there
    if size > _MOST_BYTES:
        raise DataError(f"{file}: {size:,} bytes; at most {_MOST_BYTES:,} are read. Fit again")
    plain = read_json(file)
    if not isinstance(plain, dict) or "format" not in plain:
        raise DataError(f"{file}: cannot be read as fitted laws: it names no format. Fit again")
    if plain["format"] not in _READ:
        raise DataError(
            f"{file}: format {plain['format']}; this release reads {_READ[0]} to {_READ[-1]}. "
            "Fit again"
        )
    return plain
