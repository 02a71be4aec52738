"""The interface to a cluster's scheduler: render, submit, watch, cancel, show logs.

An engine knows jobs and nothing of training. Each run is one process,
``python -m olmix.train.run_one RUN_DIR``, which leaves everything in its folder; what a scheduler
says counts only where the folder says nothing yet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from olmix.errors import LaunchError
from olmix.launch.group_plan import Group
from olmix.records.group import Job

__all__ = ["Engine", "JobState", "NoAnswerError"]


class NoAnswerError(LaunchError):
    """A scheduler did not answer in time, so nobody knows whether it did what was asked."""


@dataclass(frozen=True)
class JobState:
    """The state of one run, as an engine sees it.

    Attributes:
        state: in Olmix's words; pre-empted and requeued jobs are pending.
        note: the engine's own word, such as PREEMPTED or OUT_OF_MEMORY.
    """

    state: Literal["pending", "running", "finished", "failed", "cancelled"]
    note: str = ""


class Engine(ABC):
    """A scheduler that takes jobs and carries them out in its own time."""

    name: ClassVar[str]
    """Value of `infra.backend`."""

    @abstractmethod
    def render(self, group: Group, folder: Path, runs: Sequence[str]) -> str:
        """Return exactly what `submit` sends, as text; needs neither network nor credentials.

        Args:
            group: the runs and where they are carried out.
            folder: the group's folder, which holds a folder for each run.
            runs: names of the runs to submit.
        """

    @abstractmethod
    def check(self, group: Group, folder: Path, runs: Sequence[str]) -> None:
        """Refuse what cannot work before anything is written; arguments as in `render`.

        Raises:
            LaunchError: says what is in the way.
        """

    @abstractmethod
    def submit(self, group: Group, folder: Path, runs: Sequence[str]) -> Iterable[Job]:
        """Submit runs whose folders are written, arguments as in `render`.

        Each job is given back as soon as it is accepted, so that none is forgotten where a later
        one is refused.

        Raises:
            LaunchError: the scheduler refuses or cannot be reached.
        """

    @abstractmethod
    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Return what the scheduler says of each run.

        Runs that it does not know are left out, and so are jobs that bear the number of one of
        these and are not this group's: a warning names them.
        """

    @abstractmethod
    def cancel(self, jobs: Sequence[Job]) -> None:
        """Cancel what has not ended; jobs that have, or are not this group's, are left alone."""

    @abstractmethod
    def logs(self, job: Job, run: str) -> str:
        """Return what the scheduler kept of a run's output."""

    def first_lines(self, job: Job, run: str) -> str:
        """Return how a run's output begins, in a line, where that is at hand; else nothing."""
        del job, run
        return ""
