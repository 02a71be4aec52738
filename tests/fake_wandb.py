"""The part of W&B's service that listing and reading runs takes, on loopback.

The real client talks to it: its queries leave through a Go process, so that patching `requests`
would change nothing. Unknown queries are answered with an error, as the real service does.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")
_USER = {
    "id": "V1",
    "name": "u",
    "username": "u",
    "email": "u@example.org",
    "admin": False,
    "flags": "{}",
    "entity": "ent",
    "deletedAt": None,
    "apiKeys": {"edges": []},
    "teams": {"edges": []},
}


@dataclass
class Service:
    """Runs of one project, and the names of the queries that were asked."""

    url: str = ""
    runs: list[dict[str, Any]] = field(default_factory=list)
    histories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(self, name, *, state="finished", group="g1", config=None, summary=None, history=()):
        """Add a run; its rows of history need `_step`."""
        index = len(self.runs)
        run_id = f"r{index:04}"
        self.histories[run_id] = list(history)
        keys = {key: {"monotonic": False} for row in history for key in row}
        last = max((row["_step"] for row in history), default=-1)
        self.runs.append(
            {
                "id": f"id{index}",
                "name": run_id,
                "displayName": name,
                "state": state,
                "group": group,
                "tags": [],
                "sweepName": None,
                "jobType": None,
                "commit": None,
                "readOnly": False,
                "createdAt": f"2026-11-21T00:00:{index % 60:02}",
                "heartbeatAt": "2026-11-21T00:10:00",
                "description": "",
                "notes": "",
                "systemMetrics": "{}",
                "config": json.dumps({k: {"value": v} for k, v in (config or {}).items()}),
                "summaryMetrics": json.dumps(summary or {}),
                "historyLineCount": len(history),
                "historyKeys": {"lastStep": last, "keys": keys},
                "user": {"name": "u", "username": "u"},
                "projectId": "7",
                "wandbConfig": "{}",
            }
        )

    def answer(self, operation: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """Return the data of a query; `None` if it is not known."""
        if operation in ("Viewer", "GetViewer", "GetDefaultEntity"):
            return {"viewer": _USER}
        if operation == "Runs":
            return {"project": self._page(values)}
        if operation in ("Run", "RunState", "RunHistoryKeys"):
            return {"project": {"internalId": "7", "run": self._run(values)}}
        if operation == "RunParquetHistory":
            rows = self.histories[values["runName"]]
            parquet = {"parquetUrls": [], "liveData": rows}
            return {"project": {"run": {"parquetHistory": parquet}}}
        if operation == "HistoryPage":
            low, high = values.get("minStep", 0), values.get("maxStep", 10**12)
            rows = [r for r in self.histories[values["run"]] if low <= r["_step"] < high]
            return {"project": {"run": {"history": [json.dumps(row) for row in rows]}}}
        return None

    def _run(self, values: dict[str, Any]) -> dict[str, Any] | None:
        return next((run for run in self.runs if run["name"] == values["name"]), None)

    def _page(self, values: dict[str, Any]) -> dict[str, Any]:
        filters = json.loads(values.get("filters") or "{}")
        found = [run for run in self.runs if all(run[key] == x for key, x in filters.items())]
        start, size = int(values.get("cursor") or 0), values.get("perPage") or 50
        page = found[start : start + size]
        edges = [{"node": run, "cursor": str(start + i + 1)} for i, run in enumerate(page)]
        end = {"endCursor": str(start + len(page)), "hasNextPage": start + size < len(found)}
        return {
            "internalId": "7",
            "runCount": len(found),
            "readOnly": False,
            "runs": {"edges": edges, "pageInfo": end},
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/graphql"):  # telemetry
            self._send({})
            return
        query = json.loads(body)
        match = _OPERATION.search(query["query"])
        operation = match[1] if match is not None else "?"
        self.service.asked.append(operation)
        data = self.service.answer(operation, query.get("variables") or {})
        if data is None:
            self._send({"errors": [{"message": f"Cannot query {operation}: {query}"}]})
        else:
            self._send({"data": data})

    def _send(self, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@contextmanager
def wandb_service() -> Iterator[Service]:
    """Run the service for the length of a `with` block."""
    service = Service()
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
