"""Runs on Beaker: one experiment per run, in a Beaker group that has the group's name.

Experiments carry group and run in their description. Beaker can be asked for it, so a launch that
was cut off between creating an experiment and writing it down finds that experiment again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from olmix.config.infra import BeakerInfra
from olmix.errors import LaunchError
from olmix.launch.beaker.client import connected, explain
from olmix.launch.beaker.spec import build_spec, find_obstacles, render_specs, run_described
from olmix.launch.engine import Engine, JobState
from olmix.launch.group_plan import Group
from olmix.launch.mounts import unseen_inputs
from olmix.records.group import Job

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
        return render_specs(self.infra, group, folder, runs)

    def submit(self, group: Group, folder: Path, runs: Sequence[str]) -> Iterator[Job]:
        """Create an experiment for each run that has none waiting or running.

        Raises:
            LaunchError: the specs cannot work, or Beaker refuses; after a refusal no more are
                begun, and those that were are given back first.
        """
        self.check(group, folder, runs)
        unseen = unseen_inputs(group, self.infra.all_mounts, "job")
        if unseen is not None:
            logger.warning("Beaker: %s", unseen)
        with connected() as beaker:
            workspace = beaker.workspace.get(self.infra.workspace)
            _check_secrets(beaker, workspace, self.infra)
            specs = {run: build_spec(self.infra, group, folder, run) for run in runs}
            for job in self._find_live(beaker, workspace, group.group_id, specs):
                del specs[job.runs[0]]
                yield job
            creation = _Creation(beaker, workspace, specs, group.group_id)
            try:
                yield from creation.run()
            finally:
                if creation.created:
                    _put_together(beaker, workspace, group.group_id, creation.created)
            if creation.error is not None:
                raise LaunchError(
                    f"Beaker: {len(creation.created)} of {len(specs)} experiments were created, "
                    f"then: {explain(creation.error)}. Launch again for the rest; those created "
                    "are kept."
                ) from creation.error

    def check(self, group: Group, folder: Path, runs: Sequence[str]) -> None:
        """Refuse specs that cannot work.

        Raises:
            LaunchError: says what is in the way, and what to do.
        """
        del runs
        obstacles = find_obstacles(self.infra, group, folder)
        if obstacles:
            raise LaunchError("\n".join(f"Beaker: {what}" for what in obstacles))

    def _find_live(
        self,
        beaker: Beaker,
        workspace: BeakerWorkspace,
        group_id: str,
        specs: dict[str, dict[str, object]],
    ) -> list[Job]:
        """Return the experiments that carry out these very runs, and wait or run."""
        wanted = {spec["description"] for spec in specs.values()}
        known = {
            job.runs[0]: (job, workload)
            for job, workload in _list_group(beaker, workspace, group_id)
            if workload.experiment.description in wanted
        }
        states = _ask_all(lambda entry: self._state(beaker, entry[1]), known.values())
        pairs = zip(known.values(), states, strict=True)
        return [job for (job, _), state in pairs if state.state in _NOT_ENDED]

    def find(self, group_id: str) -> list[Job]:
        """Return all experiments of a group, oldest first: also those of earlier attempts."""
        with connected() as beaker:
            workspace = beaker.workspace.get(self.infra.workspace)
            return [job for job, _ in _list_group(beaker, workspace, group_id)]

    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Return the state of each run; where a run has several jobs, of its last one."""
        if not jobs:
            return {}
        last = {run: job for job in jobs for run in job.runs}
        with connected() as beaker:

            def ask(job: Job) -> JobState | None:
                workload = _get_workload(beaker, job)
                return None if workload is None else self._state(beaker, workload)

            answers = _ask_all(ask, last.values())
        return {run: state for run, state in zip(last, answers, strict=True) if state is not None}

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
                raise LaunchError(
                    f"Beaker: {run}: experiment {job.id} does not exist or was deleted"
                )
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
    """Return how an experiment ended.

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


def _word(status: object) -> str:
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
        codes = beaker_pb2.CancelationCode.DESCRIPTOR.values_by_number
        if status.canceled_code not in codes:
            return f"cancelation code {status.canceled_code}"
        name = str(codes[status.canceled_code].name)
        return name.removeprefix("CANCELATION_CODE_").lower()
    if status.HasField("exit_code") and status.exit_code:
        return f"exit status {status.exit_code}"
    return ""


def _ask_all(ask: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
    """Ask about many things, a few at a time; answers in order."""
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        return list(pool.map(ask, items))


def _get_workload(beaker: Beaker, job: Job) -> BeakerWorkload | None:
    """Return the experiment of a job; `None` where there is none, or it is not the group's."""
    from beaker.exceptions import BeakerWorkloadNotFound

    if not (job.id.isascii() and job.id.isalnum()):
        logger.warning("%r is not the id of a Beaker experiment and is left alone", job.id)
        return None
    with suppress(BeakerWorkloadNotFound):
        workload = beaker.workload.get(job.id)
        if run_described(workload.experiment.description, job.group) in job.runs:
            return workload
        logger.warning(
            "experiment %s (%s) belongs to no run of the group %s and is left alone",
            job.id, workload.experiment.name, job.group,
        )  # fmt: skip
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
            f"Beaker: workspace {infra.workspace} has no secret {', '.join(missing)}. Add it on "
            "the workspace's page or with `beaker secret write`, or change infra.env_secrets."
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
            beaker.group.create(name, workspace=workspace, experiment_ids=ids)
        logger.info("%d experiments created, in the Beaker group %s", len(jobs), name)
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
        name_or_description=f"of group {group_id} in ",
        workload_type=BeakerWorkloadType.experiment,
        sort_order=BeakerSortOrder.ascending,
    ):
        run = run_described(workload.experiment.description, group_id)
        if run is not None:
            found.append((_job(beaker, run, workload.experiment.id, group_id), workload))
    return found


