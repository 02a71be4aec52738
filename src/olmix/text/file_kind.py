"""Which kind of file it is, told by how its bytes begin and never by its name."""

from __future__ import annotations

import re
from typing import Literal

__all__ = [
    "BOM",
    "COMPRESSIONS",
    "SNIFFED_BYTES",
    "Compression",
    "FileKind",
    "describe",
    "is_text",
    "kind_of",
]

Compression = Literal["gzip", "zstd", "xz", "bzip2"]
FileKind = Literal[
    "gzip", "zstd", "xz", "bzip2", "npy", "parquet", "megatron_index", "arrow", "arrow_stream",
    "git_lfs", "zip", "pickle", "lz4", "snappy", "7z", "rar", "tar", "hdf5", "pdf", "png", "jpeg",
    "sqlite", "safetensors", "llm_c", "lzma", "utf_16", "json", "text", "binary",
]  # fmt: skip

COMPRESSIONS: tuple[Compression, ...] = ("gzip", "zstd", "xz", "bzip2")
SNIFFED_BYTES = 4096
"""Bytes from the start of a file that `kind_of` wants to see."""
BOM = b"\xef\xbb\xbf"

_LEAST_TEXT = 16
"""Bytes below which printable bytes may as well be a few token ids."""
_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (rb"\x93NUMPY", "npy"),
    (rb"PAR[1E]", "parquet"),
    (rb"\x28\xb5\x2f\xfd", "zstd"),
    # Method, flags, time, speed and system, so that two token ids are not taken for it.
    (rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", "gzip"),
    (rb"\xfd7zXZ\x00", "xz"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "bzip2"),
    (rb"MMIDIDX\x00", "megatron_index"),
    (rb"ARROW1\x00\x00", "arrow"),
    (rb"\xff\xff\xff\xff..[\x00-\xff]\x00\x10\x00\x00\x00", "arrow_stream"),
    (rb"version https://git-lfs", "git_lfs"),
    (rb"PK(?:\x03\x04|\x05\x06)", "zip"),
    (rb"\x80[\x04\x05]\x95.{4}\x00{4}", "pickle"),
    (rb"\x80[\x02\x03](?:[]}]q\x00|c[a-z_]{4})", "pickle"),
    (rb"\x04\x22\x4d\x18", "lz4"),
    (rb"\xff\x06\x00\x00sNaPpY", "snappy"),
    (rb"7z\xbc\xaf\x27\x1c", "7z"),
    (rb"Rar!\x1a\x07", "rar"),
    (rb".{257}ustar", "tar"),
    (rb"\x89HDF\r\n", "hdf5"),
    (rb"%PDF-", "pdf"),
    (rb"\x89PNG\r\n", "png"),
    (rb"\xff\xd8\xff[\xdb\xe0\xe1\xee]", "jpeg"),
    (rb"SQLite format 3\x00", "sqlite"),
    (rb'.{5}\x00{3}\{"', "safetensors"),
    # The first two of 256 integers: 20240520 for uint16, 20240801 for uint32; then a version.
    (rb"(?:\x88\xd8|\xa1\xd9)\x34\x01[\x01-\x0f]\x00\x00\x00", "llm_c"),
    # Its dictionary is 8 MiB where nobody chose another, and its length is not known beforehand.
    (rb"\x5d\x00\x00\x80\x00\xff{8}", "lzma"),
    (rb"\xff\xfe(?:[\t\n\r -~]\x00){8}|\xfe\xff(?:\x00[\t\n\r -~]){8}", "utf_16"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _MAGIC)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_DESCRIPTIONS: dict[FileKind, str] = {
    "gzip": "gzip data",
    "zstd": "zstd data",
    "xz": "xz data",
    "bzip2": "bzip2 data",
    "npy": "a NumPy array with a header",
    "parquet": "a parquet file",
    "megatron_index": "a Megatron index (.idx); name the .bin beside it",
    "arrow": "an Arrow file; save it as parquet (pyarrow.parquet.write_table)",
    "arrow_stream": (
        "Arrow data of a Hugging Face dataset; save its tokens as parquet (dataset.to_parquet)"
    ),
    "git_lfs": "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    "zip": "a zip archive (as .npz and .pt files are); unpack it, or save raw tokens with tofile()",
    "pickle": "a Python pickle; if you trust it, load it and save raw tokens with tofile()",
    "lz4": "lz4 data; unpack it with `lz4 -d`",
    "snappy": "snappy data; unpack it first",
    "7z": "a 7z archive; unpack it first",
    "rar": "a rar archive; unpack it first",
    "tar": "a tar archive; unpack it with `tar -xf`",
    "hdf5": "an HDF5 file; save its tokens raw (h5py, tofile())",
    "pdf": "a PDF",
    "png": "an image",
    "jpeg": "an image",
    "sqlite": "an SQLite database",
    "safetensors": "a safetensors file; save its tokens raw with tofile()",
    "llm_c": "a shard of llm.c with a header of 1,024 bytes; remove it with `tail -c +1025`",
    "lzma": "lzma data without the container of .xz; unpack it with `unlzma`",
    "utf_16": "text in UTF-16; write it as UTF-8 (`iconv -f UTF-16 -t UTF-8`)",
    "json": "JSON",
    "text": "text; `olmix prepare` makes tokens of texts",
    "binary": "binary data of an unknown kind",
}


def kind_of(start: bytes) -> FileKind:
    """Return the kind of a file.

    Args:
        start: its first `SNIFFED_BYTES`, or all of a shorter file.

    Returns:
        `json` for text that begins with a brace or a bracket; `binary` for what has no mark, as
        raw token ids have none.
    """
    for pattern, kind in _PATTERNS:
        if pattern.match(start):
            return kind
    if len(start) >= _LEAST_TEXT and is_text(start):
        return "json" if start.removeprefix(BOM).lstrip()[:1] in (b"{", b"[") else "text"
    return "binary"


def is_text(start: bytes) -> bool:
    """Whether bytes are printable UTF-8; the last character may be cut."""
    if _CONTROL.search(start):
        return False
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.end == len(start) and error.start >= len(start) - 3 and error.start > 0
    return True


def describe(kind: FileKind) -> str:
    """Return a kind in words, with what would read it: the end of "this is ..."."""
    return _DESCRIPTIONS[kind]
