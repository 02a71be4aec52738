"""A Beaker service on loopback: gRPC over TLS for all but creating experiments, which is HTTP.

The real beaker-py talks to it. It answers the calls that Olmix makes, and refuses what the real
service refuses: unknown tokens, names that are taken, ids that do not exist.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from beaker import beaker_pb2 as pb
from beaker import beaker_pb2_grpc as rpc

TOKEN = "token-of-the-test"
WORKSPACE = "ai2/mixing"
SECRETS = ("wandb-key", "aws-credentials")
PAGE = 3  # small, so that lists of a few entries need several pages


@dataclass
class Sent:
    """A request to create an experiment."""

    path: str
    name: str
    spec: dict
    authorization: str


class RefusedError(Exception):
    """The service does not create an experiment."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class BeakerService(rpc.BeakerServicer):
    """State of the service, and what a test does to it."""

    def __init__(self) -> None:
        self.workloads: dict[str, pb.Workload] = {}
        self.jobs: list[pb.Job] = []
        self.groups: dict[str, pb.Group] = {}
        self.members: dict[str, list[str]] = {}
        self.output: dict[str, list[bytes]] = {}
        self.sent: list[Sent] = []
        self.refuse_after: int | None = None
        self.refuse_groups = False
        self._lock = threading.Lock()

    # What a test does

    def by_run(self, run):
        """Return the newest experiment whose task has the name of a run."""
        found = [
            entry for entry in self.workloads.values() if entry.experiment.tasks[0].name == run
        ]
        return found[-1]

    def move(self, run, status, *, code=0, exit_code=None, replica=0):
        """Bring a run's experiment and the last job of one of its tasks into a state."""
        workload = self.by_run(run)
        workload.status = status
        job = self._jobs_of(workload.experiment.tasks[replica].id)[-1]
        job.status.status = status
        job.status.canceled_code = code
        if exit_code is not None:
            job.status.exit_code = exit_code
        return workload

    def restart(self, run):
        """Give a run another job, as the service does after a pre-emption."""
        workload = self.by_run(run)
        workload.status = pb.STATUS_QUEUED
        self._add_job(workload, workload.experiment.tasks[0])

    def write(self, run, *lines, replica=0):
        """Add to the output of the last job of a run."""
        task = self.by_run(run).experiment.tasks[replica]
        self.output.setdefault(self._jobs_of(task.id)[-1].id, []).extend(lines)

    # What the service does

    def create(self, name, spec):
        """Create an experiment; returns its id."""
        with self._lock:
            if self.refuse_after is not None and len(self.workloads) >= self.refuse_after:
                raise RefusedError(403, "the budget is used up")
            if any(entry.experiment.name == name for entry in self.workloads.values()):
                raise RefusedError(409, f"experiment name {name} already in use")
            number = f"01EX{len(self.workloads):08d}"
            workload = pb.Workload(status=pb.STATUS_QUEUED)
            experiment = workload.experiment
            experiment.id, experiment.name, experiment.workspace_id = number, name, "01WS"
            experiment.description = spec["description"]
            experiment.created.GetCurrentTime()
            for task in spec["tasks"]:
                for replica in range(task.get("replicas", 1)):
                    entry = experiment.tasks.add(
                        id=f"01TK{len(self.workloads)}-{replica}", name=task["name"]
                    )
                    self._add_job(workload, entry)
            self.workloads[number] = workload
            return number

    def _add_job(self, workload, task):
        job = pb.Job(id=f"01JB{len(self.jobs):08d}", task_id=task.id)
        job.workload_id = workload.experiment.id
        job.status.status = pb.STATUS_QUEUED
        job.status.created.GetCurrentTime()
        self.jobs.append(job)

    def _jobs_of(self, task):
        return [job for job in self.jobs if job.task_id == task]

    def GetUser(self, request, context):
        return pb.GetUserResponse(user=pb.User(id="01US", name="tester"))

    def ResolveOrganizationName(self, request, context):
        return pb.ResolveOrganizationNameResponse(organization_id="01OR")

    def ResolveWorkspaceName(self, request, context):
        if f"{request.owner_name}/{request.workspace_name}" != WORKSPACE:
            context.abort(grpc.StatusCode.NOT_FOUND, "workspace not found")
        return pb.ResolveWorkspaceNameResponse(workspace_id="01WS")

    def GetWorkspace(self, request, context):
        if request.workspace_id != "01WS":
            context.abort(grpc.StatusCode.NOT_FOUND, "workspace not found")
        return pb.GetWorkspaceResponse(workspace=pb.Workspace(id="01WS", name=WORKSPACE))

    def GetSecret(self, request, context):
        if request.secret_name not in SECRETS:
            context.abort(grpc.StatusCode.NOT_FOUND, "secret not found")
        return pb.GetSecretResponse(secret=pb.Secret(name=request.secret_name))

    def GetWorkload(self, request, context):
        if request.workload_id not in self.workloads:
            context.abort(grpc.StatusCode.NOT_FOUND, "workload not found")
        return pb.GetWorkloadResponse(workload=self.workloads[request.workload_id])

    def ListWorkloads(self, request, context):
        options = request.options
        wanted = options.name_or_description_substring
        found = [
            entry
            for entry in self.workloads.values()
            if wanted in entry.experiment.name or wanted in entry.experiment.description
        ]
        if options.sort_clause.sort_order == pb.SORT_ORDER_DESCENDING:
            found.reverse()
        start = int(request.next_page_token or 0)
        end = start + PAGE
        return pb.ListWorkloadsResponse(
            workloads=found[start:end], next_page_token=str(end) if end < len(found) else ""
        )

    def ListJobs(self, request, context):
        options = request.options
        found = self._jobs_of(options.task_id)
        if options.sort_clause.sort_order == pb.SORT_ORDER_DESCENDING:
            found.reverse()
        return pb.ListJobsResponse(jobs=found[: options.page_size])

    def StreamJobLogs(self, request, context):
        for line in self.output.get(request.job_id, []):
            entry = pb.JobLog(message=line)
            entry.timestamp.GetCurrentTime()
            yield entry

    def CancelWorkloads(self, request, context):
        for number in request.workload_ids:
            workload = self.workloads[number]
            if workload.status in (pb.STATUS_SUCCEEDED, pb.STATUS_FAILED):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "already finalized")
            workload.status = pb.STATUS_CANCELED
            workload.experiment.canceled.GetCurrentTime()
        return pb.CancelWorkloadsResponse(workload_ids=request.workload_ids)

    def ListGroups(self, request, context):
        if self.refuse_groups:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "no groups for you")
        wanted = request.options.name_or_description_substring
        return pb.ListGroupsResponse(
            groups=[group for group in self.groups.values() if wanted in group.name]
        )

    def CreateGroup(self, request, context):
        if request.name in self.groups:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "group exists")
        group = pb.Group(id=f"01GR{len(self.groups)}", name=request.name)
        self.groups[request.name] = group
        self.members[request.name] = list(request.experiment_ids)
        return pb.CreateGroupResponse(group=group)

    def UpdateGroup(self, request, context):
        group = next(entry for entry in self.groups.values() if entry.id == request.group_id)
        self.members[group.name] += request.add_experiment_ids
        return pb.UpdateGroupResponse(group=group)


