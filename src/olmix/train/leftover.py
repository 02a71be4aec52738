"""Processes that outlived the command that started them, or the process that watched it.

A worker that is killed with SIGKILL cannot take its command along, and a command that ends may
leave processes of its own behind. A second start beside them would be a second trainer in one
folder. So every start has a mark, which its processes inherit in their environment wherever they go
(`torchrun` gives its workers sessions of their own), and the run folder says which mark that is and
which process group it began with. What bears the mark is ended before anything else is started.

The number may be reused by another process group. So a group counts only while its leader is the
one that was started, or while a member bears the mark or prints to the log of the run: as long as
one member lives, the system gives the number of its group to nobody else.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from olmix.errors import DataError
from olmix.records.run import RunFolder
from olmix.text.files import read_json, write_json

__all__ = ["START_VARIABLE", "announce", "end_leftover", "forget", "remember"]

logger = logging.getLogger(__name__)

START_VARIABLE = "OLMIX_START"
"""The variable that holds the mark."""
_FILE = "process.json"
_POLL_S = 0.1
_KILL_S = 10.0
"""Seconds that the system has to end what was killed; a process may hang in a file system."""
_CLOCK_S = 5.0
"""Seconds by which clocks may differ where a process is told from an older one."""
_TICK_S = 0.005
"""Half the tick in which systems count when a process started."""


@dataclass(frozen=True)
class _Start:
    """One start of a command: its mark, when it was announced, and its first process."""

    log: Path
    mark: str | None
    announced: float
    pid: int | None
    started: float | None


@dataclass(frozen=True)
class _Process:
    """A process: its number, its group, when it started, and whether it still runs.

    Times are in seconds since the machine was started: setting its clock does not move them.
    """

    pid: int
    group: int
    started: float
    alive: bool


def announce(run_dir: Path) -> dict[str, str]:
    """Note that a run is about to be started; returns what the environment of its command needs."""
    mark = uuid.uuid4().hex
    # Processes do not outlive a power failure.
    about = {"host": platform.node(), "mark": mark, "announced": time.time() - psutil.boot_time()}
    write_json(run_dir / _FILE, about, sync=False)
    return {START_VARIABLE: mark}


def remember(run_dir: Path, pid: int) -> None:
    """Note the leader of the process group that trains a run."""
    try:
        about = dict(read_json(run_dir / _FILE))
    except (DataError, TypeError, ValueError):
        about = {"host": platform.node()}
    found = _look_up(pid)
    started = found.started if found is not None else None
    write_json(run_dir / _FILE, {**about, "pid": pid, "started": started}, sync=False)


def forget(run_dir: Path) -> None:
    """Note that all processes of the start have ended."""
    (run_dir / _FILE).unlink(missing_ok=True)


def end_leftover(run_dir: Path, grace_s: float, *, told: bool = False) -> bool:
    """End what is left of the last start of a run.

    Args:
        run_dir: the run folder; the caller holds its lock, so nobody else watches what is found.
        grace_s: seconds between SIGTERM and SIGKILL.
        told: whether the process group got its SIGTERM before; a second one may break off what the
            first one began.

    Returns:
        whether there was anything. Processes of other machines are left to their schedulers.
    """
    start = _read(run_dir)
    rest = _members(start) if start is not None else []
    if start is None or not rest:
        return False
    asked = {process.pid for process in rest if told and process.group == start.pid}
    deadline = time.monotonic() + grace_s
    while rest and (now := time.monotonic()) < deadline + _KILL_S:
        # The processes that have left the group are those of a launcher, which ends them itself.
        due = [process for process in rest if process.group == start.pid] or rest
        for process in rest if now > deadline else due:
            if now > deadline:
                _send(process.pid, signal.SIGKILL)
            elif process.pid not in asked:
                asked.add(process.pid)
                _send(process.pid, signal.SIGTERM)
        time.sleep(_POLL_S)
        rest = _members(start)
    if rest:
        numbers = ", ".join(str(process.pid) for process in rest)
        logger.warning("%s: these processes were killed but have not ended: %s", run_dir, numbers)
    return True


def _read(run_dir: Path) -> _Start | None:
    """Return what was noted of the last start; `None` if that says nothing of this machine."""
    try:
        about: dict[str, Any] = read_json(run_dir / _FILE)
        if about["host"] != platform.node():
            return None
        pid, started = about.get("pid"), about.get("started")
        return _Start(
            log=RunFolder(run_dir).log,
            mark=about.get("mark"),
            announced=float(about.get("announced") or 0.0),
            pid=None if pid is None else int(pid),
            started=None if started is None else float(started),
        )
    except (DataError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _members(start: _Start) -> list[_Process]:
    """Return the running processes of a start, never this one."""
    alive = [
        process
        for process in _processes(start.announced)
        if process.alive and process.pid != os.getpid()
    ]
    marked = [process for process in alive if _bears_mark(process.pid, start.mark)]
    group = [process for process in alive if process.group == start.pid]
    if group and not _is_ours(start, group, marked):
        group = []
    return list({process.pid: process for process in (*group, *marked)}.values())


def _is_ours(start: _Start, group: list[_Process], marked: list[_Process]) -> bool:
    """Whether a process group with the number of a start is that of the start."""
    leader = _look_up(group[0].group)
    expected = start.started if start.started is not None else -1.0
    if leader is not None and abs(leader.started - expected) < _TICK_S:
        return True  # no two with one number start at the same tick
    if any(process in marked for process in group):
        return True
    # A program that sets its own title wipes out its environment.
    return leader is None and any(_prints_to(process.pid, start.log) for process in group)


def _processes(announced: float) -> Iterator[_Process]:
    """Yield the processes of this machine that began after a start was announced."""
    for pid in psutil.pids():
        found = _look_up(pid)
        if found is not None and found.started > announced - _CLOCK_S:
            yield found


def _look_up(pid: int) -> _Process | None:
    """Return what the system says of a process; `None` where it says nothing."""
    try:
        process = psutil.Process(pid)
        # One that has ended stays in the list until its parent asks for it, which may be never.
        alive = process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        started = process.create_time() - psutil.boot_time()
        return _Process(pid, os.getpgid(pid), started, alive)
    except (psutil.Error, OSError):
        return None


def _bears_mark(pid: int, mark: str | None) -> bool:
    """Whether a process has inherited a mark."""
    if mark is None:
        return False
    try:
        return bool(psutil.Process(pid).environ().get(START_VARIABLE) == mark)
    except (psutil.Error, OSError):  # it has ended, or is another user's
        return False


def _prints_to(pid: int, log: Path) -> bool:
    """Whether the standard output or the standard error of a process is a file."""
    try:
        files = psutil.Process(pid).open_files()
        return any(file.fd in (1, 2) and log.samefile(file.path) for file in files)
    except (psutil.Error, OSError):
        return False


def _send(pid: int, number: int) -> None:
    """Send a signal to a process, if it is still there and ours."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
