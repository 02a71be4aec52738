"""One run in a process of its own, as clusters start it: ``python -m olmix.train.run_one RUN_DIR``.

SIGTERM, which schedulers send before a time limit or a pre-emption, makes the run save its state
and end with status 75; the next start of the same command resumes there. Status 0 says that
the run is finished, also where it was finished before, 1 that it failed (`status.json` says why), 2
that the folder is none.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from olmix.errors import OlmixError
from olmix.records.run import CANCEL_FILE, RunFolder, lock
from olmix.train.environment import use_compilation_cache, use_one_thread

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED = 75
"""Exit status of a run that can be resumed (EX_TEMPFAIL)."""
_STATUS = {"finished": 0, "skipped": 0, "failed": 1, "interrupted": INTERRUPTED}


class _Stop:
    """Whether a signal asked for the end."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one run folder; returns the exit status."""
    parser = argparse.ArgumentParser(prog="olmix.train.run_one", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="run folder with its config.yaml")
    folder = RunFolder(parser.parse_args(arguments).run)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # JAX tells which backends it looked for in vain.
    logging.getLogger("jax").setLevel(logging.WARNING)
    if not folder.path.is_dir():
        print(f"error: {folder.path}: there is no such run folder", file=sys.stderr)  # noqa: T201
        return 2
    stop = _Stop()
    # Of the processes that torchrun starts for one run, the first holds the lock for all.
    first = os.environ.get("RANK", "0") == "0"
    with lock(folder.path / ".lock", wait=False) if first else nullcontext(True) as got:
        if not got:
            print(f"{folder.path}: another process is training this run", file=sys.stderr)  # noqa: T201
            return INTERRUPTED
        _prepare_process(folder)
        from olmix.train.dispatch import train_any

        for outcome in train_any([folder], should_stop=lambda: stop.asked):
            if outcome.state == "interrupted" and (folder.path.parent / CANCEL_FILE).exists():
                folder.update_status(state="cancelled")
                return 1
            if outcome.error:
                print(f"error: {folder.name}: {outcome.error}", file=sys.stderr)  # noqa: T201
            return _STATUS[outcome.state]
    return 1


def _prepare_process(folder: RunFolder) -> None:
    """Keep the embedded trainer on one thread, and let it take programs that other runs compiled.

    Other trainers have settings of their own.
    """
    from olmix.train.dispatch import trainer_of

    try:
        trainer = trainer_of(folder)
    except OlmixError:
        return  # training it will say what is wrong
    if trainer == "proxy":
        use_one_thread()
        use_compilation_cache()


if __name__ == "__main__":
    sys.exit(main())
