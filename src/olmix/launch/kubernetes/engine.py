"""Runs on Kubernetes: one Indexed Job for a launch, a pod for each run.

A Job's name is noted; its annotations say which group and which runs are its own, so that Jobs of
others that bear a noted name are left alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from olmix.config import KubernetesInfra
from olmix.errors import LaunchError
from olmix.launch.engine import Engine, JobState
from olmix.launch.group_plan import Group
from olmix.launch.kubernetes.client import TIMEOUT_S, Cluster, connected
from olmix.launch.kubernetes.manifest import (
    FOLDER,
    GROUP,
    RUNS,
    build_manifest,
    find_obstacles,
    job_name,
    render_manifest,
    runs_file,
)
from olmix.launch.mounts import seen_folder, unseen_inputs
from olmix.records.group import Job
from olmix.text.files import write_text

if TYPE_CHECKING:
    from kubernetes.client import V1Job, V1Pod

__all__ = ["KubernetesEngine"]

logger = logging.getLogger(__name__)

_INDEX = "batch.kubernetes.io/job-completion-index"
_JOB = "batch.kubernetes.io/job-name"
_GONE, _TAKEN = 404, 409
_PAGE = 500
_WAITS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"}
"""Reasons of a container that waits for something that will not come by itself."""


class KubernetesEngine(Engine):
    """A Kubernetes cluster, through the official client.

    Args:
        infra: what the runs run on.
    """

    name: ClassVar[str] = "kubernetes"

    def __init__(self, infra: KubernetesInfra) -> None:
        self.infra = infra

    def render(self, group: Group, folder: Path, runs: Sequence[str]) -> str:
        """Return the manifest, which `kubectl apply -f -` takes once the folders are written."""
        return render_manifest(self.infra, group, folder, runs)

    def check(self, group: Group, folder: Path, runs: Sequence[str]) -> None:
        """Refuse manifests that cannot work, before anything is written.

        Raises:
            LaunchError: says what is in the way, and what to do.
        """
        del group
        obstacles = find_obstacles(self.infra, folder, runs)
        if obstacles:
            raise LaunchError("\n".join(f"Kubernetes: {what}" for what in obstacles))

    def submit(self, group: Group, folder: Path, runs: Sequence[str]) -> Iterator[Job]:
        """Create a Job for the runs, beside those of a launch that was cut off.

        Raises:
            LaunchError: the manifest cannot work, or the cluster refuses or cannot be reached.
        """
        self.check(group, folder, runs)
        unseen = unseen_inputs(group, self.infra.volumes, "pod")
        if unseen is not None:
            logger.warning("Kubernetes: %s", unseen)
        with connected(self.infra) as cluster:
            left = list(runs)
            seen = seen_folder(folder, self.infra.runs_dir)
            for job in _list_jobs(cluster):
                noted = job.metadata.annotations or {}
                ours = noted.get(GROUP) == group.group_id and noted.get(FOLDER) == seen
                names = _runs_of(job)
                if ours and not _ended(job) and set(names) & set(left):
                    left = [run for run in left if run not in names]
                    yield _note(cluster, job.metadata.name, names, group.group_id)
            if left:
                yield self._create(cluster, group, folder, left)

    def _create(self, cluster: Cluster, group: Group, folder: Path, runs: list[str]) -> Job:
        from kubernetes.client import ApiException

        attempt = 0
        while True:
            name = job_name(group.group_id, runs, attempt)
            write_text(folder / runs_file(name), "".join(f"{run}\n" for run in runs))
            manifest = build_manifest(self.infra, group, folder, runs, attempt)
            try:
                cluster.batch.create_namespaced_job(
                    cluster.namespace, manifest, _request_timeout=TIMEOUT_S
                )
            except ApiException as error:
                if error.status != _TAKEN:
                    raise
                attempt += 1  # an earlier Job of these runs has that name
            else:
                return _note(cluster, name, tuple(runs), group.group_id)

    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Return the state of each run by its pod; where a run has several Jobs, by its last."""
        if not jobs:
            return {}
        found: dict[str, JobState] = {}
        with connected(self.infra) as cluster:
            for job in jobs:
                known = _find(cluster, job)
                states = {} if known is None else _states(cluster, known)
                for index, run in enumerate(job.runs):
                    found.pop(run, None)
                    if index in states:
                        found[run] = states[index]
        return found

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Remove Jobs that have not ended; pods get SIGTERM, and `grace_s` to save their runs."""
        if not jobs:
            return
        with connected(self.infra) as cluster:
            for job in jobs:
                known = _find(cluster, job)
                if known is None or _ended(known):
                    continue
                cluster.batch.delete_namespaced_job(
                    job.id,
                    cluster.namespace,
                    propagation_policy="Background",
                    _request_timeout=TIMEOUT_S,
                )

    def logs(self, job: Job, run: str) -> str:
        """Return the output of a run's last pod.

        Raises:
            LaunchError: it has none any more, or has not started.
        """
        with connected(self.infra) as cluster:
            known = _find(cluster, job)
            pods = [] if known is None else _pods(cluster, job.id).get(job.runs.index(run), [])
            if not pods:
                raise LaunchError(f"{run}: its Job {job.id} has no pod for it")
            text: str = cluster.core.read_namespaced_pod_log(
                pods[-1].metadata.name, cluster.namespace, _request_timeout=TIMEOUT_S
            )
            return text


def _note(cluster: Cluster, name: str, runs: Sequence[str], group_id: str) -> Job:
    url = f"{cluster.server}/apis/batch/v1/namespaces/{cluster.namespace}/jobs/{name}"
    return Job(name, tuple(runs), url, group_id)


def _list_jobs(cluster: Cluster) -> Iterator[V1Job]:
    """Yield the Jobs of Olmix in the namespace."""
    chosen = "app.kubernetes.io/managed-by=olmix"
    more: str | None = None
    while more != "":
        page = cluster.batch.list_namespaced_job(
            cluster.namespace, label_selector=chosen, limit=_PAGE, _request_timeout=TIMEOUT_S,
            **({} if more is None else {"_continue": more}),
        )  # fmt: skip
        yield from page.items
        more = page.metadata._continue or ""


def _find(cluster: Cluster, job: Job) -> V1Job | None:
    """Return the Job of a name; `None` where there is none, or it is not the group's."""
    from kubernetes.client import ApiException

    try:
        found = cluster.batch.read_namespaced_job(
            job.id, cluster.namespace, _request_timeout=TIMEOUT_S
        )
    except ApiException as error:
        if error.status == _GONE:
            return None
        raise
    group = (found.metadata.annotations or {}).get(GROUP)
    if group == job.group and _runs_of(found) == job.runs:
        return found
    logger.warning(
        "Job %s is %s, and not of the group %s; it is left alone",
        job.id, f"of the group {group}" if group else "not Olmix's", job.group,
    )  # fmt: skip
    return None


