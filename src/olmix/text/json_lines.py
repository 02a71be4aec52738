"""Texts in files of JSON lines, as they lie or compressed, read line by line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from olmix.errors import DataError, needs
from olmix.text.file_kind import BOM, Compression

__all__ = [
    "TextLine",
    "found_in_words",
    "not_unicode",
    "read_block",
    "read_lines",
    "read_texts",
    "unpack",
]

_BLOCK_BYTES = 1 << 20
_SHOWN = 40


@dataclass(frozen=True)
class TextLine:
    """One line of a file of JSON lines.

    Attributes:
        number: its number, from 1.
        text: the text of its field; `None` where there is none.
        problem: what is wrong with it; empty where it has a text.
    """

    number: int
    text: str | None
    problem: str = ""


def unpack(name: str, stream: IO[bytes], compression: Compression) -> IO[bytes]:
    """Return what a compressed stream holds, unpacked as it is read.

    Raises:
        MissingPackageError: pyarrow, which reads zstd, is not installed.
    """
    if compression == "gzip":
        return gzip.open(stream)  # type: ignore[return-value]
    if compression == "xz":
        return lzma.open(stream)
    if compression == "bzip2":
        return bz2.open(stream)
    with needs("storage", f"Reading zstd data ({name})"):
        import pyarrow as pa
    source = pa.PythonFile(stream, mode="r")
    return pa.CompressedInputStream(source, "zstd")  # type: ignore[no-any-return]


def read_lines(name: str, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    r"""Yield the lines that are not blank with their numbers, from 1; they end with \n, \r or both.

    Raises:
        DataError: the data is damaged or truncated; it names the last line that could be read.
    """
    number = 0
    pending = b""
    while block := read_block(name, stream, _BLOCK_BYTES, number):
        *whole, pending = (pending + block).split(b"\n")
        for line in whole:
            for part in line.removesuffix(b"\r").split(b"\r"):
                number += 1
                if part.strip():
                    yield number, part
    for part in pending.removesuffix(b"\r").split(b"\r"):
        number += 1
        if part.strip():
            yield number, part


def read_block(name: str, stream: IO[bytes], length: int, number: int = 0) -> bytes:
    """Return the next bytes of a stream that may be compressed.

    Args:
        name: the file.
        stream: at the place to read from.
        length: bytes to read, less at the end.
        number: lines that are read already, for the error.

    Raises:
        DataError: the data is damaged or truncated.
    """
    try:
        return stream.read(length)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        where = f" after line {number:,}" if number else ""
        raise DataError(f"{name}: is damaged or truncated{where}: {error}") from error


def read_texts(name: str, stream: IO[bytes], field: str) -> Iterator[TextLine]:
    """Yield every line of a file of JSON lines, those without a usable text too.

    Raises:
        DataError: the data is damaged or truncated.
    """
    for number, line in read_lines(name, stream):
        try:
            content = json.loads(line.removeprefix(BOM if number == 1 else b"").decode())
        except UnicodeDecodeError as error:
            yield TextLine(number, None, f"is not UTF-8 (byte {error.start + 1})")
            continue
        except RecursionError:
            yield TextLine(number, None, "is nested too deeply")
            continue
        except ValueError as error:
            reason = str(error).partition(":")[0]
            yield TextLine(number, None, f"is not JSON ({reason}): {_shown(line)}")
            continue
        yield _text_of(number, content, field)


def _text_of(number: int, content: object, field: str) -> TextLine:
    if not isinstance(content, dict):
        found = found_in_words(content)
        return TextLine(number, None, f"found {found}; an object with the field {field} is needed")
    if field not in content:
        keys = ", ".join(map(str, list(content)[:6])) or "no field at all"
        return TextLine(number, None, f"has no field {field}; it has {keys}")
    text = content[field]
    if not isinstance(text, str):
        found = found_in_words(text)
        return TextLine(number, None, f"found {found} in the field {field}; a text is needed")
    wrong = not_unicode(text)
    return TextLine(number, None if wrong else text, wrong)


def not_unicode(text: str) -> str:
    """Return what UTF-8 cannot hold of a text: JSON may spell out half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        return f"found half of a surrogate pair (U+{code:04X}), which no text holds"
    return ""


def found_in_words(value: object) -> str:
    """Return a value of JSON in a few words, for an error."""
    if isinstance(value, dict | list | bytes):
        return {dict: "an object", list: "a list", bytes: "bytes"}[type(value)]
    return _shown(json.dumps(value, default=str).encode())


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace").strip()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
