"""Runs on Beaker: one experiment per run, in a Beaker group that has the group's name.

Experiments carry group and run in their description. Beaker can be asked for it, so a launch that
was cut off between creating an experiment and writing it down finds that experiment again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from olmix.config.infra import BeakerInfra
from olmix.errors import LaunchError
from olmix.launch.beaker_client import connected, explain
from olmix.launch.beaker_spec import build_spec, find_obstacles, render_specs, run_described
from olmix.launch.engine import Engine, Job, JobState
from olmix.launch.plan import Group

if TYPE_CHECKING:
    from beaker import Beaker, BeakerJob, BeakerTask, BeakerWorkload, BeakerWorkspace

__all__ = ["BeakerEngine"]

logger = logging.getLogger(__name__)

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

_CALLS_AT_ONCE = 8
_LARGEST_SUFFIX = 1000
_PENDING = frozenset({"submitted", "queued", "initializing", "ready_to_start"})
_RUNNING = frozenset({"running", "stopping", "uploading_results"})
_PREEMPTED = frozenset({"system_preemption", "user_preemption", "sibling_task_preemption"})
_BY_HAND = frozenset({"manual", "idle"})
_NOT_ENDED = ("pending", "running")


class BeakerEngine(Engine):
    """Beaker, through beaker-py.

    Args:
        infra: what the runs run on.
    """

    name: ClassVar[str] = "beaker"

    def __init__(self, infra: BeakerInfra) -> None:
        self.infra = infra

    def render(self, group: Group, folder: Path, runs: Sequence[str]) -> str:
        """Return the specs of the experiments, and what would keep them from starting."""
        return render_specs(self.infra, group.group_id, folder, runs)

    def submit(self, group: Group, folder: Path, runs: Sequence[str]) -> list[Job]:
        """Create an experiment for each run that has none waiting or running.

        Raises:
            LaunchError: the specs cannot work, or Beaker refuses some; what was created by then is
                found and kept by the next submit.
        """
        obstacles = find_obstacles(self.infra, folder)
        if obstacles:
            raise LaunchError("\n".join(f"Beaker: {what}" for what in obstacles))
        with connected() as beaker:
            workspace = beaker.workspace.get(self.infra.workspace)
            _check_secrets(beaker, workspace, self.infra)
            jobs = self._find_live(beaker, workspace, group.group_id)
            missing = [run for run in runs if run not in jobs]
            specs = {run: build_spec(self.infra, group.group_id, folder, run) for run in missing}
            created, errors = _create_all(beaker, workspace, specs)
            if created:
                _put_together(beaker, workspace, group.group_id, created)
            if errors:
                raise LaunchError(
                    f"Beaker: {len(created)} of {len(missing)} experiments were created, then: "
                    f"{explain(errors[0])}. Launch again for the rest; what was created is kept."
                ) from errors[0]
        jobs |= {job.runs[0]: job for job in created}
        return [jobs[run] for run in runs]

    def _find_live(
        self, beaker: Beaker, workspace: BeakerWorkspace, group_id: str
    ) -> dict[str, Job]:
        """Return the experiments of a group that wait or run, by run."""
        known = _list_group(beaker, workspace, group_id)
        states = _ask_all(lambda entry: self._state(beaker, entry[1]), known)
        return {
            job.runs[0]: job
            for (job, _), state in zip(known, states, strict=True)
            if state.state in _NOT_ENDED
        }

    def find(self, group_id: str) -> list[Job]:
        """Return all experiments of a group, oldest first: also those of earlier attempts."""
        with connected() as beaker:
            workspace = beaker.workspace.get(self.infra.workspace)
            return [job for job, _ in _list_group(beaker, workspace, group_id)]

    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Return the state of each run; where a run has several jobs, of its last one."""
        if not jobs:
            return {}
        with connected() as beaker:

            def ask(job: Job) -> JobState | None:
                workload = _get_workload(beaker, job)
                return None if workload is None else self._state(beaker, workload)

            answers = _ask_all(ask, jobs)
        return {
            run: state
            for job, state in zip(jobs, answers, strict=True)
            if state is not None
            for run in job.runs
        }

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Cancel the experiments that wait or run."""
        if not jobs:
            return
        with connected() as beaker:
            found = _ask_all(lambda job: _get_workload(beaker, job), jobs)
            live = [
                workload
                for workload in found
                if workload is not None and self._state(beaker, workload).state in _NOT_ENDED
            ]
            if live:
                beaker.workload.cancel(*live)

    def logs(self, job: Job, run: str) -> str:
        """Return the output of a run's last attempt; that of each node below a line that names it.

        Raises:
            LaunchError: Beaker does not know the experiment.
        """
        with connected() as beaker:
            workload = _get_workload(beaker, job)
            if workload is None:
                raise LaunchError(f"Beaker: {run}: experiment {job.id} does not exist (any more)")
            tasks = workload.experiment.tasks
            texts = [_read_log(beaker, workload, task) for task in tasks]
        if len(texts) == 1:
            return texts[0]
        return "".join(
            f"==> {task.name or task.id} <==\n{text}"
            for task, text in zip(tasks, texts, strict=True)
        )

    def _state(self, beaker: Beaker, workload: BeakerWorkload) -> JobState:
        """Translate the state of an experiment."""
        word = _word(workload.status)
        if word in _PENDING:
            return JobState("pending", word.upper())
        if word in _RUNNING:
            return JobState("running", word.upper())
        if word == "succeeded":
            return JobState("finished", word.upper())
        attempts = [
            beaker.workload.get_latest_job(workload, task=task)
            for task in workload.experiment.tasks
        ]
        reasons = [_reason(attempt) for attempt in attempts if attempt is not None]
        by_user = workload.experiment.HasField("canceled")
        return _end_state(word, reasons, by_user=by_user, resumes=self.infra.preemptible)


def _end_state(word: str, reasons: Sequence[str], *, by_user: bool, resumes: bool) -> JobState:
    """Say how an experiment ended.

    Args:
        word: `failed` or `canceled`.
        reasons: why its jobs ended, one per node; nodes whose job another one took along come last
            in what is shown.
        by_user: whether the experiment itself was cancelled.
        resumes: whether Beaker starts preempted jobs again.
    """
    own = [reason for reason in reasons if reason and not reason.startswith("sibling_")]
    note = (own or [reason for reason in reasons if reason] or [word])[0].upper()
    if by_user:
        return JobState("cancelled", note)
    if word == "failed":
        return JobState("failed", note)
    if any(reason in _PREEMPTED for reason in reasons):
        return JobState("pending" if resumes else "failed", f"PREEMPTED ({note})")
    if all(not reason or reason in _BY_HAND for reason in reasons):
        return JobState("cancelled", note)
    return JobState("failed", note)


def _word(status: Any) -> str:
    """Return a workload's status as a word; one that this beaker-py does not know is running."""
    from beaker import BeakerWorkloadStatus

    try:
        return str(BeakerWorkloadStatus.from_any(status).name)
    except ValueError:
        return "running"


