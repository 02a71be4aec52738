"""A head node whose job agent is still starting refuses a job for a while: that is no failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from olmix.config import RayInfra
from olmix.errors import LaunchError
from olmix.launch.ray.client import connected

_STARTING = "No available agent to submit job, please try again later."


@contextmanager
def _job_server(refusals: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Serve as Ray's job server: each refusal once, then accept; yields the address and the ids."""
    accepted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Stay silent."""

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self._answer(200, json.dumps({"version": "4", "ray_version": "2", "ray_commit": ""}))

        def do_POST(self) -> None:
            job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if refusals:
                self._answer(500, refusals.pop(0))
                return
            accepted.append(job["submission_id"])
            names = {"job_id": job["submission_id"], "submission_id": job["submission_id"]}
            self._answer(200, json.dumps(names))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", accepted
    finally:
        server.shutdown()
        server.server_close()


def test_a_job_is_submitted_again_while_the_agent_starts() -> None:
    with (
        _job_server([_STARTING, _STARTING]) as (address, accepted),
        connected(RayInfra(backend="ray", address=address)) as client,
    ):
        client.submit_job(entrypoint="true", submission_id="olmix-1")
    assert accepted == ["olmix-1"]


def test_any_other_refusal_is_told_at_once() -> None:
    with (
        _job_server(["the entrypoint is empty"] * 2) as (address, accepted),
        pytest.raises(LaunchError, match="the entrypoint is empty"),
        connected(RayInfra(backend="ray", address=address)) as client,
    ):
        client.submit_job(entrypoint="", submission_id="olmix-1")
    assert accepted == []
