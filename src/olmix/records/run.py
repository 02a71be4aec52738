"""Run folders: ``runs/GROUP/RUN/{config.yaml, status.json, metrics.jsonl, summary.json, log.txt}``.

The trainer writes them (`olmix.records.run_writer`), `launch` and `collect` read them.
``status.json`` is replaced as a whole; ``metrics.jsonl`` grows by whole lines, and a line cut off
by a crash is skipped. Whatever a file holds, reading it here raises at most a `DataError`.

| state | means |
|---|---|
| `pending` | waits to be taken up, for the first time or after it was interrupted |
| `running` | a process trains it |
| `finished` | trained to its end; there is a summary |
| `failed` | ended by an error, which the status tells; `diverged` where its loss was not finite |
| `cancelled` | somebody cancelled it, and it is not to be resumed |
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, TypedDict, Unpack, get_args

from olmix.errors import DataError
from olmix.records.log_readers import flatten, number
from olmix.text.files import is_shallow, read_json, read_records, write_json

__all__ = [
    "CANCEL_FILE",
    "COMMAND_FILE",
    "ENDED",
    "INTERRUPTED",
    "STATUS_FILE",
    "MetricsReader",
    "RunFolder",
    "RunState",
    "Status",
    "StatusChanges",
    "StatusProgress",
    "Summary",
    "lock",
    "progress_of",
]

CANCEL_FILE = "cancel"
"""`olmix launch cancel` leaves this file in the group's folder; launchers and runs look for it."""
STATUS_FILE = "status.json"
COMMAND_FILE = "command.json"
"""In a run of another framework: ``{"words", "folder", "environment", "identity"}``."""

FORMAT = 1
"""Version of `status.json` and `summary.json`; files that do not say theirs have it."""
RunState = Literal["pending", "running", "finished", "failed", "cancelled"]
ENDED = ("finished", "failed", "cancelled")
"""States in which nothing more happens by itself."""
INTERRUPTED = "interrupted; launch again to resume"
"""The note of a run that stopped on request: Ctrl-C, SIGTERM, a launcher that ends."""
_STATUS_BYTES = 1 << 20
_SUMMARY_BYTES = 1 << 26
"""Sizes above which such a file is not one of ours."""
_TURN_S = 1.0
"""Seconds that a writer of a status waits for another one."""


class StatusProgress(TypedDict, total=False):
    """How far a run is, as far as its trainer says it: fields of a `Status`."""

    step: int
    num_steps: int
    tokens: int
    tokens_per_second: float


class StatusChanges(StatusProgress, total=False):
    """Fields of a `Status` that change."""

    state: RunState
    identity: str
    error: str | None
    diverged: bool


@dataclass(frozen=True)
class Status:
    """The state of a run.

    Attributes:
        state: `pending` until a worker takes it up.
        identity: hash of the run's config, data and seed; a finished run of another identity is
            not this run.
        step: steps done.
        num_steps: steps to do.
        tokens: tokens seen, of a trainer that says it; 0 of others.
        tokens_per_second: training speed so far.
        error: why it failed, in words.
        updated: seconds since 1970.
        diverged: whether it failed because its loss was no longer a finite number.
        format: version of this file.
    """

    state: RunState = "pending"
    identity: str = ""
    step: int = 0
    num_steps: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0
    error: str | None = None
    updated: float = 0.0
    diverged: bool = False
    format: int = FORMAT

    @classmethod
    def read(cls, file: Path) -> Status:
        """Return the status in a `status.json`; an absurd number counts as missing.

        Raises:
            DataError: the file cannot be read, there is no such state, or the identity is no text.
        """
        plain = _read_object(file, _STATUS_BYTES)
        state, identity, error = (plain.get(key) for key in ("state", "identity", "error"))
        known = next((name for name in get_args(RunState) if name == state), None)
        if known is None or not isinstance(identity, str | None):
            raise DataError(
                f"{file}: state = {state!r}, identity = {identity!r}: is not the status of a run"
            )
        return cls(
            state=known,
            identity=identity or "",
            step=int(_quantity(plain.get("step"))),
            num_steps=int(_quantity(plain.get("num_steps"))),
            tokens=int(_quantity(plain.get("tokens"))),
            tokens_per_second=_quantity(plain.get("tokens_per_second")),
            error=error if isinstance(error, str) else None,
            updated=_quantity(plain.get("updated")),
            diverged=plain.get("diverged") is True,
        )

    def write(self, file: Path) -> None:
        """Replace a `status.json`; the end of a run is on the disk when this returns."""
        write_json(file, asdict(self), sync=self.state in ENDED)