def _job(beaker: Beaker, run: str, identity: str, group_id: str) -> Job:
    return Job(identity, (run,), f"{beaker.config.agent_address}/ex/{identity}", group_id)


class _Creation:
    """Creates experiments, a few at a time.

    Args:
        beaker: the client.
        workspace: where they belong.
        specs: their specs, by run.
        group_id: the group of the runs.

    Attributes:
        created: the experiments so far.
        error: the first refusal; no experiment is started after it.
    """

    def __init__(
        self,
        beaker: Beaker,
        workspace: BeakerWorkspace,
        specs: dict[str, dict[str, object]],
        group_id: str,
    ) -> None:
        self.created: list[Job] = []
        self.error: Exception | None = None
        self._beaker = beaker
        self._workspace = workspace
        self._specs = specs
        self._group_id = group_id

    def run(self) -> Iterator[Job]:
        """Yield each experiment once it is there, in the order of the runs."""
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
            for job in pool.map(self._try, self._specs):
                if job is not None:
                    yield job

    def _try(self, run: str) -> Job | None:
        from beaker.exceptions import BeakerError
        from requests import RequestException

        if self.error is not None:
            return None
        try:
            number = _create(self._beaker, self._workspace, run, self._specs[run])
        except (BeakerError, RequestException, LaunchError) as error:
            self.error = error
            return None
        job = _job(self._beaker, run, number, self._group_id)
        self.created.append(job)
        return job


def _create(beaker: Beaker, workspace: BeakerWorkspace, run: str, spec: dict[str, object]) -> str:
    """Create an experiment named for its run and return its id; a name in use gets a number.

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
            return str(answer.json()["id"])
    raise LaunchError(
        f"{run}: this name is taken in the workspace, and so is every numbered variant"
    )


def _read_log(beaker: Beaker, workload: BeakerWorkload, task: BeakerTask) -> str:
    """Return what the last job of a task wrote; nothing where it has no job yet."""
    job = beaker.workload.get_latest_job(workload, task=task)
    if job is None:
        return ""
    lines = [entry.message.decode(errors="replace").rstrip("\n") for entry in beaker.job.logs(job)]
    return "".join(f"{line}\n" for line in lines)
