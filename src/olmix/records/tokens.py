"""Token files: headerless arrays of token ids, documents ended by the EOS token."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olmix.errors import DataError

__all__ = ["NUMPY_MAGIC", "byte_lengths", "expand", "fingerprint", "open_tokens"]

NUMPY_MAGIC = b"\x93NUMPY"
"""How a file begins that `numpy.save` wrote; raw token files have no header."""

_SAMPLE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 14


def expand(patterns: Sequence[str], what: str) -> tuple[Path, ...]:
    """Return the files that local paths and patterns (``**`` allowed) stand for, sorted.

    Args:
        patterns: local paths or glob patterns.
        what: what they are, for the error: such as ``domain wikipedia``.

    Raises:
        DataError: names every pattern without a file, and every URL.
    """
    files: dict[Path, None] = {}
    missing = []
    for pattern in patterns:
        if "://" in pattern:
            missing.append(f"{pattern}: only local files can be read by this release")
            continue
        if Path(pattern).is_file():
            found = [pattern]  # taken as it stands, even where the name holds a * or a [
        else:
            found = sorted(
                name
                for name in glob.iglob(pattern, recursive=True)  # noqa: PTH207, pathlib has no absolute patterns
                if Path(name).is_file()
            )
        if not found:
            missing.append(f"{pattern}: no such file")
        files.update(dict.fromkeys(Path(name) for name in found))
    if missing:
        raise DataError("\n".join(f"{what}: {line}" for line in missing))
    return tuple(files)


def open_tokens(path: str | Path, dtype: str) -> NDArray[np.unsignedinteger]:
    """Map one token file into memory, read-only.

    Raises:
        DataError: the file is empty, unreadable, or its size is no multiple of the dtype's.
    """
    try:
        size = Path(path).stat().st_size
        width = np.dtype(dtype).itemsize
        if size == 0 or size % width:
            raise DataError(
                f"{path}: {size} bytes are no whole number of {dtype} tokens "
                f"({width} bytes each). Check `data.dtype`."
            )
        return np.memmap(path, dtype=dtype, mode="r")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def fingerprint(paths: Sequence[Path]) -> str:
    """Return a hash of the contents of token files, independent of where they lie.

    Files above 1 MiB are sampled: 64 evenly spaced blocks of 16 KiB and the size. Replacing or
    re-tokenising a file changes it; a few bytes edited in a large file may not.
    """
    total = hashlib.blake2b(digest_size=16)
    for path in paths:
        size = path.stat().st_size
        total.update(size.to_bytes(8, "little"))
        with path.open("rb") as handle:
            if size <= _SAMPLE_BYTES:
                total.update(handle.read())
                continue
            blocks = _SAMPLE_BYTES // _BLOCK_BYTES
            for index in range(blocks):
                handle.seek(index * (size - _BLOCK_BYTES) // (blocks - 1))
                total.update(handle.read(_BLOCK_BYTES))
    return total.hexdigest()


def byte_lengths(tokenizer: str | Path) -> NDArray[np.int32]:
    """Return how many bytes of text each token of a byte-level BPE stands for, shape (V,).

    In a byte-level vocabulary one character stands for one byte. Special tokens, such as EOS,
    stand for none.

    Raises:
        DataError: the file is no `tokenizer.json` with a byte-level vocabulary.
    """
    path = Path(tokenizer)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = content["model"]["vocab"]
        special = {entry["id"] for entry in content["added_tokens"]}
        kinds = json.dumps([content["pre_tokenizer"], content["decoder"]])
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such tokenizer file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: this is no tokenizer.json: {error!r}") from error
    if "ByteLevel" not in kinds:
        raise DataError(f"{path}: bits per byte need a byte-level BPE; this tokenizer is none.")
    lengths = np.zeros(max([*vocabulary.values(), *special]) + 1, dtype=np.int32)
    for token, index in vocabulary.items():
        lengths[index] = 0 if index in special else len(token)
    return lengths
