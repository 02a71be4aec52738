"""Worker processes of the local engine: one per core, each training one run after another.

A worker is `python -m olmix.train.worker`. It reads a JSON object a line, ``{"runs": [FOLDER]}``,
and answers with progress and, for every run, its end. When its standard input closes, it saves what
it is doing and goes, so no worker outlives its launcher for long.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.config import LocalInfra
from olmix.launch.group_plan import Group
from olmix.text.threads import ONE_THREAD

__all__ = ["Message", "Slot", "Worker", "available_cores", "gpus_of", "slots_of"]


_PROCESSORS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Message:
    """A message of a worker, or the news that it ended.

    Attributes:
        worker: which one.
        content: the decoded line; `None` when the worker's output closed.
    """

    worker: Worker
    content: Mapping[str, Any] | None


@dataclass(frozen=True)
class Slot:
    """A place for one worker.

    Attributes:
        core: processor to pin it to; `None` leaves it free.
        gpu: the GPU that it sees; `None` leaves it all.
        plain: whether its runs use other trainers than the embedded one, which are processes of
            their own and set their threads themselves.
    """

    core: int | None = None
    gpu: int | None = None
    plain: bool = False

    @property
    def command(self) -> list[str]:
        """The command of its worker."""
        command = [sys.executable, "-m", "olmix.train.worker"]
        if self.core is not None:
            command += ["--core", str(self.core)]
        return [*command, "--plain"] if self.plain else command

    @property
    def environment(self) -> dict[str, str]:
        """The variables that are set for it.

        Threads must be limited before libraries load.
        """
        limits = {} if self.plain else dict(ONE_THREAD)
        return limits if self.gpu is None else {**limits, "CUDA_VISIBLE_DEVICES": str(self.gpu)}


def slots_of(group: Group, infra: LocalInfra) -> list[Slot]:
    """Return the places that a group has on this machine, no more than it has runs."""
    plain, gpus = not group.embedded, gpus_of(group, infra)
    if gpus:
        number = infra.workers or len(gpus)
        slots = [Slot(None, gpus[i % len(gpus)], plain) for i in range(number)]
    elif plain:
        # Other trainers use all cores that they find.
        slots = [Slot(plain=True)] * (infra.workers or 1)
    else:
        cores = available_cores()
        number = min(infra.workers or len(cores), len(group.runs))
        # More workers than cores share them; pinning would only tie them down.
        slots = [Slot(cores[i] if number <= len(cores) else None) for i in range(number)]
    return slots[: len(group.runs)]


def gpus_of(group: Group, infra: LocalInfra) -> tuple[int, ...]:
    """Return the GPUs of which each run gets one; none where a run takes what it finds.

    Those that the config names; for trainers other than the embedded one one all of a machine that
    has several, unless `workers` says how many runs there are at a time.
    """
    if infra.gpus or group.embedded or infra.workers is not None:
        return infra.gpus
    found = available_gpus()
    return found if len(found) > 1 else ()


def available_gpus() -> tuple[int, ...]:
    """Return the numbers of the NVIDIA GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        named = [word.strip() for word in visible.split(",")]
        return tuple(map(int, named)) if all(word.isdecimal() for word in named) else ()
    try:
        return tuple(range(len(list(Path("/proc/driver/nvidia/gpus").iterdir()))))
    except OSError:
        return ()


def available_cores() -> tuple[int, ...]:
    """Return the processor numbers that this process may run on, best places first.

    The second threads of cores come last, so that few workers get a whole core each.
    """
    if hasattr(os, "sched_getaffinity"):
        return _spread(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _spread(processors: Sequence[int], root: Path = _PROCESSORS) -> tuple[int, ...]:
    """Sort processors: the first thread of every core, then the second ones."""

    def place(number: int) -> int:
        try:
            text = (root / f"cpu{number}/topology/thread_siblings_list").read_text()
            threads = _numbers(text)
        except (OSError, ValueError):
            return 0
        return sum(other in threads for other in processors if other < number)

    return tuple(sorted(processors, key=lambda number: (place(number), number)))


def _numbers(text: str) -> set[int]:
    """Read a list as Linux writes it: ``0-1,8``."""
    spans = [part.partition("-") for part in text.strip().split(",")]
    return {n for low, _, high in spans for n in range(int(low), int(high or low) + 1)}


class Worker:
    """One worker process.

    Args:
        slot: its place.
        inbox: where its messages go.
        log: file that takes what its libraries print.
    """

    def __init__(self, slot: Slot, inbox: queue.Queue[Message], log: Path) -> None:
        self.slot = slot
        self.runs: tuple[str, ...] = ()
        self._inbox = inbox
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                slot.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **slot.environment},
                text=True,
                bufsize=1,
                start_new_session=True,  # Ctrl-C reaches the launcher, which asks workers to end
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        stdout = self._process.stdout
        for line in stdout or ():
            try:
                content = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(content, dict):
                self._inbox.put(Message(self, content))
        if stdout is not None:
            stdout.close()
        self._process.wait()
        self._inbox.put(Message(self, None))

    def assign(self, runs: Sequence[Path]) -> bool:
        """Hand the worker its next runs; returns False where it is no longer there."""
        self.runs = tuple(str(run) for run in runs)
        return self._send(json.dumps({"runs": self.runs}) + "\n")

    def _send(self, line: str) -> bool:
        stdin = self._process.stdin
        try:
            if stdin is None or stdin.closed:
                return False
            stdin.write(line)
            stdin.flush()
        except (BrokenPipeError, OSError):
            return False
        return True

    def close(self) -> None:
        """Tell the worker to save what it is doing and end."""
        stdin = self._process.stdin
        try:
            if stdin is not None and not stdin.closed:
                stdin.close()
        except OSError:
            pass  # it ended by itself, which is what was asked

    def stop(self, timeout_s: float) -> None:
        """Close the worker and wait for its end; what does not end in time is killed."""
        self.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        code = self._process.poll()
        if code is not None and code < 0:
            return f"signal {-code}"
        return f"exit status {code}"