def _runs_of(job: V1Job) -> tuple[str, ...]:
    """Return the names of the runs of a Job; none where its annotation is damaged."""
    try:
        names = json.loads((job.metadata.annotations or {})[RUNS])
    except (KeyError, ValueError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _ended(job: V1Job) -> bool:
    conditions = job.status.conditions or []
    ends = ("Complete", "Failed")
    return any(each.type in ends and each.status == "True" for each in conditions)


def _pods(cluster: Cluster, name: str) -> dict[int, list[V1Pod]]:
    """Return the pods of a Job by index, oldest first."""
    found: dict[int, list[V1Pod]] = {}
    more: str | None = None
    while more != "":
        page = cluster.core.list_namespaced_pod(
            cluster.namespace, label_selector=f"{_JOB}={name}", limit=_PAGE,
            _request_timeout=TIMEOUT_S, **({} if more is None else {"_continue": more}),
        )  # fmt: skip
        for pod in page.items:
            index = str((pod.metadata.annotations or {}).get(_INDEX, ""))
            if index.isdecimal():
                found.setdefault(int(index), []).append(pod)
        more = page.metadata._continue or ""
    for pods in found.values():
        pods.sort(key=lambda pod: str(pod.metadata.creation_timestamp))
    return found


def _states(cluster: Cluster, job: V1Job) -> dict[int, JobState]:
    """Return the state of every index: what the Job says of it, else its newest pod."""
    done = _indexes(job.status.completed_indexes)
    failed = _indexes(job.status.failed_indexes)
    pods = _pods(cluster, job.metadata.name)
    ended, suspended = _ended(job), bool(job.spec.suspend)
    found = {}
    for index in range(job.spec.completions or 0):
        pod = pods[index][-1] if index in pods else None
        if index in done:
            found[index] = JobState("finished", "Succeeded")
        elif index in failed:
            found[index] = JobState("failed", _why(pod))
        elif ended:
            found[index] = JobState("failed", _condition(job))
        elif pod is None:
            found[index] = JobState("pending", "Suspended" if suspended else "")
        else:
            found[index] = _pod_state(pod)
    return found


def _indexes(text: str | None) -> set[int]:
    """Return the indexes of a list of Kubernetes', such as ``1,3-5``."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            found.update(range(int(first), int(last or first) + 1))
    return found


def _condition(job: V1Job) -> str:
    for each in job.status.conditions or []:
        if each.type == "Failed":
            return ": ".join(filter(None, (each.reason, each.message)))
    return ""


def _container(pod: V1Pod) -> Any:
    """Return the state of a pod's container, where there is one."""
    statuses: Sequence[Any] = pod.status.container_statuses or []
    return statuses[0].state if statuses else None


def _why(pod: V1Pod | None) -> str:
    """Return why a run failed, as far as its last pod says."""
    if pod is None:
        return "its pod is gone"
    state = _container(pod)
    ended = None if state is None else state.terminated
    if ended is not None:
        word = f"{ended.reason or 'Error'}, exit status {ended.exit_code}"
        return ": ".join(filter(None, (word, ended.message)))
    return ": ".join(filter(None, (pod.status.reason or "Failed", pod.status.message)))


def _pod_state(pod: V1Pod) -> JobState:
    """Return the state of a run that has not ended, by its newest pod."""
    phase = pod.status.phase
    if phase == "Running":
        return JobState("running", pod.spec.node_name or "")
    if phase in ("Failed", "Succeeded"):
        # The Job has not counted it yet, or starts another one.
        return JobState("pending", _why(pod) if phase == "Failed" else "")
    state = _container(pod)
    waiting = None if state is None else state.waiting
    if waiting is not None and waiting.reason in _WAITS:
        said = ": ".join(filter(None, (waiting.reason, waiting.message)))
        return JobState("pending", said)
    reasons: Mapping[str, str] = {
        each.type: each.message or each.reason or ""
        for each in pod.status.conditions or []
        if each.status == "False"
    }
    return JobState("pending", reasons.get("PodScheduled", ""))
