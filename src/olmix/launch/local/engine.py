"""The local engine: a swarm on this machine, one worker process per core.

Runs are folders; all state is in files. A launch that is killed at any moment is completed by
launching again: finished runs are skipped, unfinished ones resume from their last checkpoint.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from olmix.config import LocalInfra
from olmix.errors import LaunchError
from olmix.launch.folders import check_checkpoints, prepare_folder
from olmix.launch.group_plan import Group, identity_of
from olmix.launch.inputs import check_inputs
from olmix.launch.local.workers import Message, Slot, Worker, slots_of
from olmix.launch.metadata import describe_launch, write_launch
from olmix.launch.moving import leave_engine
from olmix.records.run import CANCEL_FILE, RunFolder, lock

__all__ = ["Event", "Launched", "launch_local"]

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_POLL_S = 0.2
_STOP_S = 20.0
_STOP_PLAIN_S = 75.0
"""Seconds that a worker has to end; a command of its own has a minute to save its state."""

State = Literal["started", "progress", "finished", "failed", "skipped", "retried"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a run; for progress bars.

    Attributes:
        state: what happened.
        run: name of the run.
        detail: step, num_steps, tokens_per_second, loss, error: what is known.
    """

    state: State
    run: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Launched:
    """How a launch ended.

    Attributes:
        folder: the group's folder.
        finished: runs finished by this launch.
        skipped: runs that were finished before.
        failed: why each failed run failed.
        cancelled: whether `olmix launch cancel` ended it.
        seconds: wall-clock time.
    """

    folder: Path
    finished: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: Mapping[str, str]
    cancelled: bool
    seconds: float


def launch_local(
    group: Group, runs_dir: str | Path, on_event: Callable[[Event], None] | None = None
) -> Launched:
    """Train every run of a group that is not finished yet.

    Args:
        group: the runs.
        runs_dir: where group folders lie.
        on_event: called for everything that happens, from this thread.

    Raises:
        LaunchError: another launcher is already working on this group.
        DataError: token files are missing or unreadable; before anything is started.
        ConfigError: a run starts from a checkpoint that is not there; before anything is started.
        KeyboardInterrupt: passed on once the workers have saved their runs.
    """
    folder = Path(runs_dir) / group.group_id
    infra = group.infra
    if not isinstance(infra, LocalInfra):
        raise LaunchError(f"infra.backend = {infra.backend}: the local engine runs `local` only")
    started = time.monotonic()
    check_inputs(group)
    identities = {run.name: identity_of(run) for run in group.runs}
    check_checkpoints(group, folder)
    slots = slots_of(group, infra)
    with lock(folder / ".lock", wait=False) as got:
        if not got:
            raise LaunchError(
                f"{folder}: another launcher is already working on this group. Watch it with "
                f"`olmix launch status -g {group.group_id}`."
            )
        leave_engine(folder, infra)
        (folder / CANCEL_FILE).unlink(missing_ok=True)
        write_launch(folder, group, describe_launch(group, identities))
        pool = _Pool(folder, slots, infra.runs_per_batch, on_event or _silent)
        pending, skipped = [], []
        for run in group.runs:
            if prepare_folder(folder, run, identities[run.name]):
                pending.append(run.name)
            else:
                skipped.append(run.name)
                pool.tell(Event("skipped", run.name))
        cancelled = pool.train(pending)
    seconds = time.monotonic() - started
    return Launched(folder, tuple(pool.finished), tuple(skipped), pool.failed, cancelled, seconds)


def _silent(_: Event) -> None:
    """Take no notice."""


