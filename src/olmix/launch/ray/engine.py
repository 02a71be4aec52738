"""Runs on Ray: one Ray job for a launch, which keeps one task per run going until all have ended.

A group folder gets

    ray/driver-HASH.py       what the job runs: `olmix.launch.ray.driver`
    ray/ID.json              its request; the files that it leaves are listed there
    ray/logs/ID_RUN.log      what each run printed
"""

from __future__ import annotations

import json
import logging
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from olmix import __version__
from olmix.config import RayInfra
from olmix.errors import LaunchError
from olmix.launch.engine import Engine, JobState
from olmix.launch.group_plan import Group
from olmix.launch.mounts import seen_folder
from olmix.launch.ray import driver
from olmix.launch.ray.client import connected, start_here
from olmix.records.group import Job
from olmix.text.files import digest, read_records, write_json, write_text

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

__all__ = ["RayEngine"]

logger = logging.getLogger(__name__)

_GROUP, _RUNS = "olmix_group", "olmix_request"
"""Metadata of our jobs: the group, and the file of the request."""
_LIVE = ("PENDING", "RUNNING")
_FIRST_CHARACTERS = 2000
_NOTE = 300


class RayEngine(Engine):
    """A Ray cluster, through its job server.

    Args:
        infra: what the runs run on.
    """

    name: ClassVar[str] = "ray"

    def __init__(self, infra: RayInfra) -> None:
        self.infra = infra

    def render(self, group: Group, folder: Path, runs: Sequence[str]) -> str:
        """Return the request and the entrypoint of the job."""
        request = asdict(_request(self.infra, group, folder, runs, "ID"))
        return f"{json.dumps(request, indent=2)}\n$ {_entrypoint(request['folder'], 'ID')}\n"

    def check(self, group: Group, folder: Path, runs: Sequence[str]) -> None:
        """Reach the cluster, and start it where `address: local` asks for one.

        Raises:
            LaunchError: says what is in the way.
        """
        del group, folder, runs
        start_here(self.infra)
        with connected(self.infra):
            return

    def submit(self, group: Group, folder: Path, runs: Sequence[str]) -> Iterator[Job]:
        """Submit one job for the runs, beside what an earlier launch that was cut off submitted.

        Raises:
            LaunchError: Ray refuses or cannot be reached.
        """
        here = folder.resolve() / "ray"
        with connected(self.infra) as client:
            left = list(runs)
            for job in _find_live(client, group, here):
                if set(job.runs) & set(left):
                    left = [run for run in left if run not in job.runs]
                    yield job
            if not left:
                return
            job_id = f"olmix-{secrets.token_hex(4)}"
            request = _request(self.infra, group, folder, left, job_id)
            write_text(here / _driver_name(), _driver_text())
            write_json(here / f"{job_id}.json", asdict(request))
            client.submit_job(
                entrypoint=_entrypoint(request.folder, job_id),
                submission_id=job_id,
                metadata={_GROUP: group.group_id, _RUNS: str(here / f"{job_id}.json")},
            )
            yield Job(job_id, tuple(left), here.as_uri(), group.group_id)

    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Return what the jobs wrote down of their runs, and how those ended that ended before."""
        if not jobs:
            return {}
        found: dict[str, JobState] = {}
        with connected(self.infra) as client:
            for job, info in _ours(client, jobs):
                states = _states(client, job, info)
                for run in job.runs:
                    # A run that was submitted again has the state of its last job.
                    found.pop(run, None)
                    if run in states:
                        found[run] = states[run]
        return found

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Tell the jobs that wait or run to end; their runs have a minute to save their state."""
        if not jobs:
            return
        with connected(self.infra) as client:
            for job, info in _ours(client, jobs):
                if info is None or info.status not in _LIVE:
                    continue
                write_text(_folder(job) / f"{job.id}.cancel", "")
                if info.status == "PENDING":
                    client.stop_job(job.id)

    def logs(self, job: Job, run: str) -> str:
        """Return what a run printed, or what its job did where it has not started.

        Raises:
            LaunchError: neither printed anything.
        """
        file = _folder(job) / "logs" / f"{job.id}_{run}.log"
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
        with connected(self.infra) as client:
            text = "".join(
                client.get_job_logs(job.id) for _, info in _ours(client, [job]) if info is not None
            )
        if not text:
            raise LaunchError(
                f"{run}: it has not started, and its job {job.id} has printed nothing"
            )
        return text

    def first_lines(self, job: Job, run: str) -> str:
        """Return how the log of a run begins, below the line that names run and node."""
        try:
            with (_folder(job) / "logs" / f"{job.id}_{run}.log").open(
                encoding="utf-8", errors="replace"
            ) as log:
                text = log.read(_FIRST_CHARACTERS)
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(line for line in lines if not line.startswith(f"{run} on "))[:_NOTE]


