"""`RunWriter`: the one that writes a run's log, status and summary, whatever trains it.

    with RunWriter(folder, identity=identity, num_steps=100) as run:
        run.log({"step": 10, "loss": 2.5})
        run.progress(step=10, tokens_per_second=1e5)
        run.finish({"code_bpb": 0.9}, {"seed": 0})

How a run ends is decided here alone:

| what ends it | state | error |
|---|---|---|
| `finish` | `finished` | none |
| Ctrl-C, SIGTERM, a launcher that ends | `pending` | `interrupted; launch again to resume` |
| a loss that is not finite (`DivergedError`) | `failed`, `diverged` | what it became, what to do |
| any other exception | `failed` | its words |
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Self, Unpack

from olmix.errors import DivergedError, in_words
from olmix.records.log_readers import flatten, number
from olmix.records.metric import is_metric
from olmix.records.run import (
    INTERRUPTED,
    RunFolder,
    Status,
    StatusChanges,
    StatusProgress,
    Summary,
)
from olmix.text.files import read_records, write_text

if TYPE_CHECKING:
    from olmix.records.trackers import Trackers

__all__ = [
    "LOSSES",
    "RunWriter",
    "Terminated",
    "ended_by",
    "final_metrics",
    "keep_steps",
    "sigterm_interrupts",
]

LOSSES = ("loss", "train/CE loss", "train/loss", "train_loss")
"""Names of the training loss; a run whose last one is not finite has diverged."""


class Terminated(SystemExit):
    """SIGTERM asked for the end of this process."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, as Ctrl-C raises `KeyboardInterrupt`.

    A signal that is handled already is left to its handler, and so are threads.
    """
    number = signal.SIGTERM
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(number) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(number, _terminate)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Raise `Terminated` where the signal came."""
    raise Terminated


def ended_by(error: BaseException) -> StatusChanges:
    """Return `state`, `error` and `diverged` of a run that an exception has ended.

    A closed generator is one whose remaining runs are no longer wanted.
    """
    if isinstance(error, KeyboardInterrupt | Terminated | GeneratorExit):
        return {"state": "pending", "error": INTERRUPTED, "diverged": False}
    diverged = isinstance(error, DivergedError)
    return {"state": "failed", "error": in_words(error), "diverged": diverged}


