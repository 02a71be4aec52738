"""Waiting for what a test has caused: for events, never for how fast a machine is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

STUCK_S = 1800.0
"""No time that anything should take: it ends a test that hangs for good."""

_Found = TypeVar("_Found")


def wait_for(
    condition: Callable[[], _Found],
    what: str,
    *,
    while_: subprocess.Popen | None = None,
    every_s: float = 0.02,
) -> _Found:
    """Wait until a condition holds, and return what it gives.

    Args:
        condition: gives something that is true once it holds.
        what: what is waited for, in words.
        while_: the process that brings it about; its end ends the waiting.
        every_s: seconds between looks; looks that cost something may be rarer.
    """
    started = time.monotonic()
    while not (found := condition()):
        if while_ is not None and while_.poll() is not None:
            found = condition()
            if not found:
                pytest.fail(f"no {what}: the process ended with status {while_.returncode}")
            return found
        if time.monotonic() - started > STUCK_S:
            pytest.fail(f"no {what} within {STUCK_S:g} s")
        time.sleep(every_s)
    return found
