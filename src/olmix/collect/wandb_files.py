"""Records of W&B's offline runs, read from their `.wandb` files without an account.

A file is LevelDB's log format with the header ``:W&B``: blocks of 32 KiB, each a sequence of chunks
with a header of 7 bytes (checksum, length, type). The records are the private protocol buffers of
the `wandb` package, so its version is pinned in `constraints.txt`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from olmix.collect.record import Record, State
from olmix.collect.wandb_runs import keep_latest, record_of
from olmix.errors import DataError, needs
from olmix.records.log_readers import Curves, add_record, step_of

__all__ = ["find_wandb_files", "read_wandb_files"]

_HEADER = struct.Struct("<IHB")
_BLOCK_BYTES = 1 << 15
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def find_wandb_files(folder: Path) -> list[Path]:
    """Return the `.wandb` files of a folder, of its `wandb/` folder, or of its runs'."""
    patterns = ("*.wandb", "*run-*/*.wandb", "wandb/*run-*/*.wandb", "*/wandb/*run-*/*.wandb")
    found = {file.resolve(): None for pattern in patterns for file in sorted(folder.glob(pattern))}
    return list(found)


def read_wandb_files(files: Sequence[Path]) -> list[Record]:
    """Return the runs of some `.wandb` files.

    Raises:
        MissingPackageError: wandb is not installed.
        DataError: a file is no `.wandb` file.
    """
    return keep_latest([_read_run(file) for file in sorted(files, key=lambda f: f.parent.name)])


def _read_run(file: Path) -> Record:
    with needs("wandb", f"Reading {file.name}"):
        from wandb.proto import wandb_internal_pb2 as messages
    name, group = file.stem.removeprefix("run-"), ""
    config: dict[str, Any] = {}
    summary: dict[str, object] = {}
    curves: Curves = {}
    exit_code: int | None = None
    step = -1
    for chunk in _chunks(file):
        record = messages.Record()
        record.ParseFromString(chunk)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            name = record.run.display_name or record.run.run_id
            group = record.run.run_group
            config |= _values(record.run.config.update)
        elif kind == "config":
            config |= _values(record.config.update)
        elif kind == "summary":
            summary |= _values(record.summary.update)
        elif kind == "history":
            row = _values(record.history.item)
            step = step_of(row, record.history.step.num or step + 1)
            add_record(curves, row, step)
        elif kind == "exit":
            exit_code = record.exit.exit_code
    state: State = "finished" if exit_code == 0 else "crashed"
    why = "" if exit_code == 0 else "it has no end: the run crashed, or is still going"
    if exit_code:
        why = f"exit code {exit_code}"
    return record_of(name, state, why, config, summary, partial(dict, curves), group=group)


def _values(items: Any) -> dict[str, Any]:
    """Return the keys and values of config, summary or history items."""
    found = {}
    for item in items:
        key = item.key or "/".join(item.nested_key)
        try:
            found[key] = json.loads(item.value_json)
        except json.JSONDecodeError:
            continue
    return found


def _chunks(file: Path) -> Iterator[bytes]:
    """Yield the records of a file as bytes, up to the last whole one.

    Raises:
        DataError: the file lacks the header.
    """
    data = file.read_bytes()
    if data[:4] != b":W&B":
        raise DataError(f"{file}: this is not a .wandb file; its header is missing")
    position, pending = 7, b""
    while position + _HEADER.size <= len(data):
        left = _BLOCK_BYTES - position % _BLOCK_BYTES
        if left < _HEADER.size:
            position += left
            continue
        _, length, kind = _HEADER.unpack_from(data, position)
        if kind == 0 and length == 0:  # the rest of a block is padding
            position += left
            continue
        start = position + _HEADER.size
        chunk = data[start : start + length]
        if len(chunk) < length:  # still being written, or cut off
            return
        position = start + length
        pending = chunk if kind in (_FULL, _FIRST) else pending + chunk
        if kind in (_FULL, _LAST):
            yield pending
