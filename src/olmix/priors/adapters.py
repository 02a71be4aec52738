"""How many tokens a file holds, by what kind of file its first bytes say it is.

| content | tokens |
|---|---|
| parquet | ids in the column `data.parquet_column`, which holds lists of ids or one id a row |
| JSON lines, also in gzip, zstd, xz, bzip2 | the field `data.text_field` through `data.tokenizer` |
| arrays of ids: raw, `.npy`, Megatron, datatrove | as `olmix.records.token_files` says |

All others are refused by name. Companions (`.idx`, `.ds.index`, `.ds.metadata`, `.csv.gz` document
tables) are never counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import IO, Any

from olmix.config import DataConfig, TokenDtype
from olmix.errors import DataError, needs
from olmix.records.storage.files import Files
from olmix.records.token_files import ending_of, read_layout
from olmix.text.file_kind import (
    BOM,
    COMPRESSIONS,
    SNIFFED_BYTES,
    Compression,
    FileKind,
    describe,
    kind_of,
)
from olmix.text.json_lines import read_block, read_texts, unpack

__all__ = ["FileCount", "FileCounter"]

_PACKED = (".gz", ".zst", ".zstd", ".xz", ".bz2")
_JSON_NAMES = (".jsonl", ".ndjson", ".json")
_BATCH = 1_000
_SHOWN = 3
_SET_COLUMN = "Set data.parquet_column to the column of token ids"


@dataclass(frozen=True)
class FileCount:
    """The counts of one file.

    Attributes:
        num_tokens: its tokens.
        dtype: type of its ids; `None` where it is no array.
        is_raw: whether its size alone tells how many.
    """

    num_tokens: int
    dtype: TokenDtype | None = None
    is_raw: bool = False


class FileCounter:
    """Counts the tokens of one file after the other.

    Args:
        files: reads them.
        data: the dtype, the tokenizer, and the names of columns and fields.
    """

    def __init__(self, files: Files, data: DataConfig) -> None:
        self._files, self._data = files, data
        self._tokenizer: object = None
        self._lock = Lock()

    def count(self, name: str) -> FileCount:
        """Count one file.

        Raises:
            DataError: the file is empty, damaged, or holds no tokens and no texts.
            MissingPackageError: the package that reads it is not installed.
        """
        size = self._files.size(name)
        start = self._files.read(name, 0, min(SNIFFED_BYTES, size)) if size else b""
        kind = kind_of(start)
        if kind == "parquet":
            return FileCount(self._parquet(name))
        if kind in COMPRESSIONS:
            return FileCount(self._packed(name, kind))
        if _is_json_lines(name, kind, start):
            with self._files.open(name) as stream:
                return FileCount(self._texts(name, stream))
        layout = read_layout(name, self._files, self._data.dtype)
        return FileCount(layout.num_tokens, layout.dtype, layout.is_raw)

    def _packed(self, name: str, kind: Compression) -> int:
        """Count what is in compressed data, if it is JSON lines."""
        with self._files.open(name) as packed, unpack(name, packed, kind) as stream:
            start = read_block(name, stream, SNIFFED_BYTES)
        inner = kind_of(start)
        if start and not _is_json_lines(name, inner, start):
            raise DataError(
                f"{name}: {kind} data that holds {describe(inner)}; compressed files are read "
                "only if they hold JSON lines: unpack it"
            )
        with self._files.open(name) as packed, unpack(name, packed, kind) as stream:
            return self._texts(name, stream)

    def _texts(self, name: str, stream: IO[bytes]) -> int:
        """Count the tokens of the texts in JSON lines."""
        tokenizer = self._load_tokenizer(name)
        wrong: list[str] = []
        num_wrong = 0

        def texts() -> Iterator[str]:
            nonlocal num_wrong
            for line in read_texts(name, stream, self._data.text_field):
                if line.text is not None:
                    yield line.text
                    continue
                num_wrong += 1
                if len(wrong) < _SHOWN:
                    wrong.append(f"{name}:{line.number}: {line.problem}")

        found, total = texts(), 0
        while batch := list(islice(found, _BATCH)):
            if not num_wrong:
                encoded = tokenizer.encode_batch(batch, add_special_tokens=False)
                total += sum(len(entry.ids) for entry in encoded)
        if num_wrong > _SHOWN:
            wrong.append(
                f"{name}: {num_wrong:,} lines in all are not JSON objects with a text in the field "
                f"{self._data.text_field} (data.text_field)"
            )
        if wrong:
            raise DataError("\n".join(wrong))
        return total

    def _load_tokenizer(self, name: str) -> Any:
        path = self._data.tokenizer
        if path is None:
            raise DataError(f"{name}: counting texts needs data.tokenizer, a tokenizer.json")
        with needs("prepare", "Counting texts"):
            from tokenizers import Tokenizer
        with self._lock:
            if self._tokenizer is None:
                try:
                    self._tokenizer = Tokenizer.from_file(path)
                except Exception as error:
                    raise DataError(f"{path}: this is not a tokenizer.json: {error}") from error
            return self._tokenizer

    def _parquet(self, name: str) -> int:
        with needs("storage", "Counting parquet files"):
            import pyarrow as pa
            import pyarrow.parquet as pq
        column = self._data.parquet_column
        total = 0
        with self._files.open(name) as stream:
            try:
                file = pq.ParquetFile(stream)
                schema = file.schema_arrow
                if column not in schema.names:
                    found = ", ".join(schema.names)
                    raise DataError(f"{name}: no column {column}; it has {found}. {_SET_COLUMN}")
                kind = schema.field(column).type
                nested = _is_list(kind)
                if not pa.types.is_integer(kind.value_type if nested else kind):
                    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
                    advice = "`olmix prepare` makes tokens of texts" if is_text else _SET_COLUMN
                    raise DataError(
                        f"{name}: the column {column} holds {kind}; whole numbers, or lists of "
                        f"them, are needed. {advice}"
                    )
                for batch in file.iter_batches(columns=[column]):
                    values: Any = batch.column(0)
                    ids = values.flatten() if nested else values
                    total += len(ids) - ids.null_count
            except (pa.ArrowException, OSError, ValueError) as error:
                reason = str(error).partition("\n")[0]
                raise DataError(f"{name}: cannot be read as parquet: {reason}") from error
        return total


def _is_list(kind: object) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_json_lines(name: str, kind: FileKind, start: bytes) -> bool:
    """Whether a file is read as JSON lines: by its content, or by its name where it is near it."""
    if kind == "json":
        return True
    stem = name.lower()
    for ending in _PACKED:
        stem = stem.removesuffix(ending)
    named = ending_of(stem) in _JSON_NAMES
    opens = start.removeprefix(BOM).lstrip()[:1] in (b"{", b"[", b"")
    return named and (kind == "text" or (kind == "binary" and opens and bool(start)))