class _Pool:
    """Hands runs to workers, replaces workers that die, and knows how each run ended."""

    def __init__(
        self, folder: Path, slots: Sequence[Slot], batch: int, tell: Callable[[Event], None]
    ) -> None:
        self.folder = folder
        self.slots = slots
        self.batch = batch
        self.tell = tell
        self.finished: list[str] = []
        self.failed: dict[str, str] = {}
        self._inbox: queue.Queue[Message] = queue.Queue()
        self._workers: list[Worker] = []
        self._waiting: deque[str] = deque()
        self._attempts: dict[str, int] = {}

    def train(self, pending: list[str]) -> bool:
        """Train the runs; returns whether they were cancelled."""
        if not pending:
            return False
        self._waiting.extend(pending)
        try:
            for slot in self.slots[: len(pending)]:
                self._start(slot)
            while self._workers:
                if (self.folder / CANCEL_FILE).exists():
                    self._mark_cancelled(pending)
                    return True
                self._handle(self._next_message())
        finally:
            for worker in self._workers:
                worker.close()
            for worker in self._workers:
                worker.stop(_STOP_PLAIN_S if worker.slot.plain else _STOP_S)
        return False

    def _start(self, slot: Slot) -> None:
        self._workers.append(Worker(slot, self._inbox, self.folder / "workers.log"))

    def _next_message(self) -> Message | None:
        try:
            return self._inbox.get(timeout=_POLL_S)
        except queue.Empty:
            return None

    def _handle(self, message: Message | None) -> None:
        if message is None:
            return
        worker, content = message.worker, message.content
        if content is None:
            self._bury(worker)
        elif content.get("ready"):
            self._feed(worker)
        elif content.get("run") is None:
            logger.error("a worker could not read its request: %s", content.get("error"))
        elif "state" in content:
            self._end(worker, content)
        else:
            detail = {key: value for key, value in content.items() if key != "run"}
            self.tell(Event("progress", Path(content["run"]).name, detail))

    def _feed(self, worker: Worker) -> None:
        """Give a worker its next runs, or let it go."""
        batch: list[str] = []
        while self._waiting and len(batch) < self.batch:
            batch.append(self._waiting.popleft())
        if not batch:
            worker.runs = ()
            worker.close()
            return
        for run in batch:
            self._attempts[run] = self._attempts.get(run, 0) + 1
            self.tell(Event("started", run))
        worker.assign([self.folder / run for run in batch])

    def _end(self, worker: Worker, content: Mapping[str, Any]) -> None:
        """Take down how a run ended and give the worker more once all of its runs have."""
        run, state = Path(content["run"]).name, content["state"]
        worker.runs = tuple(path for path in worker.runs if Path(path).name != run)
        if state in ("finished", "skipped"):
            self.finished.append(run)
            self.tell(Event("finished", run, dict(content)))
        elif state == "failed":
            self.failed[run] = str(content.get("error") or "no reason given")
            self.tell(Event("failed", run, dict(content)))
        elif state == "interrupted":
            self._waiting.append(run)
        if not worker.runs:
            self._feed(worker)

    def _bury(self, worker: Worker) -> None:
        """Take the runs of a worker that ended back, and start another one for what is left."""
        self._workers.remove(worker)
        worker.close()
        for path in worker.runs:
            run = Path(path).name
            if self._attempts[run] < _ATTEMPTS:
                self._waiting.appendleft(run)
                self.tell(Event("retried", run, {"error": f"its worker ended by {worker.ending}"}))
                continue
            reason = (
                f"its worker ended {_ATTEMPTS} times, last by {worker.ending}; "
                f"see {self.folder / 'workers.log'}"
            )
            self.failed[run] = reason
            RunFolder(path).update_status(state="failed", error=reason)
            self.tell(Event("failed", run, {"error": reason}))
        if self._waiting and worker.runs:
            self._start(worker.slot)
        elif self._waiting and not self._workers:
            raise LaunchError(
                f"the workers stop before they start a run ({worker.ending}); "
                f"see {self.folder / 'workers.log'}"
            )

    def _mark_cancelled(self, pending: list[str]) -> None:
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.stop(_STOP_PLAIN_S if worker.slot.plain else _STOP_S)
        self._workers.clear()
        for run in pending:
            folder = RunFolder(self.folder / run)
            if folder.read_status().state in ("pending", "running"):
                folder.update_status(state="cancelled")
