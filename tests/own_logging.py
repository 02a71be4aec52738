"""Logging that a command sets up for its process, in tests that call it in theirs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def logging_of_its_own() -> Iterator[None]:
    """Take away the handlers of commands and of Hydra: a test closes the stream they write to."""
    root, ours = logging.getLogger(), logging.getLogger("olmix")
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        ours.handlers.clear()
        ours.setLevel(logging.NOTSET)
