"""The headers of token files: NumPy headers, Megatron indices, datatrove metadata.

Each must agree with the size of its file and with `data.dtype`, if that is given.
"""

from __future__ import annotations

import math
import struct
import tokenize
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol, get_args

import numpy as np

from olmix.config import TokenDtype
from olmix.errors import DataError
from olmix.text.file_kind import kind_of

__all__ = [
    "BY_WIDTH",
    "DTYPES",
    "LOCAL",
    "FileReader",
    "Layout",
    "LocalFiles",
    "check_agrees",
    "num_tokens_in",
    "read_datatrove",
    "read_megatron",
    "read_npy",
]

DTYPES: tuple[TokenDtype, ...] = get_args(TokenDtype)
BY_WIDTH: dict[int, TokenDtype] = {np.dtype(name).itemsize: name for name in DTYPES}
_MEGATRON_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 8: 2}
_MEGATRON_HEADER = 34


class FileReader(Protocol):
    """Reads files by their names, wherever they lie."""

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, `None` where there is none."""

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return a part of a file; raises `DataError` where it cannot be read."""


class LocalFiles:
    """Files on this machine."""

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, `None` where there is none."""
        try:
            path = Path(name)
            return path.stat().st_size if path.is_file() else None
        except OSError:
            return None

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return a part of a file."""
        try:
            with Path(name).open("rb") as handle:
                handle.seek(start)
                return handle.read(length)
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error


LOCAL = LocalFiles()


@dataclass(frozen=True)
class Layout:
    """How token ids lie in a file.

    Attributes:
        dtype: type of one of them.
        offset: bytes before the first.
        num_tokens: how many there are.
        is_raw: whether all that tells so is the size of the file: no header, no companion.
    """

    dtype: TokenDtype
    offset: int
    num_tokens: int
    is_raw: bool


def num_tokens_in(name: str, size: int, dtype: TokenDtype, advice: str) -> int:
    """Return the tokens in the bytes of a file; raises `DataError` where a part of one is left."""
    width = np.dtype(dtype).itemsize
    if size % width:
        raise DataError(
            f"{name}: {size} bytes are not a whole number of {dtype} tokens ({width} bytes each). "
            f"{advice}"
        )
    return int(size // width)


def check_agrees(name: str, who: str, found: TokenDtype, dtype: TokenDtype | None) -> None:
    """Check what `who` says of a file against `data.dtype`; raises `DataError`."""
    if dtype is not None and found != dtype:
        raise DataError(f"{name}: {who} says {found}, data.dtype says {dtype}")


def read_npy(name: str, start: bytes, size: int, dtype: TokenDtype | None) -> Layout:
    """Read the header that `numpy.save` writes.

    Args:
        name: the file.
        start: its first bytes.
        size: all of its bytes.
        dtype: what `data.dtype` says, if it is given.

    Raises:
        DataError: it is damaged, cut off, empty, of another type, or holds no whole numbers.
    """
    stream = BytesIO(start)
    try:
        version = np.lib.format.read_magic(stream)
        old = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, _, found = read(stream)
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{name}: its .npy header is damaged: {reason}") from error
    if found.kind not in "iu" or not found.isnative:
        raise DataError(f"{name}: its header says {found}; whole numbers are needed")
    kind = BY_WIDTH[found.itemsize]
    check_agrees(name, "its header", kind, dtype)
    num_tokens, offset = math.prod(shape), stream.tell()
    if size - offset != num_tokens * found.itemsize:
        raise DataError(
            f"{name}: its header says {num_tokens:,} {kind} tokens "
            f"({num_tokens * found.itemsize:,} bytes), {size - offset:,} bytes follow it: the "
            "file is damaged or truncated"
        )
    if num_tokens == 0:
        raise DataError(f"{name}: holds a header and no tokens")
    return Layout(kind, offset, num_tokens, is_raw=False)


def read_megatron(
    name: str, files: FileReader, index: tuple[str, int], size: int, dtype: TokenDtype | None
) -> Layout:
    """Read an index: magic, version, type, sequences, documents; then sizes and byte offsets.

    Args:
        name: the token file.
        files: reads the index.
        index: its name and its bytes.
        size: bytes of the token file.
        dtype: what `data.dtype` says, if it is given.

    Raises:
        DataError: it is damaged, or disagrees with the file or with `dtype`.
    """
    path, length = index
    head = files.read(path, 0, _MEGATRON_HEADER)
    if kind_of(head) != "megatron_index" or len(head) < _MEGATRON_HEADER:
        raise DataError(f"{name}: its .idx is not a Megatron index, or is truncated")
    _, code, sequences, documents = struct.unpack_from("<QBQQ", head, 9)
    if code not in _MEGATRON_WIDTHS:
        raise DataError(f"{name}: its .idx names the type {code}, which is not a type of tokens")
    width = _MEGATRON_WIDTHS[code]
    found = BY_WIDTH[width]
    check_agrees(name, "its .idx", found, dtype)
    needed = _MEGATRON_HEADER + 12 * sequences + 8 * documents
    if length < needed:
        raise DataError(
            f"{name}: its .idx is truncated: {sequences:,} sequences and {documents:,} documents "
            f"take {needed:,} bytes; found {length:,}"
        )
    if sequences == 0:
        raise DataError(f"{name}: its .idx lists no sequences")
    last = files.read(path, _MEGATRON_HEADER + 4 * (sequences - 1), 4)
    begin = files.read(path, _MEGATRON_HEADER + 4 * sequences + 8 * (sequences - 1), 8)
    described = struct.unpack("<q", begin)[0] + width * struct.unpack("<i", last)[0]
    if described != size:
        raise DataError(
            f"{name}: its .idx describes {described:,} bytes ({found}), the file has {size:,}"
        )
    return Layout(found, 0, size // width, is_raw=False)


def read_datatrove(name: str, text: str, size: int, dtype: TokenDtype | None) -> Layout:
    """Read metadata: the tokenizer, `|` and the width in newer releases; then the tokens.

    Args:
        name: the token file.
        text: the metadata.
        size: bytes of the token file.
        dtype: what `data.dtype` says, if it is given.

    Raises:
        DataError: it is damaged, or disagrees with the file or with `dtype`.
    """
    lines = text.split("\n")
    said = lines[0].rpartition("|")[2].strip() if "|" in lines[0] else ""
    count = lines[1].strip() if len(lines) > 1 else ""
    tokens = int(count) if count.isascii() and count.isdigit() and len(count) < 20 else None
    width = int(said) if said in {"1", "2", "4", "8"} else 0
    if not width and tokens:
        width = size // tokens
    if width not in BY_WIDTH:
        raise DataError(
            f"{name}.metadata: found {lines[0][:60]!r}; expected TOKENIZER|WIDTH and a line with "
            "the number of tokens"
        )
    found = BY_WIDTH[width]
    check_agrees(name, "its metadata", found, dtype)
    if tokens is not None and tokens * width != size:
        raise DataError(
            f"{name}: its metadata says {tokens:,} tokens of {width} bytes, the file has {size:,} "
            "bytes"
        )
    advice = "Check its .metadata"
    return Layout(found, 0, num_tokens_in(name, size, found, advice), is_raw=False)
