"""Texts in tables: parquet files, and the Arrow files of Hugging Face datasets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from olmix.errors import DataError, needs
from olmix.text.file_kind import FileKind

__all__ = ["TABLES", "is_dataset", "is_description", "read_rows"]

TABLES: tuple[FileKind, ...] = ("parquet", "arrow", "arrow_stream")
_COLUMN = "text"
_DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json")


def is_dataset(files: Iterable[Path]) -> bool:
    """Whether files are those of a dataset: some of them are tables."""
    return any(file.suffix.lower() in {".arrow", ".parquet"} for file in files)


def is_description(path: Path) -> bool:
    """Whether a file of a dataset's folder holds no texts of it: its state, its card, its cache."""
    if path.name in _DESCRIPTIONS:
        return True
    if path.name == "README.md":
        with path.open("rb") as handle:
            return handle.read(4) == b"---\n"
    return path.suffix == ".arrow" and path.name not in _named_files(path)


def _named_files(path: Path) -> set[str]:
    """Return the files that the state of a saved dataset names, or the file itself without one."""
    try:
        state = json.loads(path.with_name("state.json").read_text(encoding="utf-8"))
        return {entry["filename"] for entry in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {path.name}


def read_rows(path: Path, kind: FileKind) -> Iterator[tuple[int, str | None]]:
    """Yield the texts of a table with their rows, from 1; `None` where a row has none.

    Raises:
        DataError: it is damaged, or has no column of texts.
        MissingPackageError: pyarrow is not installed.
    """
    with needs("storage", "Reading parquet and Arrow"):
        import pyarrow as pa
    number = 0
    try:
        for values in _batches(path, kind):
            for value in values:
                number += 1
                yield number, _text(value)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        after = f" after row {number:,}" if number else ""
        raise DataError(f"it is damaged or truncated{after}: {reason}") from error


def _text(value: Any) -> str | None:
    try:
        return value.as_py()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        return None


def _batches(path: Path, kind: FileKind) -> Iterator[Any]:
    """Yield the column of texts, a part after the other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind == "parquet":
        with pq.ParquetFile(path) as file:
            _check(file.schema_arrow)
            for batch in file.iter_batches(columns=[_COLUMN]):
                yield batch.column(0)
        return
    with pa.OSFile(str(path)) as source:
        if kind == "arrow_stream":
            with pa.ipc.open_stream(source) as reader:
                _check(reader.schema)
                for batch in reader:
                    yield batch.column(_COLUMN)
            return
        with pa.ipc.open_file(source) as reader:
            _check(reader.schema)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index).column(_COLUMN)


def _check(schema: Any) -> None:
    import pyarrow as pa

    if _COLUMN not in schema.names:
        raise DataError(f"it has no column `{_COLUMN}` but {', '.join(schema.names)}")
    kind = schema.field(_COLUMN).type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(inner) or pa.types.is_large_string(inner)):
        raise DataError(f"its column `{_COLUMN}` holds {kind}; texts are needed")