def _reason(job: BeakerJob) -> str:
    """Return why a job ended: a cancellation code, an exit status, or nothing."""
    from beaker import beaker_pb2

    status = job.status
    if status.canceled_code:
        # Read from the protocol: beaker-py's own enumeration lacks some of its codes.
        name = str(beaker_pb2.CancelationCode.Name(status.canceled_code))
        return name.removeprefix("CANCELATION_CODE_").lower()
    if status.HasField("exit_code") and status.exit_code:
        return f"exit status {status.exit_code}"
    return ""


def _ask_all(ask: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
    """Ask about many things, a few at a time; answers in order."""
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        return list(pool.map(ask, items))


def _get_workload(beaker: Beaker, job: Job) -> BeakerWorkload | None:
    from beaker.exceptions import BeakerWorkloadNotFound

    with suppress(BeakerWorkloadNotFound):
        return beaker.workload.get(job.id)
    return None


def _check_secrets(beaker: Beaker, workspace: BeakerWorkspace, infra: BeakerInfra) -> None:
    """Look the secrets up by name, so that a job does not wait for days to fail for want of one.

    Raises:
        LaunchError: the workspace lacks some; all of them are named.
    """
    from beaker.exceptions import BeakerSecretNotFound

    names = {*infra.env_secrets.values(), *(mount.secret for mount in infra.mounts)} - {None}
    missing = []
    for name in sorted(filter(None, names)):
        try:
            beaker.secret.get(name, workspace=workspace)
        except BeakerSecretNotFound:
            missing.append(name)
    if missing:
        raise LaunchError(
            f"Beaker: workspace {infra.workspace} has no secret {', '.join(missing)}. Write it "
            f"with: beaker secret write --workspace {infra.workspace} NAME"
        )


def _put_together(
    beaker: Beaker, workspace: BeakerWorkspace, name: str, jobs: Sequence[Job]
) -> None:
    """Put experiments into the Beaker group of that name, for people who look at Beaker's pages.

    Olmix itself finds them by their description, so a service that refuses is no error.
    """
    from beaker.exceptions import BeakerError
    from grpc import RpcError

    ids = [job.id for job in jobs]
    try:
        for group in beaker.group.list(workspace=workspace, name_or_description=name):
            if group.name == name:
                beaker.group.update(group, add_experiment_ids=ids)
                break
        else:
            group = beaker.group.create(name, workspace=workspace, experiment_ids=ids)
        logger.info("%d experiments created: %s", len(jobs), beaker.group.url(group))
    except (BeakerError, RpcError) as error:
        logger.warning(
            "%d experiments created, but not put into the Beaker group %s: %s",
            len(jobs),
            name,
            explain(error),
        )


def _list_group(
    beaker: Beaker, workspace: BeakerWorkspace, group_id: str
) -> list[tuple[Job, BeakerWorkload]]:
    """Return the experiments of a group, oldest first."""
    from beaker import BeakerSortOrder, BeakerWorkloadType

    found = []
    for workload in beaker.workload.list(
        workspace=workspace,
        name_or_description=f"of group {group_id}",
        workload_type=BeakerWorkloadType.experiment,
        sort_order=BeakerSortOrder.ascending,
    ):
        run = run_described(workload.experiment.description, group_id)
        if run is not None:
            found.append((_job(beaker, run, workload.experiment.id), workload))
    return found


def _job(beaker: Beaker, run: str, identity: str) -> Job:
    return Job(identity, (run,), f"{beaker.config.agent_address}/ex/{identity}")


def _create_all(
    beaker: Beaker, workspace: BeakerWorkspace, specs: dict[str, dict[str, Any]]
) -> tuple[list[Job], list[Exception]]:
    """Create experiments, a few at a time; after an error no more are begun."""
    from beaker.exceptions import BeakerError
    from requests import RequestException

    errors: list[Exception] = []

    def create(run: str) -> Job | None:
        if errors:
            return None
        try:
            return _create(beaker, workspace, run, specs[run])
        except (BeakerError, RequestException, LaunchError) as error:
            errors.append(error)
            return None

    created = _ask_all(create, specs)
    return [job for job in created if job is not None], errors


def _create(beaker: Beaker, workspace: BeakerWorkspace, run: str, spec: dict[str, Any]) -> Job:
    """Create an experiment named for its run; a name that was used before gets a number.

    The request is made here and not by `Experiment.create`, which reads the spec into objects of
    its own and writes them out again: what is sent is what `render` shows.

    Raises:
        LaunchError: all names are taken.
    """
    from beaker.exceptions import BeakerExperimentConflict

    for number in range(1, _LARGEST_SUFFIX):
        name = run if number == 1 else f"{run}-{number}"
        with suppress(BeakerExperimentConflict):
            answer = beaker.experiment.http_request(
                f"workspaces/{workspace.id}/experiments",
                method="POST",
                query={"name": name},
                data=spec,
                exceptions_for_status={409: BeakerExperimentConflict(name)},
            )
            return _job(beaker, run, answer.json()["id"])
    raise LaunchError(f"{run}: this name is taken in the workspace, with every number too")


def _read_log(beaker: Beaker, workload: BeakerWorkload, task: BeakerTask) -> str:
    """Return what the last job of a task wrote; nothing where it has no job yet."""
    job = beaker.workload.get_latest_job(workload, task=task)
    if job is None:
        return ""
    lines = [entry.message.decode(errors="replace").rstrip("\n") for entry in beaker.job.logs(job)]
    return "".join(f"{line}\n" for line in lines)
