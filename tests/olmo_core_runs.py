"""Trains run folders with the real OLMo-core, in children of one process that imported it once.

    python olmo_core_runs.py GROUP_DIR RUN[:STEP[:SIGNAL]] ...

A run with a step gets a signal, SIGKILL if none is named, once it has logged that step. What is
printed is how each ended: the status of `olmix.train.run_one`, or the signal that killed it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

from olmix.records.run import RunFolder
from olmix.train.run_one import main as train_one


def _train(folder: RunFolder) -> None:
    """Train in a child, and leave with its result as status."""
    status = 99
    try:
        status = train_one([str(folder.path)])
    except BaseException:  # noqa: BLE001  a child must not go on as its parent
        traceback.print_exc()
    os._exit(status)


def _step(folder: RunFolder) -> int:
    return max((record["step"] for record in folder.read_metrics()), default=0)


def main() -> int:
    import olmo_core.data
    import olmo_core.nn.transformer
    import olmo_core.train.callbacks
    import olmo_core.train.train_module  # noqa: F401

    statuses = []
    for word in sys.argv[2:]:
        name, kill, what, *_ = [*word.split(":"), "", ""]
        folder = RunFolder(Path(sys.argv[1]) / name)
        child = os.fork()
        if child == 0:
            _train(folder)
        if kill:
            while _step(folder) < int(kill) and os.waitpid(child, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
            os.kill(child, signal.Signals[what or "SIGKILL"])
        _, status = os.waitpid(child, 0)
        statuses.append(os.waitstatus_to_exitcode(status))
    print(*statuses)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