class _CheckToken(grpc.ServerInterceptor):
    """Refuses calls without the token."""

    def intercept_service(self, continuation, details):
        sent = dict(details.invocation_metadata).get("authorization")
        if sent == f"bearer {TOKEN}":
            return continuation(details)

        def refuse(request, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid token")

        return grpc.unary_unary_rpc_method_handler(refuse)


def _http_handler(service):
    class Handler(BaseHTTPRequestHandler):
        """Creates experiments."""

        def do_POST(self):
            address = urlsplit(self.path)
            name = parse_qs(address.query)["name"][0]
            spec = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service.sent.append(Sent(address.path, name, spec, self.headers["Authorization"]))
            try:
                self._answer(200, {"id": service.create(name, spec)})
            except RefusedError as error:
                self._answer(error.status, {"message": str(error)})

        def _answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            """Stay quiet."""

    return Handler


@dataclass
class Running:
    """A service that listens."""

    service: BeakerService
    config: Path
    certificate: bytes
    addresses: dict = field(default_factory=dict)


def make_certificate(folder):
    """Write a key and a certificate of 127.0.0.1 with openssl; returns both."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; the service on loopback needs a certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", str(key), "-out", str(certificate),
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    return key.read_bytes(), certificate.read_bytes()


@contextmanager
def serve(folder):
    """Run a service whose addresses and token are in a config file of Beaker's."""
    service = BeakerService()
    key, certificate = make_certificate(folder)
    server = grpc.server(futures.ThreadPoolExecutor(8), interceptors=[_CheckToken()])
    rpc.add_BeakerServicer_to_server(service, server)
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _http_handler(service))
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    addresses = {
        "rpc_address": f"127.0.0.1:{port}",
        "agent_address": f"http://127.0.0.1:{http.server_port}",
    }
    config = folder / "beaker.yml"
    write_config(config, user_token=TOKEN, **addresses)
    try:
        yield Running(service, config, certificate, addresses)
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
        server.stop(None).wait()


def write_config(path, **values):
    """Write a config file of the `beaker` command."""
    path.write_text("".join(f"{name}: {value}\n" for name, value in values.items()))


def trust(monkeypatch, running):
    """Let this process's gRPC trust the service's certificate, and Beaker find its config."""
    original = grpc.ssl_channel_credentials
    trusting = partial(original, root_certificates=running.certificate)
    monkeypatch.setattr(grpc, "ssl_channel_credentials", trusting)
    monkeypatch.setenv("BEAKER_CONFIG", str(running.config))
    for name in ("BEAKER_TOKEN", "BEAKER_ADDR"):
        monkeypatch.delenv(name, raising=False)