def _quantity(value: object) -> float:
    """Return a number of things or seconds, 0 where it is none."""
    plain = number(value)
    return plain if plain is not None and 0 <= plain <= sys.maxsize else 0.0


def progress_of(record: Mapping[str, object]) -> StatusProgress:
    """Return steps, tokens and speed as far as a record tells them."""
    found = StatusProgress()
    for name in ("step", "num_steps", "tokens"):
        if (value := number(record.get(name))) is not None and 0 <= value <= sys.maxsize:
            found[name] = int(value)
    speed = number(record.get("tokens_per_second"))
    if speed is not None and 0 <= speed <= sys.maxsize:
        found["tokens_per_second"] = speed
    return found


@dataclass(frozen=True)
class Summary:
    """The result of a run.

    Attributes:
        identity: of the run; empty where a trainer of another kind wrote the file.
        metrics: final metrics by name; a value that is not finite was not measured.
        facts: what else its trainer says of it: `seed`, `tokens`, `seconds`, `weights`,
            `token_shares`, `epochs`, `measured_with`, versions.
        run: its name.
        format: version of this file.
    """

    identity: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    run: str = ""
    format: int = FORMAT

    @classmethod
    def read(cls, file: Path) -> Summary:
        """Return the summary in a `summary.json`; entries that are not numbers are no metrics.

        Raises:
            DataError: it cannot be read.
        """
        plain = _read_object(file, _SUMMARY_BYTES)
        identity, metrics, run = (plain.pop(key, None) for key in ("identity", "metrics", "run"))
        plain.pop("format", None)
        return cls(
            identity=identity if isinstance(identity, str) else "",
            metrics=flatten(metrics) if isinstance(metrics, Mapping) else {},
            facts=plain,
            run=run if isinstance(run, str) else "",
        )

    def to_plain(self) -> dict[str, object]:
        """Return what the file holds; JSON has no metric that is not finite."""
        metrics = {name: value for name, value in self.metrics.items() if math.isfinite(value)}
        about = {"format": self.format, "run": self.run, "identity": self.identity}
        return {**about, "metrics": metrics, **self.facts}

    def write(self, file: Path) -> None:
        """Write a `summary.json`."""
        write_json(file, self.to_plain())

    def number(self, name: str) -> float | None:
        """Return a fact as a number, `None` where it is none."""
        return number(self.facts.get(name))


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
        """The file of the trainer's output."""
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
            return Status.read(self.path / STATUS_FILE)
        except DataError:
            pass
        try:
            identity = self.read_summary().identity
        except DataError:
            return Status()
        return Status("finished", identity) if identity else Status()

    def read_summary(self) -> Summary:
        """Return what the run came to.

        Raises:
            DataError: there is no summary, or none that can be read.
        """
        return Summary.read(self.summary)

    def write_status(self, status: Status) -> None:
        """Replace the status; the end of a run is on the disk when this returns."""
        status.write(self.path / STATUS_FILE)

    def update_status(self, **changes: Unpack[StatusChanges]) -> Status:
        """Replace some fields of the status, and when it was updated, and return it.

        A trainer and the process that watches it do this at the same time; they take turns, so that
        neither writes back what the other has just replaced.
        """
        with _turn(self.path / ".status.lock"):
            status = replace(self.read_status(), updated=time.time(), **changes)
            self.write_status(status)
        return status

    def is_finished(self, identity: str) -> bool:
        """Whether this very run (config, data and seed) is finished."""
        status = self.read_status()
        return status.state == "finished" and status.identity == identity and self.summary.is_file()

    def read_metrics(self, last_bytes: int | None = None) -> Iterator[dict[str, object]]:
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
        yield from read_records(content)


class MetricsReader:
    """Reads the metrics of a run as they are logged, each record once.

    Args:
        folder: the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._file = folder.metrics
        self._read_bytes = 0

    def read_new(self) -> list[dict[str, object]]:
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
        return list(read_records(whole))


def _read_object(path: Path, most_bytes: int) -> dict[str, object]:
    """Return the object in a JSON file.

    Raises:
        DataError: it is missing, no JSON, no object, larger or nested deeper than any of ours, or
            of a later format.
    """
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # reading it says what is wrong
    if size > most_bytes:
        raise DataError(f"{path}: has {size:,} bytes; at most {most_bytes:,} are read")
    plain = read_json(path)
    if not isinstance(plain, dict) or not is_shallow(plain):
        raise DataError(f"{path}: is not a JSON object, or nested too deep")
    version = plain.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise DataError(f"{path}: format {version} is of a later Olmix; this one reads {FORMAT}")
    return plain


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
