"""A private Ray cluster of several nodes on this machine, for the length of a `with` block."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

import patience

RAY = Path(sys.executable).with_name("ray")
_OBJECTS = 80_000_000


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that it started; nothing if it has ended meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PrivateRay:
    """Nodes of a cluster, which listen on loopback alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.dashboard, self.client = _free_port(), _free_port(), _free_port()
        self.nodes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """Address of the job server."""
        return f"http://127.0.0.1:{self.dashboard}"

    @property
    def address(self) -> str:
        """Address for `ray.init`."""
        return f"127.0.0.1:{self.port}"

    def _start(self, cpus: int, *words: str, labels: dict[str, str] | None = None) -> None:
        command = [str(RAY), "start", "--block", "--disable-usage-stats", f"--num-cpus={cpus}"]
        command += ["--num-gpus=0", f"--object-store-memory={_OBJECTS}"]
        command += ["--node-ip-address=127.0.0.1", "--include-log-monitor=False"]
        command += ["--dashboard-agent-listen-port=0", "--metrics-export-port=0", *words]
        if labels:
            command.append(f"--labels={','.join(f'{k}={v}' for k, v in labels.items())}")
        # Workers find `python` on the path, and Olmix where this test finds it.
        path = f"{RAY.parent}:{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | own
        with (self.folder / f"node-{len(self.nodes)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self.nodes.append(process)

    def start_head(self, cpus: int = 1) -> None:
        """Start the head node, and wait until its job server answers."""
        self._start(
            cpus, "--head", f"--port={self.port}", f"--dashboard-port={self.dashboard}",
            f"--ray-client-server-port={self.client}", f"--temp-dir={self.folder}",
        )  # fmt: skip
        patience.wait_for(self._answers, "job server", while_=self.nodes[-1], every_s=0.2)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.url}/api/jobs/", timeout=5) as answer,
        ):
            return answer.status == 200
        return False

    def add_node(self, cpus: int = 1, **labels: str) -> subprocess.Popen[bytes]:
        """Start a further node, and wait until the head counts it."""
        before = self.alive()
        self._start(cpus, f"--address={self.address}", labels=labels)
        # A node that was just lost may still count as alive.
        node = self.nodes[-1]
        patience.wait_for(lambda: self.alive() - before, "node", while_=node, every_s=0.2)
        return node

    def alive(self) -> set[str]:
        """Nodes that the head counts, by their ids."""
        with urllib.request.urlopen(f"{self.url}/nodes?view=summary", timeout=30) as answer:
            found = json.load(answer)["data"]["summary"]
        return {node["raylet"]["nodeId"] for node in found if node["raylet"]["state"] == "ALIVE"}

    def kill(self, node: subprocess.Popen[bytes], *, spare: str = "") -> None:
        """Lose a node: all of its processes at once.

        Args:
            node: which one.
            spare: a part of the command of processes that live on, with what they started.
        """
        own = psutil.Process(node.pid)
        found = family(own)
        spared = [p for p in found if spare and spare in " ".join(p.cmdline())]
        kept = {p.pid for each in spared for p in family(each)}
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.pid not in kept:
                    process.kill()
        node.wait()

    def stop(self) -> None:
        """End every process of the cluster."""
        found = []
        for node in self.nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += family(psutil.Process(node.pid))
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for node in self.nodes:
            node.wait()


@contextlib.contextmanager
def private_ray(cpus: int = 2) -> Iterator[PrivateRay]:
    """Start a head node; more are added by `add_node`."""
    # Its sockets need a short path.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    cluster = PrivateRay(folder)
    try:
        cluster.start_head(cpus)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
