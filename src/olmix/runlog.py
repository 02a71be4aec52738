"""Reporting from a trainer of your own, in three lines.

    import olmix.runlog

    run = olmix.runlog.start()
    run.log(step, loss=2.31, tokens=65536)
    run.finish(code_bpb=0.98)

`olmix launch` tells the trainer its run folder in `OLMIX_RUN_DIR`. There `metrics.jsonl` grows by a
line per call of `log`, `status.json` says how far the run is, and `finish` writes `summary.json`,
which `olmix collect` reads. In a `with` block, Ctrl-C and SIGTERM leave the run pending, to be
resumed; any other exception leaves it failed, with its words. Importing this module takes
milliseconds and needs the standard library alone.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from olmix.domains import bits_per_byte_of
from olmix.errors import DataError, DivergedError, LaunchError
from olmix.records.log_readers import flatten
from olmix.records.run import INTERRUPTED, RunFolder, StatusProgress, progress_of
from olmix.records.run_writer import RunWriter, final_metrics, sigterm_interrupts

if TYPE_CHECKING:
    from olmix.records.trackers import Trackers

__all__ = ["RUN_DIR_VARIABLE", "Run", "start"]

RUN_DIR_VARIABLE = "OLMIX_RUN_DIR"
_STATUS_EVERY_S = 0.5

logger = logging.getLogger(__name__)


def start(folder: str | Path | None = None, *, num_steps: int = 0) -> Run:
    """Start to report a run; a killed run continues its own files.

    Args:
        folder: the run folder; that of `OLMIX_RUN_DIR` if left out.
        num_steps: steps that the run takes, for progress and the time left.

    Raises:
        LaunchError: there is neither a folder nor the variable.
    """
    path = folder if folder is not None else os.environ.get(RUN_DIR_VARIABLE)
    if not path:
        raise LaunchError(
            f"{RUN_DIR_VARIABLE} is not set. Start the trainer with `olmix launch`, or name a "
            "folder: olmix.runlog.start('runs/try')"
        )
    return Run(RunFolder(path), num_steps)


class Run:
    """A run that is being reported. As a `with` block it ends with the exception that ends it.

    In such a block SIGTERM raises `SystemExit`, unless the trainer handles it.

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
        self._signals = ExitStack()
        self._writer = RunWriter(folder, num_steps=num_steps, trackers=_open_trackers(folder))

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
        record = _plain({**(metrics or {}), **more})
        self._step = max(self._step, int(step))
        line: dict[str, Any] = {"step": int(step)}
        if tokens is not None:
            self._first_tokens = tokens if self._first_tokens is None else self._first_tokens
            self._tokens = line["tokens"] = int(tokens)
        self._last |= flatten(record)
        self._writer.log({**line, **record, **line})
        if time.monotonic() - self._reported >= _STATUS_EVERY_S:
            self._reported = time.monotonic()
            self._writer.progress(**self._progress())

    def finish(
        self,
        metrics: Mapping[str, Any] | None = None,
        *,
        token_shares: Mapping[str, float] | None = None,
        facts: Mapping[str, object] | None = None,
        **more: object,
    ) -> None:
        """Write the summary, then say that the run is finished.

        A learning rate, a norm or another name that measures nothing of the model becomes no
        metric. A run whose last training loss is not finite has failed.

        Args:
            metrics: final metrics by name; the last logged ones if none are given.
            token_shares: share of each domain in the tokens as trained, where the trainer counted.
            facts: anything else to keep in the summary.
            more: further final metrics by name.
        """
        try:
            given = flatten(_plain({**(metrics or {}), **more}))
            final, kept = final_metrics(self._last, given)
        except DivergedError as error:
            logger.error("%s: %s", self.folder.name, error)
            self._writer.end_with(error, **self._progress())
            return
        summary = {
            **kept,
            "steps": self._step,
            "seconds": round(time.monotonic() - self._started, 3),
            **({"tokens": self._tokens} if self._tokens is not None else {}),
            **({"token_shares": dict(token_shares)} if token_shares is not None else {}),
            **(facts or {}),
        }
        progress = self._progress()
        progress["num_steps"] = progress.get("num_steps") or self._step
        self._writer.finish(final, summary, **progress)

    def bits_per_byte(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Turn losses on validation sets into ``NAME_bpb``, the metrics of a fit.

        A loss per token depends on the tokenizer; bits per byte do not. How many bytes a token
        stands for is that of the whole set, from the run's data manifest.

        Args:
            losses: mean loss of a token in nats, by the name of the set in `eval.paths`.

        Raises:
            DataError: the manifest does not know a set, or not how many bytes it has.
        """
        # Not before it is asked for: it takes more than the standard library.
        from olmix.config.training import MANIFEST_FILE
        from olmix.records.data_manifest import read_manifest

        file = self.folder.path / MANIFEST_FILE
        known = read_manifest(file).validation
        found = {}
        for name, loss in losses.items():
            entry = known.get(name)
            if entry is None or not entry.bytes:
                what = f"there is no validation set {name}; there are {', '.join(known) or 'none'}"
                if entry is not None:
                    what = (
                        f"the bytes of {name} are not known: there was no byte-level tokenizer "
                        "to count them"
                    )
                raise DataError(f"{file}: {what}")
            nats_per_byte = float(loss) * entry.tokens / entry.bytes
            found[bits_per_byte_of(name)] = nats_per_byte / math.log(2)
        return found

    def fail(self, error: str, *, diverged: bool = False) -> None:
        """Mark the run as failed, with the reason."""
        self._writer.fail(error, diverged=diverged, **self._progress())

    def interrupt(self, why: str = INTERRUPTED) -> None:
        """Mark the run as stopped on request, to be resumed from its checkpoint."""
        self._writer.interrupt(why, **self._progress())

    def end_with(self, error: BaseException) -> None:
        """Mark how the run ended by an exception: pending if it was interrupted, else failed."""
        self._writer.end_with(error, **self._progress())

    def __enter__(self) -> Self:
        self._signals.enter_context(sigterm_interrupts())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._signals:
            if self._writer.ended:
                return
            if error is not None:
                self.end_with(error)
            else:
                self.finish()

    def _progress(self) -> StatusProgress:
        """Return the progress for the status; before the first step, nothing new."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        tokens = (self._tokens or 0) - (self._first_tokens or 0)
        found = {"step": self._step, "num_steps": self.num_steps, "tokens": self._tokens}
        told = progress_of({name: value for name, value in found.items() if value})
        told["tokens_per_second"] = tokens / seconds
        return told


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as JSON can hold it; tensors of one number count as numbers.

    Raises:
        DataError: a value is neither a number nor text.
    """
    found: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found[name] = _plain(value)
        elif isinstance(value, str | bool | int) or value is None:
            found[name] = value
        else:
            try:
                found[name] = float(value)
            except (TypeError, ValueError):
                raise DataError(f"{name}: found {value!r}; a number is needed") from None
    return found


def _open_trackers(folder: RunFolder) -> Trackers | None:
    """Return the trackers that the run's config asks for; configs without any load nothing."""
    try:
        text = folder.config.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if "trackers" not in text:  # then it is no key either, and reading YAML can wait for ever
        return None
    from olmix.config import read_yaml

    content = read_yaml(folder.config).data
    if not isinstance(content, Mapping) or not content.get("trackers"):
        return None
    from olmix.records.run_config import open_run_trackers

    return open_run_trackers(folder)
