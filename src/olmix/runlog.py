"""Reporting from a trainer of your own, in three lines.

    import olmix.runlog

    run = olmix.runlog.start()
    run.log(step, loss=2.31, tokens=65536)
    run.finish(code_bpb=0.98)

`olmix launch` tells the trainer its run folder in `OLMIX_RUN_DIR`. There `metrics.jsonl` grows by a
line per call of `log`, `status.json` says how far the run is, and `finish` writes `summary.json`,
which `olmix collect` reads. Importing this module takes milliseconds and needs the standard library
alone.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from olmix.errors import DataError, LaunchError
from olmix.records.run import RunFolder, RunState
from olmix.text.files import write_json

if TYPE_CHECKING:
    from olmix.records.trackers import Trackers

__all__ = ["RUN_DIR_VARIABLE", "Run", "start"]

RUN_DIR_VARIABLE = "OLMIX_RUN_DIR"
_STATUS_EVERY_S = 0.5


def start(folder: str | Path | None = None, *, num_steps: int = 0) -> Run:
    """Begin to report a run; a run that was killed goes on with its own files.

    Args:
        folder: the run folder; that of `OLMIX_RUN_DIR` if left out.
        num_steps: steps that the run takes, for progress and the time left.

    Raises:
        LaunchError: there is neither a folder nor the variable.
    """
    path = folder if folder is not None else os.environ.get(RUN_DIR_VARIABLE)
    if not path:
        raise LaunchError(
            f"{RUN_DIR_VARIABLE} is not set. Start the trainer by `olmix launch`, or name a "
            "folder: olmix.runlog.start('runs/try')"
        )
    return Run(RunFolder(path), num_steps)


class Run:
    """A run that is being reported. As a `with` block it fails with the exception that ends it.

    Args:
        folder: the run folder.
        num_steps: steps that the run takes; 0 if that is not known.
    """

    def __init__(self, folder: RunFolder, num_steps: int = 0) -> None:
        self.folder = folder
        self.num_steps = num_steps
        self._step = 0
        self._tokens: int | None = None
        self._first_tokens: int | None = None
        self._last: dict[str, float] = {}
        self._started = self._reported = time.monotonic()
        self._ended = False
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.summary.unlink(missing_ok=True)
        self._log = folder.metrics.open("a", encoding="utf-8")
        self._end_last_line()
        self._trackers = _open_trackers(folder)
        self._report("running")

    def log(
        self,
        step: int,
        metrics: Mapping[str, Any] | None = None,
        *,
        tokens: int | None = None,
        **more: Any,
    ) -> None:
        """Write one line of metrics.

        Args:
            step: steps done; a step that is logged again replaces what was logged before.
            metrics: numbers by name, for names that are no Python words.
            tokens: tokens that the run has seen so far.
            more: further numbers by name.
        """
        record = {**(metrics or {}), **more}
        self._step = max(self._step, int(step))
        if tokens is not None:
            self._first_tokens = tokens if self._first_tokens is None else self._first_tokens
            self._tokens = tokens
        numbers = _numbers(record)
        self._last |= numbers
        line: dict[str, Any] = {"step": int(step)}
        if tokens is not None:
            line["tokens"] = int(tokens)
        self._log.write(json.dumps({**line, **_plain(record)}) + "\n")
        self._log.flush()
        if self._trackers is not None:
            self._trackers.log(int(step), numbers)
        if time.monotonic() - self._reported >= _STATUS_EVERY_S:
            self._report("running")

    def finish(
        self,
        metrics: Mapping[str, Any] | None = None,
        *,
        token_shares: Mapping[str, float] | None = None,
        facts: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Write the summary, then say that the run is finished.

        Args:
            metrics: final metrics by name; the last logged ones if none are given.
            token_shares: share of each domain in the tokens as trained, where the trainer counted.
            facts: anything else to keep in the summary.
            more: further final metrics by name.
        """
        final = _numbers({**(metrics or {}), **more}) or dict(self._last)
        seconds = time.monotonic() - self._started
        summary = {
            "run": self.folder.name,
            "identity": self.folder.read_status().identity,
            # JSON has no NaN: a metric that is not finite counts as not measured.
            "metrics": {name: value for name, value in final.items() if math.isfinite(value)},
            "steps": self._step,
            "seconds": round(seconds, 3),
            **({"tokens": self._tokens} if self._tokens is not None else {}),
            **({"token_shares": dict(token_shares)} if token_shares is not None else {}),
            **(facts or {}),
        }
        self._log.flush()
        os.fsync(self._log.fileno())
        write_json(self.folder.summary, summary)
        self._end("finished", None)
        if self._trackers is not None:
            self._trackers.finish(summary, ok=True)

    def fail(self, error: str, *, diverged: bool = False) -> None:
        """Say that the run failed and why."""
        self._end("failed", error, diverged=diverged)
        if self._trackers is not None:
            self._trackers.finish({}, ok=False)

    def interrupt(self, why: str = "interrupted; launch again to go on") -> None:
        """Say that the run stopped on request and can go on from its checkpoint."""
        self._end("pending", why)
        if self._trackers is not None:
            self._trackers.finish({}, ok=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ended:
            return
        if error is not None:
            self.fail(f"{type(error).__name__}: {error}")
        else:
            self.finish()

    def _end(self, state: RunState, error: str | None, *, diverged: bool = False) -> None:
        self._ended = True
        self._report(state, error, diverged=diverged)
        self._log.close()

    def _report(self, state: RunState, error: str | None = None, *, diverged: bool = False) -> None:
        """Replace the status; its identity is the launcher's."""
        self._reported = time.monotonic()
        seconds = max(self._reported - self._started, 1e-9)
        tokens = (self._tokens or 0) - (self._first_tokens or 0)
        self.folder.update_status(
            state=state,
            step=self._step,
            num_steps=self.num_steps or (self._step if state == "finished" else 0),
            tokens_per_second=tokens / seconds,
            error=error,
            updated=time.time(),
            diverged=diverged,
        )

    def _end_last_line(self) -> None:
        """Close a line that a crash cut off, so that the next record has one of its own."""
        try:
            with self.folder.metrics.open("rb") as written:
                written.seek(-1, os.SEEK_END)
                whole = written.read() == b"\n"
        except OSError:  # the file is empty
            return
        if not whole:
            self._log.write("\n")


def _numbers(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of a record by name; tensors of one number count."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, "" if name == "eval" else f"{prefix}{name}/")
        elif not isinstance(value, str | bool) and value is not None:
            try:
                found[f"{prefix}{name}"] = float(value)
            except (TypeError, ValueError):
                raise DataError(f"{name}: found {value!r}; a number is needed") from None
    return found


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as JSON can hold it."""
    return {
        name: _plain(value)
        if isinstance(value, Mapping)
        else value
        if isinstance(value, str | bool | int) or value is None
        else float(value)
        for name, value in record.items()
    }


def _open_trackers(folder: RunFolder) -> Trackers | None:
    """Return the trackers that the run's config asks for; configs without any load nothing."""
    try:
        wanted = "\ntrackers:" in "\n" + folder.config.read_text(encoding="utf-8")
    except OSError:
        return None
    if not wanted:
        return None
    from olmix.records.trackers import open_trackers

    return open_trackers(folder)