def _request(
    infra: RayInfra, group: Group, folder: Path, runs: Sequence[str], job_id: str
) -> driver.Request:
    """Return what the job of these runs is asked."""
    seen = seen_folder(folder.resolve(), infra.runs_dir)
    options: dict[str, Any] = {"num_cpus": infra.cpus, "num_gpus": infra.gpus}
    if infra.resources:
        options["resources"] = dict(infra.resources)
    if infra.labels:
        options["label_selector"] = dict(infra.labels)
    module = ["-m", "olmix.train.run_one"]
    if infra.gpus > 1 and group.has_olmo_core:
        torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={infra.gpus:g}"]
        module = ["-m", *torchrun, *module]
    return driver.Request(
        folder=seen,
        id=job_id,
        runs=tuple(runs),
        python=infra.python or "",
        module=tuple(module),
        version=__version__,
        options=options,
        at_once=infra.array_limit or 0,
        retries=infra.retries,
    )


def _driver_text() -> str:
    return Path(driver.__file__).read_text(encoding="utf-8")


def _driver_name() -> str:
    return f"driver-{digest(_driver_text())}.py"


def _entrypoint(seen: str, job_id: str) -> str:
    """Return the command of the job, which a shell on the head node reads."""
    here = PurePosixPath(seen) / "ray"
    return shlex.join(["python", str(here / _driver_name()), str(here / f"{job_id}.json")])


def _folder(job: Job) -> Path:
    """Return the folder of a job's files."""
    return Path(unquote(urlsplit(job.url or "").path))


def _find_live(client: JobSubmissionClient, group: Group, here: Path) -> list[Job]:
    """Return jobs of this very folder that wait or run."""
    found = []
    for info in client.list_jobs():
        metadata = info.metadata or {}
        file = Path(metadata.get(_RUNS, ""))
        if info.status not in _LIVE or metadata.get(_GROUP) != group.group_id:
            continue
        if file.parent == here and file.is_file() and info.submission_id:
            runs = driver.Request.read(file).runs
            found.append(Job(info.submission_id, runs, here.as_uri(), group.group_id))
    return found


def _ours(
    client: JobSubmissionClient, jobs: Sequence[Job]
) -> Iterator[tuple[Job, JobDetails | None]]:
    """Yield the jobs with what Ray knows of them; warn of those that are not the group's."""
    known = {info.submission_id: info for info in client.list_jobs()}
    for job in jobs:
        info = known.get(job.id)
        group = None if info is None else (info.metadata or {}).get(_GROUP)
        if info is not None and group != job.group:
            logger.warning(
                "job %s is %s, and not of the group %s; it is left alone",
                job.id, f"of the group {group}" if group else "no job of Olmix's", job.group,
            )  # fmt: skip
        else:
            yield job, info


def _states(client: JobSubmissionClient, job: Job, info: JobDetails | None) -> dict[str, JobState]:
    """Return the state of each run of a job that is known."""
    here = _folder(job)
    said: dict[str, dict[str, object]] = {}
    try:
        for line in read_records((here / f"{job.id}.states").read_bytes()):
            said[str(line.get("run"))] = line
    except OSError:
        pass
    found = {}
    for run in job.runs:
        line = said.get(run, {})
        state, note = line.get("state"), str(line.get("note", ""))
        if state in ("finished", "failed", "cancelled"):
            found[run] = JobState(state, note)
        elif info is not None and info.status in _LIVE:
            # A run that waits to be started again has left the note of its last start behind.
            attempt = line.get("attempt") if state == "pending" else None
            node = _started(here / f"{job.id}.started" / run, attempt)
            found[run] = JobState("pending", note) if node is None else JobState("running", node)
        elif info is not None:
            found[run] = _cut_off(client, job, info)
    return found


def _started(file: Path, attempt: object) -> str | None:
    """Return the node that a run is on, if its last attempt has started."""
    try:
        number, _, node = file.read_text(encoding="utf-8").strip().partition(" ")
    except OSError:
        return None
    return node if number == str(attempt) else None


def _cut_off(client: JobSubmissionClient, job: Job, info: JobDetails) -> JobState:
    """Return the state of a run whose job ended before it did."""
    if info.status == "STOPPED":
        return JobState("cancelled", "STOPPED")
    if info.status == "SUCCEEDED":
        return JobState("finished", "SUCCEEDED")
    lines = client.get_job_logs(job.id).strip().splitlines()[-1:]
    said = str(info.message or info.status).partition(",")[0]
    return JobState("failed", ": ".join([said, *lines])[:_NOTE])