class RunWriter:
    """A run that is being trained, as its folder tells it. It is running from here on.

    As a `with` block it ends with the exception that ends the block.

    Args:
        folder: the run folder; it is made.
        identity: hash of config, data and seed; the launcher's, in the status, if left out.
        num_steps: steps to do; 0 if that is not known.
        keep_bytes: size that the log had at the checkpoint: what was written since will be written
            again, and is cut off. All of it is kept if left out.
        trackers: where metrics go besides.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        identity: str | None = None,
        num_steps: int = 0,
        keep_bytes: int | None = None,
        trackers: Trackers | None = None,
    ) -> None:
        self.folder = folder
        self.ended = False
        self._trackers = trackers
        self._opened: BinaryIO | None = None
        folder.path.mkdir(parents=True, exist_ok=True)
        # Of an attempt that failed after it wrote one.
        folder.summary.unlink(missing_ok=True)
        if keep_bytes is not None:
            self._log.truncate(keep_bytes)
            self._log.seek(0, os.SEEK_END)
        given = StatusChanges(state="running", tokens_per_second=0.0)
        if identity is not None:
            given["identity"] = identity
        if num_steps:
            given["num_steps"] = num_steps
        self._write(**given)

    def log(self, record: Mapping[str, object]) -> None:
        """Write one line of the log, and send its numbers to the trackers.

        Args:
            record: what JSON can hold, NaN and infinity too; `step` among it.
        """
        self._log.write(json.dumps(record).encode() + b"\n")
        self._log.flush()
        if self._trackers is not None:
            numbers = flatten(record)
            if (tokens := number(record.get("tokens"))) is not None:
                numbers["tokens"] = tokens
            self._trackers.log(int(number(record.get("step")) or 0), numbers)

    def track(self, trackers: Trackers | None) -> None:
        """Send what is logged from here on to trackers, which this run ends with its own end."""
        self._trackers = trackers

    def keep_steps(self, last: int) -> list[dict[str, object]]:
        """Drop the records of steps after `last`; returns those that are kept."""
        self._close_log()
        return keep_steps(self.folder.metrics, last)

    def progress(self, **changes: Unpack[StatusProgress]) -> Status:
        """Report progress, as far as known."""
        return self.folder.update_status(state="running", **changes)

    def sync(self) -> int:
        """Let the log reach the disk; returns its size in bytes."""
        self._log.flush()
        os.fsync(self._log.fileno())
        return self._log.tell()

    def finish(
        self,
        metrics: Mapping[str, float],
        facts: Mapping[str, object],
        **changes: Unpack[StatusProgress],
    ) -> None:
        """Write the summary, then say that the run is finished.

        Args:
            metrics: final metrics by name; one that is not finite counts as not measured, because
                JSON has no NaN.
            facts: what else the summary holds.
            changes: the last progress.
        """
        if self._opened is not None:
            self.sync()
        identity = self.folder.read_status().identity
        summary = Summary(identity, metrics, facts, self.folder.name)
        summary.write(self.folder.summary)
        self._end(state="finished", **changes)
        self._end_trackers(summary.to_plain(), ok=True)

    def accept(self) -> None:
        """Mark the run as finished; its trainer has written the summary itself."""
        self._end(state="finished")

    def fail(
        self, error: str, *, diverged: bool = False, **changes: Unpack[StatusProgress]
    ) -> None:
        """Mark the run as failed, with the reason."""
        self._end(state="failed", error=error, diverged=diverged, **changes)
        self._end_trackers({}, ok=False)

    def interrupt(self, why: str = INTERRUPTED, **changes: Unpack[StatusProgress]) -> None:
        """Mark the run as pending: it stopped on request and can be resumed."""
        self._end(state="pending", error=why, **changes)
        self._end_trackers({}, ok=False)

    def end_with(self, error: BaseException, **changes: Unpack[StatusProgress]) -> None:
        """Mark how the run ended by an exception."""
        ended = ended_by(error)
        self._end(state=ended["state"], error=ended["error"], diverged=ended["diverged"], **changes)
        self._end_trackers({}, ok=False)

    def close(self) -> None:
        """Close the log of a run whose end is reported elsewhere."""
        self._close_log()
        self._end_trackers({}, ok=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and not self.ended:
            self.end_with(error)
        self.close()

    def _end(self, **changes: Unpack[StatusChanges]) -> None:
        self._close_log()
        self._write(**changes)
        self.ended = True

    def _write(self, **changes: Unpack[StatusChanges]) -> None:
        fresh: StatusChanges = {"error": None, "diverged": False, **changes}
        self.folder.update_status(**fresh)

    def _end_trackers(self, summary: Mapping[str, object], *, ok: bool) -> None:
        if self._trackers is not None:
            self._trackers.finish(summary, ok=ok)
            self._trackers = None

    @property
    def _log(self) -> BinaryIO:
        """The log, made when it is first needed: a command may log in its own way.

        A line that a crash cut off is ended, so that the next record has one of its own.
        """
        if self._opened is None:
            log = self.folder.metrics.open("ab+")
            if log.seek(0, os.SEEK_END) > 0:
                log.seek(-1, os.SEEK_END)
                if log.read(1) != b"\n":
                    log.write(b"\n")
            self._opened = log
        return self._opened

    def _close_log(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def keep_steps(path: Path, last: int) -> list[dict[str, object]]:
    """Drop the records of a file whose steps are after `last`; returns those that are kept."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    steps = ((number(record.get("step")) or 0, record) for record in read_records(content))
    kept = [record for step, record in steps if step <= last]
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
    return kept


def final_metrics(
    logged: Mapping[str, float], given: Mapping[str, float] | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """Return what a summary holds of the numbers that a trainer named: metrics, then facts.

    Bookkeeping (learning rates, norms, epochs, speeds) is logged but measures nothing of the model:
    it becomes no metric. What of it was given for the summary is kept there as facts.

    Args:
        logged: the last value of each name.
        given: final values; where none of them is a metric, the logged ones are final.

    Raises:
        DivergedError: no metric that was given is finite, or, where none was, the training loss is
            not.
    """
    given = given or {}
    facts = {name: value for name, value in given.items() if not is_metric(name)}
    metrics = {name: value for name, value in given.items() if is_metric(name)}
    if not metrics:
        metrics = {name: value for name, value in logged.items() if is_metric(name)}
        lost = [name for name in LOSSES if not math.isfinite(metrics.get(name, 0.0))]
    else:
        lost = list(metrics) if not any(map(math.isfinite, metrics.values())) else []
    if lost:
        raise DivergedError(
            f"{lost[0]} became {metrics[lost[0]]}, which is not a finite number. Lower the "
            "learning rate, or lengthen its warm-up."
        )
    return metrics, {name: value for name, value in facts.items() if math.isfinite(value)}
