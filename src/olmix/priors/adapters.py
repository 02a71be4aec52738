"""How many tokens a file holds, by what kind of file it is.

| file | tokens |
|---|---|
| `*.parquet` | ids in the column `data.parquet_column`, which holds lists of ids or one id a row |
| `*.jsonl`, `*.jsonl.gz` | the field `data.text_field` through `data.tokenizer` |
| `X.bin` beside `X.idx` | Megatron: bytes / the width that the index says |
| `*.ds` | datatrove: bytes / the width in `*.ds.metadata`, or of `data.dtype` |
| all others | bytes / the width of `data.dtype`; a real `.npy` header is subtracted |

Companions (`.idx`, `.ds.index`, `.ds.metadata`, `.csv.gz` document tables) are never counted.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np

from olmix.config import DataConfig
from olmix.errors import DataError, MissingPackageError
from olmix.records.tokens import NUMPY_MAGIC

__all__ = ["Fetch", "Reader", "is_companion", "kind_of", "npy_header", "tokens_in"]

_MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
_MEGATRON_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 8: 2}
_COMPANIONS = (".idx", ".ds.index", ".ds.metadata", ".ds.loss", ".csv.gz", ".metadata.json")

Reader = Callable[[int, int], bytes]
"""(start, length) to bytes of a file."""
Fetch = Callable[[str, int | None], bytes]
"""(name, length or all of it) to bytes of another file; raises `DataError` where there is none."""


def is_companion(name: str) -> bool:
    """Return whether a file only describes another one."""
    return name.endswith(_COMPANIONS)


def kind_of(name: str, siblings: Callable[[str], bool]) -> str:
    """Return `parquet`, `jsonl`, `megatron`, `datatrove` or `array`.

    Args:
        name: path or URL of the file.
        siblings: whether a file of a given name exists.
    """
    if name.endswith(".parquet"):
        return "parquet"
    if name.endswith((".jsonl", ".jsonl.gz")):
        return "jsonl"
    if name.endswith(".bin") and siblings(name.removesuffix(".bin") + ".idx"):
        return "megatron"
    return "datatrove" if name.endswith(".ds") else "array"


def tokens_in(
    name: str,
    kind: str,
    size: int,
    read: Reader,
    read_other: Fetch,
    data: DataConfig,
) -> int:
    """Return the tokens of one file.

    Args:
        name: path or URL.
        kind: as `kind_of` says; an `array` is taken as headerless.
        size: bytes of the file.
        read: reads a part of it.
        read_other: reads a companion.
        data: the dtype, the tokenizer, and the names of columns and fields.

    Raises:
        DataError: the file is empty, damaged, or of an odd size.
        MissingPackageError: the package that reads it is not installed.
    """
    if size == 0:
        raise DataError(f"{name}: is empty")
    if kind == "parquet":
        return _parquet(name, read(0, size), data.parquet_column)
    if kind == "jsonl":
        return _jsonl(name, read(0, size), data)
    width = np.dtype(data.dtype).itemsize
    what = f"{data.dtype} tokens ({width} bytes each). Check data.dtype"
    if kind == "megatron":
        width = _megatron_width(name, read_other(name.removesuffix(".bin") + ".idx", 34))
        what = f"tokens of {width} bytes, as its index says"
    elif kind == "datatrove":
        width = _datatrove_width(name, read_other, width)
        what = f"tokens of {width} bytes"
    if size % width:
        raise DataError(f"{name}: {size} bytes are no whole number of {what}.")
    return size // width


def npy_header(name: str, start: bytes, dtype: str) -> int | None:
    """Return the bytes before the array in a real `.npy` file, or ``None`` for a bare array.

    Raises:
        DataError: its header is damaged, or says another dtype.
    """
    if not start.startswith(NUMPY_MAGIC):
        return None
    stream = BytesIO(start)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        _, _, found = read(stream)
    except ValueError as error:
        raise DataError(f"{name}: its .npy header is damaged: {error}") from error
    if found != np.dtype(dtype):
        raise DataError(f"{name}: its header says {found}, data.dtype says {dtype}")
    return stream.tell()


def _megatron_width(name: str, index: bytes) -> int:
    if not index.startswith(_MEGATRON_MAGIC) or len(index) < 34:
        raise DataError(f"{name}: its .idx is no Megatron index")
    (code,) = struct.unpack_from("<B", index, 17)
    if code not in _MEGATRON_WIDTHS:
        raise DataError(f"{name}: its .idx names the dtype {code}, which holds no tokens")
    return _MEGATRON_WIDTHS[code]


def _datatrove_width(name: str, read_other: Fetch, default: int) -> int:
    """Return the width in the first line of the metadata, `TOKENIZER|WIDTH`."""
    try:
        first = read_other(f"{name}.metadata", None).decode("utf-8", "replace").partition("\n")[0]
    except DataError:
        return default
    width = first.rpartition("|")[2]
    if width not in {"1", "2", "4", "8"}:
        raise DataError(f"{name}.metadata: found {first[:60]!r}; TOKENIZER|WIDTH is needed")
    return int(width)


def _parquet(name: str, content: bytes, column: str) -> int:
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingPackageError("pyarrow", "storage", "Counting parquet files") from None
    try:
        file = pq.ParquetFile(BytesIO(content))
        if column not in file.schema_arrow.names:
            found = ", ".join(file.schema_arrow.names)
            raise DataError(f"{name}: no column {column}; it has {found}. Set data.parquet_column")
        total = 0
        for batch in file.iter_batches(columns=[column]):
            values: Any = batch.column(0)
            nested = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
            if nested:
                total += pc.sum(pc.list_value_length(values)).as_py() or 0
            elif pa.types.is_integer(values.type):
                total += len(values) - values.null_count
            else:
                raise DataError(f"{name}: the column {column} holds {values.type}, no token ids")
    except pa.ArrowInvalid as error:
        raise DataError(f"{name}: cannot be read as parquet: {error}") from error
    return total


def _jsonl(name: str, content: bytes, data: DataConfig) -> int:
    if data.tokenizer is None:
        raise DataError(f"{name}: counting texts needs data.tokenizer, a tokenizer.json")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingPackageError("tokenizers", "prepare", "Counting texts") from None
    try:
        lines = (gzip.decompress(content) if name.endswith(".gz") else content).splitlines()
        texts = [json.loads(line)[data.text_field] for line in lines if line.strip()]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{name}: a JSON object with the field {data.text_field} is needed in each line: "
            f"{error!r}"
        ) from error
    try:
        tokenizer = Tokenizer.from_file(data.tokenizer)
    except Exception as error:
        raise DataError(f"{data.tokenizer}: this is no tokenizer.json: {error}") from error
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return sum(len(entry.ids) for entry in encoded)
