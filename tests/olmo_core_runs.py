"""Trains run folders with the real OLMo-core, in children of one process that imported it once.

    python olmo_core_runs.py GROUP_DIR RUN[:KILL_STEP] ...

A run with a step is killed by SIGKILL once it has logged that step.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

from olmix.config import LaunchConfig
from olmix.io.runs import RunFolder


def _train(folder: RunFolder) -> None:
    """Train in a child, and leave with its result as status."""
    from olmix.train.olmo_core import train_run

    try:
        train_run(folder, LaunchConfig.from_yaml(folder.config))
    except BaseException:  # noqa: BLE001  a child must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _step(folder: RunFolder) -> int:
    return max((record["step"] for record in folder.read_metrics()), default=0)


def main() -> int:
    import olmo_core.data
    import olmo_core.nn.transformer
    import olmo_core.train.callbacks
    import olmo_core.train.train_module  # noqa: F401

    statuses = []
    for word in sys.argv[2:]:
        name, _, kill = word.partition(":")
        folder = RunFolder(Path(sys.argv[1]) / name)
        child = os.fork()
        if child == 0:
            _train(folder)
        if kill:
            while _step(folder) < int(kill) and os.waitpid(child, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        statuses.append(os.waitstatus_to_exitcode(status))
    print(*statuses)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
