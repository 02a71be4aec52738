"""Commands that outlived the process that watched them.

A worker that is killed with SIGKILL cannot take its command along: the command goes on, and a
second start would be a second trainer in one folder. So a run folder says which process group
trains it, and a start ends what it finds there first.
"""

from __future__ import annotations

import os
import platform
import signal
import time
from pathlib import Path
from typing import Any

from olmix.errors import DataError
from olmix.io.files import read_json, write_json

__all__ = ["end_leftover", "forget", "remember"]

_FILE = "process.json"
_POLL_S = 0.1
_ASK = 0
"""The signal that only asks whether a process is there."""


def remember(run_dir: Path, pid: int) -> None:
    """Note the leader of the process group that trains a run."""
    about = {"host": platform.node(), "pid": pid, "started": _start_ticks(pid)}
    write_json(run_dir / _FILE, about, sync=False)  # processes do not outlive a power failure


def forget(run_dir: Path) -> None:
    """Note that the process group has ended."""
    (run_dir / _FILE).unlink(missing_ok=True)


def end_leftover(run_dir: Path, grace_s: float) -> bool:
    """End the process group of an earlier start, if it is still there.

    Args:
        run_dir: the run folder; the caller holds its lock, so nobody watches what is found.
        grace_s: seconds between SIGTERM and SIGKILL.

    Returns:
        whether there was one. Processes of other machines are left to their schedulers.
    """
    try:
        about: dict[str, Any] = read_json(run_dir / _FILE)
        host, pid, started = about["host"], int(about["pid"]), about["started"]
    except (DataError, KeyError, TypeError, ValueError):
        return False
    # The number may belong to another process by now; no two start at the same tick.
    if host != platform.node() or started is None or _start_ticks(pid) != started:
        return False
    deadline = time.monotonic() + grace_s
    there = _send(pid, signal.SIGTERM)
    while there:
        time.sleep(_POLL_S)
        there = _send(pid, signal.SIGKILL if time.monotonic() > deadline else _ASK)
    return True


def _send(group: int, number: int) -> bool:
    """Send a signal to a process group; returns whether it was still there."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; `None` where that is unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name of the program is in brackets and may hold anything; field 22 counts from 1.
    return int(text.rpartition(")")[2].split()[19])
