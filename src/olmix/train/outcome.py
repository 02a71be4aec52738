"""How far a run is, and how it ended, as every trainer reports it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from olmix.errors import OlmixError, in_words
from olmix.records.run import RunFolder
from olmix.records.run_writer import ended_by

__all__ = ["Outcome", "RunProgress", "fail_run", "note_failure", "outcome_of", "run_logs"]

logger = logging.getLogger(__name__)

End = Literal["finished", "failed", "skipped", "interrupted"]


@dataclass(frozen=True)
class Outcome:
    """How the training of a run folder ended.

    Attributes:
        run: the folder.
        state: `skipped` where the same run was finished before; `interrupted` where it
            stopped on request and can be resumed.
        error: why it failed.
    """

    run: Path
    state: End
    error: str | None = None


@dataclass(frozen=True)
class RunProgress:
    """How far a run is.

    Attributes:
        run: the folder.
        step: steps done.
        num_steps: steps to do; 0 where the trainer does not say.
        tokens_per_second: speed of this run since it was taken up.
        loss: training loss of the last step; `None` before the first.
        tokens_share: share of the tokens that are trained on, where that is known.
    """

    run: Path
    step: int
    num_steps: int
    tokens_per_second: float
    loss: float | None
    tokens_share: float | None = None

    @property
    def share(self) -> float | None:
        """Share that is done, by steps or else by tokens; `None` where neither is known."""
        share = self.step / self.num_steps if self.num_steps > 0 else self.tokens_share
        return None if share is None else min(share, 1.0)


def outcome_of(folder: RunFolder) -> Outcome:
    """Return how the training of a run ended, as its status tells."""
    status = folder.read_status()
    if status.state == "failed":
        return Outcome(folder.path, "failed", status.error)
    return Outcome(folder.path, "finished" if status.state == "finished" else "interrupted")


def fail_run(folder: RunFolder, error: Exception) -> Outcome:
    """Mark a run as failed in its status and log, where it failed before its trainer could."""
    note_failure(error)
    if folder.path.is_dir():
        folder.update_status(**ended_by(error))
    return Outcome(folder.path, "failed", in_words(error))


def note_failure(error: BaseException) -> None:
    """Log an error in words; an unforeseen one with its traceback."""
    if isinstance(error, OlmixError):
        logger.error("%s", error)
    else:
        logger.error("unexpected error", exc_info=error)


@contextmanager
def run_logs(folders: Sequence[RunFolder]) -> Iterator[None]:
    """Send what the package logs to each run's `log.txt`, tracebacks too."""
    package = logging.getLogger("olmix")
    level = package.level
    handlers = [
        logging.FileHandler(folder.log, encoding="utf-8")
        for folder in folders
        if folder.path.is_dir()
    ]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.setLevel(level)
        for handler in handlers:
            package.removeHandler(handler)
            handler.close()
