"""The driver of a Ray job, on the cluster: one task per run, until all of them have ended.

It is copied to the group's folder and started there, as ``python driver-HASH.py ID.json``, so that
it needs Ray and nothing else where it runs: on the head node. Beside its request it leaves

    ID.states        a line for every change of a run: {"run", "state", "note", "attempt"}
    ID.started/RUN   written by a run's task: the attempt, and the node that it is on
    ID.cancel        written by `olmix launch cancel`: runs save their state and end
    logs/ID_RUN.log  what a run printed
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Request", "main", "train"]

_POLL_S = 1.0
_INTERRUPTED = 75
"""Exit status of a run that can be resumed, of `olmix.train.run_one`."""
_STOP_S = 60.0
"""Seconds that a run has to save its state; then it is killed."""
_AGAIN_S = 5.0
"""Seconds before a run that was interrupted starts again: its old process may still hold it."""


@dataclass(frozen=True)
class Request:
    """The content of `ID.json`.

    Attributes:
        folder: the group's folder, as workers see it.
        id: of the job.
        runs: names of the runs.
        python: Python of the runs; empty for that of Ray's workers.
        module: words behind it, before the run's folder.
        version: Olmix's own where it was launched.
        options: what a task asks of Ray: num_cpus, num_gpus, resources, label_selector.
        at_once: runs at a time; 0 for as many as there is room for.
        retries: how often a run starts again whose worker or node was lost.
    """

    folder: str
    id: str
    runs: tuple[str, ...]
    python: str
    module: tuple[str, ...]
    version: str
    options: dict[str, Any]
    at_once: int
    retries: int

    @classmethod
    def read(cls, file: Path) -> Request:
        """Read the file that `olmix launch` wrote."""
        plain = json.loads(file.read_text(encoding="utf-8"))
        plain["runs"], plain["module"] = tuple(plain["runs"]), tuple(plain["module"])
        return cls(**plain)


def train(request: dict[str, Any], run: str, attempt: int) -> tuple[int, str]:
    """Train one run in a process of its own, on a worker; returns its exit status and a note.

    It stands for itself: Ray carries it to workers that may not have the rest of this file.
    A process whose worker dies gets SIGTERM, saves its state and ends, on Linux.
    """
    import os
    import platform
    import subprocess
    import sys
    import time
    from pathlib import Path

    node, folder = platform.node(), Path(request["folder"])
    if not (folder / run).is_dir():
        return 2, f"{node} does not see {folder / run}: run folders must be on a shared disk"
    python = request["python"] or sys.executable
    code = "import olmix; print(olmix.__version__)"
    # A worker carries out one run after another, of one request or of several.
    checked = f"OLMIX_CHECKED_{request['id']}"
    version, last = os.environ.get(checked, ""), ""
    if not version:
        try:
            asked = subprocess.run(
                [python, "-c", code], capture_output=True, text=True, timeout=120, check=False
            )
            version = asked.stdout.strip()
            last = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        except (OSError, subprocess.TimeoutExpired) as error:
            last = str(error)
    if version != request["version"]:
        found = f"olmix {version}" if version else f"no olmix ({last})"
        return 2, f"{python} on {node} has {found}; the launcher has {request['version']}"
    os.environ[checked] = version

    # In the child: get SIGTERM when the worker dies, then become the run.
    guard = (
        "import ctypes, os, sys\n"
        "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 15)\n"
        "if os.getppid() != int(sys.argv[1]): sys.exit(75)\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    here = folder / "ray"
    started = here / f"{request['id']}.started" / run
    started.write_text(f"{attempt} {node}\n", encoding="utf-8")
    words = [python, "-c", guard, str(os.getpid()), *request["module"], str(folder / run)]
    with (here / "logs" / f"{request['id']}_{run}.log").open("ab") as log:
        log.write(f"{run} on {node}, {time.ctime()}\n".encode())
        log.flush()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        ends: float | None = None
        while process.poll() is None:
            if ends is None and (here / f"{request['id']}.cancel").exists():
                process.terminate()
                ends = time.monotonic() + request["stop_s"]
            elif ends is not None and time.monotonic() > ends:
                process.kill()
            time.sleep(0.2)
    status = int(process.returncode)
    return status, node if status >= 0 else f"ended by signal {-status} on {node}"


class _Runs:
    """The runs of a job, and what is known of them."""

    def __init__(self, request: Request, file: Path) -> None:
        import ray

        self.request = request
        self._states = file.with_suffix(".states")
        self._cancel = file.with_suffix(".cancel")
        self._waiting = deque((0.0, run) for run in request.runs)
        self._lost = dict.fromkeys(request.runs, 0)
        self._attempts = dict.fromkeys(request.runs, 0)
        self._running: dict[object, str] = {}
        self._plain = {**vars(request), "stop_s": _STOP_S}
        self._task = ray.remote(max_retries=0)(train)

    def say(self, run: str, state: str, note: str = "") -> None:
        """Write down what became of a run."""
        line = {"run": run, "state": state, "note": note, "attempt": self._attempts[run]}
        with self._states.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")

    def carry_out(self) -> None:
        """Hand out runs and wait for them, until none is left."""
        import ray

        missing = _missing(self.request.options)
        while self._waiting or self._running:
            if self._cancel.exists():
                for _, run in self._waiting:
                    self.say(run, "cancelled")
                self._waiting.clear()
                self._call_back()
            self._hand_out(missing)
            if not self._running:
                time.sleep(_POLL_S)
                continue
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=_POLL_S)
            for reference in ready:
                self._end(self._running.pop(reference), reference)

    def _call_back(self) -> None:
        """Cancel tasks that wait for a node; those that run see the file themselves."""
        import ray

        for reference, run in self._running.items():
            try:
                text = (self._states.with_suffix(".started") / run).read_text(encoding="utf-8")
            except OSError:
                text = ""
            if text.partition(" ")[0] != str(self._attempts[run]):
                ray.cancel(reference)

    def _hand_out(self, missing: str) -> None:
        now = time.monotonic()
        room = (self.request.at_once or len(self.request.runs)) - len(self._running)
        for _ in range(len(self._waiting)):
            begins, run = self._waiting.popleft()
            if room <= 0 or begins > now:
                self._waiting.append((begins, run))
                continue
            room -= 1
            self._attempts[run] += 1
            self.say(run, "pending", missing)
            task = self._task.options(name=run, **self.request.options)
            self._running[task.remote(self._plain, run, self._attempts[run])] = run

    def _end(self, run: str, reference: Any) -> None:
        import ray

        try:
            status, note = ray.get(reference)
        except ray.exceptions.RayError as error:
            status, note = -1, str(error).strip().partition(". ")[0][:200]
        if status == 0:
            self.say(run, "finished", note)
        elif self._cancel.exists():
            self.say(run, "cancelled", note)
        elif status == _INTERRUPTED:
            self._again(run, f"interrupted on {note}")
        elif status < 0 and self._lost[run] < self.request.retries:
            self._lost[run] += 1
            self._again(run, note)
        else:
            said = f"exit status {status} on {note}" if status == 1 else note
            self.say(run, "failed", said)

    def _again(self, run: str, note: str) -> None:
        self.say(run, "waiting", note)
        self._waiting.append((time.monotonic() + _AGAIN_S, run))


def _missing(options: dict[str, Any]) -> str:
    """Return what runs wait for, where no node of the cluster has it as it is now."""
    import ray

    wanted = {"CPU": options.get("num_cpus", 0), "GPU": options.get("num_gpus", 0)}
    wanted |= options.get("resources", {})
    labels = options.get("label_selector", {})
    nodes = [node for node in ray.nodes() if node["Alive"]]
    fits = [
        node
        for node in nodes
        if all(node["Resources"].get(name, 0) >= size for name, size in wanted.items())
        and all(node.get("Labels", {}).get(key) == value for key, value in labels.items())
    ]
    sizes = {name: f"{size:g}" for name, size in wanted.items() if size}
    asked = ", ".join(f"{name} {value}" for name, value in {**sizes, **labels}.items())
    return "" if fits else f"waits for a node with {asked}; none of the {len(nodes)} has it"


def main(words: list[str]) -> int:
    """Carry out the request in a file; returns the exit status."""
    import ray

    file = Path(words[0])
    request = Request.read(file)
    ray.init(address="auto", log_to_driver=False)
    file.with_suffix(".started").mkdir(exist_ok=True)
    (file.parent / "logs").mkdir(exist_ok=True)
    _Runs(request, file).carry_out()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
