"""Which logs a run's folder holds, whatever trainer wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from olmix.records.log_readers import (
    STEP_KEYS,
    Curves,
    add_record,
    is_csv_log,
    read_csv_logs,
    read_jsonl,
    read_tensorboard,
    read_torchtune_logs,
    step_of,
)

__all__ = [
    "CSV",
    "EVENTS",
    "JSONL",
    "TORCHTUNE",
    "TRAINER_STATE",
    "read_logs",
    "read_trainer_state",
    "reader_of",
    "trainer_state",
]

JSONL = "metrics.jsonl"
TORCHTUNE = "log_*.txt"
CSV = "metrics.csv"
TRAINER_STATE = "trainer_state.json"
EVENTS = "events.out.tfevents.*"


def reader_of(path: Path) -> Callable[[], Curves] | None:
    """Return a reader of a run's logs: its `metrics.jsonl`, or else those of other loggers."""
    own = path / JSONL
    if own.is_file():
        return lambda: read_jsonl(own)
    jsonl = sorted(path.rglob(JSONL), key=lambda file: (len(file.parts), file))
    if jsonl:
        return lambda: read_jsonl(jsonl[0])
    texts = sorted(path.rglob(TORCHTUNE))
    if texts:
        return lambda: read_torchtune_logs(texts)
    tables = sorted(file for file in path.rglob(CSV) if is_csv_log(file))
    if tables:
        return lambda: read_csv_logs(tables)
    states = sorted(path.rglob(TRAINER_STATE))
    if states:
        return lambda: read_trainer_state(states)
    events = sorted(path.rglob(EVENTS))
    return (lambda: read_tensorboard(events)) if events else None


def read_logs(path: Path) -> Curves:
    """Return the curves of a run's logs; none where it holds no log that is known.

    Raises:
        MissingPackageError: there are event files alone, and tensorboard is not installed.
    """
    read = reader_of(path)
    return {} if read is None else read()


def trainer_state(files: Iterable[Path]) -> dict[str, object]:
    """Return the newest of the states that Hugging Face's `Trainer` saves with its checkpoints.

    One that is cut off, because its run was killed while it wrote, is skipped.
    """
    for file in sorted(files, key=lambda file: (file.stat().st_mtime, str(file)), reverse=True):
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(state, dict):
            return state
    return {}


def read_trainer_state(files: Iterable[Path]) -> Curves:
    """Read the history in the newest `trainer_state.json`; each holds all steps before it."""
    history = trainer_state(files).get("log_history")
    curves: Curves = {}
    for record in history if isinstance(history, list) else []:
        if isinstance(record, dict) and any(key in record for key in STEP_KEYS):
            numbers = {key: value for key, value in record.items() if key != "epoch"}
            add_record(curves, numbers, step_of(record, 0))
    return curves
