"""A Kubernetes API server on loopback: Jobs and pods, for the real client.

It checks every manifest against the published schema, as a real one does, numbers pods as the Job
controller does, and lets a test move them. A real pod's command can be carried out here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

TOKEN = "token-of-the-test"
VERSION = "1.33"
INDEX = "batch.kubernetes.io/job-completion-index"


class KubernetesService:
    """State of the server, and what a test does to it."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict] = {}
        self.pods: dict[str, dict] = {}
        self.logs: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen] = {}
        self.sent: list[dict] = []
        self.lock = threading.Lock()
        self._clock = datetime.now(UTC)

    def create(self, manifest: dict) -> tuple[int, dict]:
        """Take a Job; pods of it begin to wait."""
        try:
            kubernetes_validate.validate(manifest, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            return 422, _status(f"Job is invalid: {error.message}", 422)
        name = manifest["metadata"]["name"]
        if name in self.jobs:
            return 409, _status(f'jobs.batch "{name}" already exists', 409)
        self.sent.append(manifest)
        self.jobs[name] = {**manifest, "status": {}}
        for index in range(manifest["spec"]["parallelism"]):
            self.add_pod(name, index)
        return 201, self.jobs[name]

    def add_pod(self, job: str, index: int) -> str:
        """Make a new pod of an index, as the controller does for a lost one."""
        self._clock += timedelta(seconds=1)
        name = f"{job}-{index}-{len(self.pods)}"
        self.pods[name] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {"batch.kubernetes.io/job-name": job},
                "annotations": {INDEX: str(index)},
                "creationTimestamp": self._clock.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "spec": self.jobs[job]["spec"]["template"]["spec"],
            "status": {"phase": "Pending"},
        }
        return name

    def pod_of(self, job: str, index: int) -> str:
        """Return the newest pod of an index."""
        mine = [
            n for n, p in self.pods.items() if p["metadata"]["annotations"][INDEX] == str(index)
        ]
        return [name for name in mine if name.startswith(f"{job}-")][-1]

    def start(self, job: str, index: int, environment: dict[str, str]) -> None:
        """Carry out the command of a pod, as a node would."""
        name = self.pod_of(job, index)
        (container,) = self.pods[name]["spec"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        self.pods[name]["status"] = {"phase": "Running"}
        self.pods[name]["spec"] = {**self.pods[name]["spec"], "nodeName": "node-1"}
        self.processes[name] = subprocess.Popen(
            container["command"],
            env={**environment, **variables, "JOB_COMPLETION_INDEX": str(index)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def step(self, environment: dict[str, str]) -> None:
        """Be a node: start the pods that wait, and count those that have ended."""
        with self.lock:
            for pod in list(self.pods.values()):
                job = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
                if pod["status"]["phase"] == "Pending" and job in self.jobs:
                    self.start(job, int(pod["metadata"]["annotations"][INDEX]), environment)
            self.reap()

    def reap(self) -> None:
        """Count the pods whose command has ended, by the Job's failure policy."""
        for name, process in list(self.processes.items()):
            if process.poll() is None:
                continue
            del self.processes[name]
            self.logs[name] = process.stdout.read()
            process.stdout.close()
            self.end(name, process.returncode)

    def end(self, name: str, code: int) -> None:
        """End a pod with an exit status."""
        pod = self.pods[name]
        index = int(pod["metadata"]["annotations"][INDEX])
        ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}
        statuses = [{"name": "run", "image": "x", "imageID": "x", "ready": False,
                     "restartCount": 0, "state": {"terminated": ended}}]  # fmt: skip
        phase = "Succeeded" if code == 0 else "Failed"
        pod["status"] = {"phase": phase, "containerStatuses": statuses}
        job = self.jobs.get(pod["metadata"]["labels"]["batch.kubernetes.io/job-name"])
        if job is None:
            return
        if code == 0:
            self._count(job, "completedIndexes", index)
        elif code in (1, 2):
            self._count(job, "failedIndexes", index)
        else:
            self.add_pod(job["metadata"]["name"], index)
        done = [job["status"].get(key, "") for key in ("completedIndexes", "failedIndexes")]
        if sum(len(text.split(",")) for text in done if text) == job["spec"]["completions"]:
            kind = "Failed" if done[1] else "Complete"
            condition = {"type": kind, "status": "True", "reason": "FailedIndexes"}
            job["status"]["conditions"] = [condition]

    def _count(self, job: dict, key: str, index: int) -> None:
        known = [part for part in job["status"].get(key, "").split(",") if part]
        job["status"][key] = ",".join([*known, str(index)])

    def delete(self, name: str) -> tuple[int, dict]:
        """Remove a Job; its pods get SIGTERM."""
        if self.jobs.pop(name, None) is None:
            return 404, _status(f'jobs.batch "{name}" not found', 404)
        for pod in [pod for pod in self.processes if pod.startswith(f"{name}-")]:
            os.killpg(self.processes[pod].pid, signal.SIGTERM)
        for pod in [pod for pod in self.pods if pod.startswith(f"{name}-")]:
            if pod not in self.processes:
                del self.pods[pod]
        return 200, _status("", 200)

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, object]:
        """Answer a request."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.reap()
        match path.strip("/").split("/"):
            case ["apis", "batch", "v1", "namespaces", "lab", "jobs"]:
                if method == "POST":
                    return self.create(json.loads(body))
                return 200, _page("JobList", "batch/v1", list(self.jobs.values()), query)
            case ["apis", "batch", "v1", "namespaces", "lab", "jobs", name]:
                if method == "DELETE":
                    return self.delete(name)
                if name in self.jobs:
                    return 200, self.jobs[name]
                return 404, _status(f'jobs.batch "{name}" not found', 404)
            case ["api", "v1", "namespaces", "lab", "pods"]:
                wanted = query["labelSelector"][0].partition("=")[2]
                label = "batch.kubernetes.io/job-name"
                found = [p for p in self.pods.values() if p["metadata"]["labels"][label] == wanted]
                return 200, _page("PodList", "v1", found, query)
            case ["api", "v1", "namespaces", "lab", "pods", name, "log"]:
                return 200, self.logs.get(name, "")
        return 404, _status(f"{path}: the server could not find the requested resource", 404)


def _status(message: str, code: int) -> dict:
    return {"kind": "Status", "apiVersion": "v1", "message": message, "code": code}


def _page(kind: str, version: str, items: list, query: dict) -> dict:
    """Return at most two entries: a list of a few needs several pages."""
    first = int(query.get("continue", ["0"])[0])
    more = str(first + 2) if first + 2 < len(items) else ""
    metadata = {"continue": more}
    return {"kind": kind, "apiVersion": version, "metadata": metadata,
            "items": items[first : first + 2]}  # fmt: skip


@contextmanager
def serve_kubernetes(folder: Path) -> Iterator[tuple[KubernetesService, Path]]:
    """Serve on loopback; give the service, and a kubeconfig that names it."""
    service = KubernetesService()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            code, content = 401, _status("Unauthorized", 401)
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                with service.lock:
                    code, content = service.answer(self.command, self.path, body)
            text = content if isinstance(content, str) else json.dumps(content)
            self.send_response(code)
            kind = "text/plain" if isinstance(content, str) else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = do_PATCH = _handle

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(server.server_address[1])))
    try:
        yield service, kubeconfig
    finally:
        for process in service.processes.values():
            process.kill()
            process.wait()
            process.stdout.close()
        server.shutdown()
        server.server_close()


def _kubeconfig(port: int) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "lab"}}
        ],
    }
