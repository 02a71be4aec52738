"""Run folders: ``runs/GROUP/RUN/{config.yaml, status.json, metrics.jsonl, summary.json, log.txt}``.

The trainer writes them, `launch` and `collect` read them. ``status.json`` is replaced as a whole;
``metrics.jsonl`` grows by whole lines, and a line cut off by a crash is passed over.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from olmix.errors import DataError
from olmix.text.files import read_json, write_json

__all__ = [
    "CANCEL_FILE",
    "COMMAND_FILE",
    "ENDED",
    "NOT_METRICS",
    "MetricsReader",
    "RunFolder",
    "RunState",
    "Status",
    "lock",
]

CANCEL_FILE = "cancel"
"""`olmix launch cancel` leaves this file in the group's folder; launchers and runs look for it."""
COMMAND_FILE = "command.json"
"""In a run of another framework: ``{"words", "folder", "environment", "identity"}``."""

RunState = Literal["pending", "running", "finished", "failed", "cancelled"]
ENDED = ("finished", "failed", "cancelled")
"""States in which nothing more happens by itself."""
NOT_METRICS = ("step", "num_steps", "tokens", "tokens_per_second", "time", "seconds", "epoch")
"""Names in `metrics.jsonl` that say when something was measured, not what."""
_TURN_S = 1.0
"""Seconds that a writer of a status waits for another one."""


@dataclass(frozen=True)
class Status:
    """What a run is doing.

    Attributes:
        state: `pending` until a worker takes it up.
        identity: hash of the run's config, data and seed; a finished run of another identity is
            not this run.
        step: steps done.
        num_steps: steps to do.
        tokens_per_second: training speed so far.
        error: why it failed, in words.
        updated: seconds since 1970.
        diverged: whether it failed because its loss was no longer a finite number.
    """

    state: RunState = "pending"
    identity: str = ""
    step: int = 0
    num_steps: int = 0
    tokens_per_second: float = 0.0
    error: str | None = None
    updated: float = 0.0
    diverged: bool = False


class RunFolder:
    """One run's folder.

    Args:
        path: the folder; it is made when something is first written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved launch config of the run."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """Everything that was logged, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        """The final metrics; there once the run is finished."""
        return self.path / "summary.json"

    @property
    def log(self) -> Path:
        """What the trainer printed."""
        return self.path / "log.txt"

    @property
    def checkpoint(self) -> Path:
        """The state to resume from; removed when the run is finished."""
        return self.path / "checkpoint.npz"

    def read_status(self) -> Status:
        """Return the status; a run without one, or with a broken one, is pending.

        Where the status is broken and there is a summary, the run is finished: a start that trains
        removes the summary first.
        """
        try:
            raw = read_json(self.path / "status.json")
            known = {key: raw[key] for key in Status.__dataclass_fields__ if key in raw}
            if known["state"] in get_args(RunState):
                return Status(**known)
        except (DataError, KeyError, TypeError, AttributeError):
            pass
        try:
            return Status("finished", str(read_json(self.summary)["identity"]))
        except (DataError, KeyError, TypeError):
            return Status()

    def write_status(self, status: Status) -> None:
        """Replace the status; the end of a run is on the disk when this returns."""
        write_json(self.path / "status.json", asdict(status), sync=status.state in ENDED)

    def update_status(self, **changes: Any) -> Status:
        """Replace some fields of the status and return it.

        A trainer and the process that watches it do this at the same time; they take turns, so that
        neither writes back what the other has just replaced.
        """
        with _turn(self.path / ".status.lock"):
            status = replace(self.read_status(), **changes)
            self.write_status(status)
        return status

    def is_finished(self, identity: str) -> bool:
        """Whether this very run (config, data and seed) is finished."""
        status = self.read_status()
        return status.state == "finished" and status.identity == identity and self.summary.is_file()

    def read_metrics(self, last_bytes: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the logged records in order, passing over a line that a crash cut off.

        Args:
            last_bytes: read so much of the end alone.
        """
        try:
            with self.metrics.open("rb") as log:
                if last_bytes is not None and log.seek(0, os.SEEK_END) > last_bytes:
                    log.seek(-last_bytes, os.SEEK_END)
                    log.readline()  # the rest of a line
                else:
                    log.seek(0)
                content = log.read()
        except FileNotFoundError:
            return
        yield from _records(content)


class MetricsReader:
    """Reads the metrics of a run as they are logged, each record once.

    Args:
        folder: the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._file = folder.metrics
        self._read_bytes = 0

    def read_new(self) -> list[dict[str, Any]]:
        """Return the records that came since the last call; of a log that was cut, all of them."""
        try:
            with self._file.open("rb") as log:
                if log.seek(0, os.SEEK_END) < self._read_bytes:
                    self._read_bytes = 0
                log.seek(self._read_bytes)
                content = log.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]  # the rest of a line comes later
        self._read_bytes += len(whole)
        return list(_records(whole))


def _records(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects among some lines; text in them may hold line breaks of Unicode."""
    for line in content.split(b"\n"):
        try:
            record = json.loads(line.decode("utf-8", errors="replace"))
        except ValueError:  # also of a number with too many digits
            continue
        if isinstance(record, dict):
            yield record


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Wait for a lock, but not for long: its holder may be what a signal has interrupted.

    A file system without locks does not stop anybody.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _TURN_S
    with path.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.002)
                    continue
            except OSError:
                pass
            break
        yield


@contextmanager
def lock(path: str | Path, *, wait: bool) -> Iterator[bool]:
    """Hold an exclusive lock on a file for the length of a `with` block.

    The kernel frees it when the process ends, however it ends. Yields whether it was got; with
    `wait` it always is, in the end.
    """
    import fcntl

    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        handle.seek(0)
        handle.truncate()
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield True
