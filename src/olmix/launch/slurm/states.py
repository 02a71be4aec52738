"""SLURM's words for what tasks do, in ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from olmix.launch.engine import JobState

__all__ = ["expand", "state_of"]

_State = Literal["pending", "running", "finished", "failed", "cancelled"]
_STATES: Mapping[str, _State] = {
    "PENDING": "pending",
    "REQUEUED": "pending",
    "REQUEUE_HOLD": "pending",
    "REQUEUE_FED": "pending",
    "RESIZING": "pending",
    "RESV_DEL_HOLD": "pending",
    "SPECIAL_EXIT": "pending",
    "STOPPED": "pending",
    "SUSPENDED": "pending",
    "RUNNING": "running",
    "COMPLETING": "running",
    "CONFIGURING": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "COMPLETED": "finished",
    "CANCELLED": "cancelled",
}
"""SLURM's words in ours. All others (FAILED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, ...) are failures;
a job that was pre-empted and requeued is PENDING to SLURM itself."""
_NEVER = "DependencyNeverSatisfied"


def expand(tasks: str) -> Iterator[int]:
    """Yield the tasks of a list of SLURM's, such as ``2-3,5,7-11:2%4``."""
    for part in tasks.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match is not None:
            first, last, step = match.groups()
            yield from range(int(first), int(last or first) + 1, int(step or 1))


def state_of(word: str, reason: str) -> JobState:
    """Return a state of SLURM's, such as ``CANCELLED by 1000``, in our words."""
    word = word.split()[0].rstrip("+")
    if reason == _NEVER:
        return JobState("cancelled", _NEVER)
    return JobState(_STATES.get(word, "failed"), word)
