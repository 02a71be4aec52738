"""A small world for each engine: a scheduler that carries runs out on this machine.

SLURM and Ray are real. Kubernetes and Beaker are servers on loopback, with a node that starts what
they were sent, so that the real clients speak to them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
from private_ray import family

from olmix.launch import launch_local, submit_group


def processes_of(run: Path) -> list[psutil.Process]:
    """Return the processes that carry out a run, the one that was started for it first."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(run) in words and "olmix.train.run_one" in words:
            found += family(process)
    return found


class World:
    """A scheduler that is at hand.

    Attributes:
        infra: the section of a config that reaches it.
        is_real: whether it is a scheduler that people run, not a stand-in.
    """

    infra: dict[str, object] = {}
    is_real = False

    def submit(self, group, root):
        """Launch a group; returns its folder and its jobs."""
        submitted = submit_group(group, root)
        return submitted.folder, submitted.jobs

    def kill(self, run: Path) -> None:
        """Lose a run: its process and all that it started, at once."""
        for process in processes_of(run):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


class LocalWorld(World):
    """This machine, where the launcher itself carries runs out, in a thread here."""

    infra = {"backend": "local", "workers": 2}

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def submit(self, group, root):
        for thread in self.threads:
            thread.join(60)
        thread = threading.Thread(target=launch_local, args=(group, root))
        self.threads.append(thread)
        thread.start()
        folder = root / group.group_id
        while thread.is_alive() and not (folder / "group.json").is_file():
            time.sleep(0.05)
        return folder, ()

    def kill(self, run: Path) -> None:
        for worker in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "olmix.train.worker" in worker.cmdline() and any(
                    each.environ().get("OLMIX_RUN_DIR") == str(run.resolve())
                    for each in family(worker)[1:]
                ):
                    for each in family(worker):
                        each.kill()
                    return


class Node:
    """Starts what a fake service was sent, and tells it how it ended, as long as it lives."""

    def __init__(self, step) -> None:
        self._step, self._stop = step, threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def _live(self) -> None:
        while not self._stop.wait(0.1):
            self._step()

    def stop(self) -> None:
        """End, with all that it started."""
        self._stop.set()
        self._thread.join(10)


def environment() -> dict[str, str]:
    """Return the variables of a container with Olmix installed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


class BeakerNode:
    """Carries out the experiments that a fake Beaker was sent."""

    def __init__(self, service, pb) -> None:
        self.service, self.pb = service, pb
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.begun: set[str] = set()
        self.cancelled: set[str] = set()

    def step(self) -> None:
        """Start new experiments, and tell how others ended."""
        status = self.pb.STATUS_RUNNING, self.pb.STATUS_SUCCEEDED, self.pb.STATUS_FAILED
        for sent in list(self.service.sent):
            # What was sent is noted before the service has made an experiment of it.
            if sent.name in self.begun or self._workload(sent.name) is None:
                continue
            self.begun.add(sent.name)
            (task,) = sent.spec["tasks"]
            self.processes[sent.name] = subprocess.Popen(
                task["command"], env=environment(), start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self._move(sent.name, status[0])
        for name, process in list(self.processes.items()):
            workload = self._workload(name)
            if workload.experiment.HasField("canceled") and name not in self.cancelled:
                self.cancelled.add(name)
                process.terminate()
            code = process.poll()
            if code is not None:
                del self.processes[name]
                if name not in self.cancelled:
                    self._move(name, status[1 if code == 0 else 2], exit_code=abs(code))

    def stop(self) -> None:
        """End what is left."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _workload(self, name):
        known = list(self.service.workloads.values())
        found = [workload for workload in known if workload.experiment.name == name]
        return found[-1] if found else None

    def _move(self, name, status, **changes) -> None:
        run = self._workload(name).experiment.tasks[0].name
        self.service.move(run, status, **changes)
