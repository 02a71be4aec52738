"""The SLURM engine: one `sbatch --array` script for a group, and a list of its tasks.

`sbatch`, `squeue`, `sacct` and `scancel` do the work. They are called here, or on a login node
through `ssh`; what they are given is rendered by `olmix.launch.slurm.script`. A group folder gets

    slurm/HASH.sbatch          the script, as it was submitted
    slurm/HASH.tasks           line N + 1 names the run of task N
    slurm/logs/JOB_TASK.log    what each task printed
"""

from __future__ import annotations

import logging
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from olmix.config import SlurmInfra
from olmix.errors import LaunchError
from olmix.launch.engine import Engine, Job, JobState
from olmix.launch.group_plan import Group
from olmix.launch.slurm.script import LOGS, Chunk, render_chunks, submit_words
from olmix.text.files import write_text

__all__ = ["SlurmEngine"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60
_ACCOUNTS_TIMEOUT_S = 15
"""Seconds for `sacct`, without which the rest goes on: a slurmdbd that hangs would take 45."""
_UNKNOWN_JOB = "Invalid job id"

_State = Literal["pending", "running", "finished", "failed", "cancelled"]
_STATES: Mapping[str, _State] = {
    "PENDING": "pending",
    "REQUEUED": "pending",
    "REQUEUE_HOLD": "pending",
    "REQUEUE_FED": "pending",
    "RESIZING": "pending",
    "RESV_DEL_HOLD": "pending",
    "SPECIAL_EXIT": "pending",
    "STOPPED": "pending",
    "SUSPENDED": "pending",
    "RUNNING": "running",
    "COMPLETING": "running",
    "CONFIGURING": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "COMPLETED": "finished",
    "CANCELLED": "cancelled",
}
"""SLURM's words in ours. All others (FAILED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, ...) are failures;
a job that was pre-empted and requeued is PENDING to SLURM itself."""
_NEVER = "DependencyNeverSatisfied"


class SlurmEngine(Engine):
    """A SLURM cluster.

    Args:
        infra: what is asked of it.
    """

    name: ClassVar[str] = "slurm"

    def __init__(self, infra: SlurmInfra) -> None:
        self.infra = infra

    def render(self, group: Group, folder: Path, runs: Sequence[str]) -> str:
        """Return the scripts, the lists of their tasks, and the commands that submit them."""
        shown: list[str] = []
        chunks = render_chunks(self.infra, group, folder, runs)
        for number, chunk in enumerate(chunks, start=1):
            before = f"JOB_{number - 1}" if number > 1 else None
            shown += [
                f"==> {chunk.tasks_file} <==",
                chunk.tasks,
                f"==> {chunk.script_file} <==",
                chunk.script,
                "$ " + shlex.join(self._through_ssh(submit_words(self.infra, chunk, before))),
                "",
            ]
        return "\n".join(shown)

    def submit(self, group: Group, folder: Path, runs: Sequence[str]) -> Iterator[Job]:
        """Submit the runs, one array after the other.

        Raises:
            LaunchError: SLURM refuses, cannot be reached, or allows smaller arrays only.
        """
        chunks = render_chunks(self.infra, group, folder, runs)
        self._check_size(max(len(chunk.runs) for chunk in chunks))
        (folder.resolve() / LOGS).mkdir(parents=True, exist_ok=True)
        before = None
        for chunk in chunks:
            job = self._submit(chunk, before, folder)
            before = job.id
            yield job

    def _submit(self, chunk: Chunk, before: str | None, folder: Path) -> Job:
        write_text(chunk.tasks_file, chunk.tasks)
        write_text(chunk.script_file, chunk.script)
        answer = self._ask(*submit_words(self.infra, chunk, before))
        # On a federation the answer is ID;CLUSTER. Login nodes may print a greeting first.
        match = re.fullmatch(r"(\d+)(;\S+)?", answer.strip().splitlines()[-1] if answer else "")
        if match is None:
            raise LaunchError(f"sbatch answered {answer.strip()!r}; the number of a job is needed")
        return Job(match[1], chunk.runs, (folder.resolve() / LOGS).as_uri())

    def _check_size(self, largest: int) -> None:
        """Raise where the cluster's arrays are smaller than the configured ones."""
        match = re.search(
            r"^MaxArraySize\s*=\s*(\d+)", self._ask("scontrol", "show", "config"), re.M
        )
        if match is not None and largest > int(match[1]):
            raise LaunchError(
                f"the cluster's MaxArraySize is {match[1]}, and an array of {largest} tasks is "
                f"needed. Set infra.max_array_size to {match[1]}."
            )

    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Ask `squeue`, then `sacct`, if there is one, for jobs that it has forgotten.

        Raises:
            LaunchError: SLURM cannot be reached.
        """
        found: dict[str, JobState] = {}
        queued = self._queue(jobs)
        missing = [job for job in jobs if any((job.id, i) not in queued for i in _tasks(job))]
        kept = self._accounts(missing) if missing else {}
        for job in jobs:  # a run that was submitted again has the state of its last job
            for index, run in enumerate(job.runs):
                state = queued.get((job.id, index)) or kept.get((job.id, index))
                if state is not None:
                    found[run] = state
                else:
                    found.pop(run, None)
        return found

    def _queue(self, jobs: Sequence[Job]) -> dict[tuple[str, int], JobState]:
        """Return what `squeue` knows, by job and task; ended jobs stay there for some minutes."""
        if not jobs:
            return {}
        listed = ",".join(job.id for job in jobs)
        text = self._ask(
            "squeue", "--array", "--noheader", "--states=all", "--format=%F|%K|%T|%r",
            f"--jobs={listed}", accept=_UNKNOWN_JOB,
        )  # fmt: skip
        rows = (line.split("|", 3) for line in text.splitlines() if line.count("|") >= 3)
        return {
            (job, int(task)): _state(word, reason)
            for job, task, word, reason in rows
            if task.isdigit()
        }

    def _accounts(self, jobs: Sequence[Job]) -> dict[tuple[str, int], JobState]:
        """Return how jobs ended, of what `sacct` knows, by job and task.

        What does not run and does not wait to `squeue` has ended, whatever stands in the accounts:
        they lag behind by seconds, by hours where slurmdbd was away, and for good where a
        controller lost its jobs. Nothing is returned where there are no accounts.
        """
        listed = ",".join(job.id for job in jobs)
        # Lists of tasks that did not start are cut off at 64 characters unless told otherwise.
        words = ("env", "SLURM_BITSTR_LEN=0", "sacct", "-X", "-P", "-n")
        asked = (f"--jobs={listed}", "--format=JobID,State")
        try:
            text = self._ask(*words, *asked, timeout_s=_ACCOUNTS_TIMEOUT_S)
        except LaunchError as error:
            logger.info("no accounts: %s", error)
            return {}
        together: dict[tuple[str, int], JobState] = {}
        single: dict[tuple[str, int], JobState] = {}
        for line in text.splitlines():
            match = re.fullmatch(r"(\d+)_(?:(\d+)|\[(.*)\])\|(\S+).*", line)
            if match is None:
                continue
            job, task, several, word = match.groups()
            state = _state(word, "")
            if state.state in ("pending", "running"):
                continue
            if task is not None:
                single[job, int(task)] = state
            else:
                together |= {(job, index): state for index in _expand(several)}
        # Tasks that were cancelled together, before they started, share a row. It may name one that
        # did start, which has a row of its own.
        return together | single

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Cancel what has not ended; running tasks get SIGTERM first, then SLURM's KillWait."""
        if jobs:
            self._ask("scancel", *(job.id for job in jobs), accept=_UNKNOWN_JOB)

    def logs(self, job: Job, run: str) -> str:
        """Return what the task of a run printed.

        Raises:
            LaunchError: it has printed nothing yet.
        """
        folder = Path((job.url or "").removeprefix("file://"))
        file = folder / f"{job.id}_{job.runs.index(run)}.log"
        try:
            return file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise LaunchError(f"{run}: its task has not started; {file} is not there") from None

    def _through_ssh(self, words: Sequence[str]) -> list[str]:
        if self.infra.ssh is None:
            return list(words)
        # Without BatchMode a missing key would ask for a password where nobody sees it.
        return ["ssh", "-o", "BatchMode=yes", self.infra.ssh, shlex.join(words)]

    def _ask(self, *words: str, accept: str | None = None, timeout_s: float = _TIMEOUT_S) -> str:
        """Run a command of SLURM's and return what it prints.

        Args:
            words: the command.
            accept: an error that is none, by a part of its message.
            timeout_s: seconds that it may take.

        Raises:
            LaunchError: the command is missing, hangs, or ends with another error.
        """
        command = self._through_ssh(words)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except FileNotFoundError:
            raise LaunchError(
                f"there is no `{command[0]}` here. Launch from a node of the cluster, or name its "
                "login node: infra.ssh."
            ) from None
        except subprocess.TimeoutExpired:
            asked = shlex.join(command)
            raise LaunchError(f"`{asked}` did not answer within {timeout_s} s") from None
        if done.returncode and not (accept and accept in done.stderr):
            raise LaunchError(f"`{shlex.join(command)}` failed: {done.stderr.strip()[-500:]}")
        return done.stdout


def _tasks(job: Job) -> range:
    return range(len(job.runs))


def _expand(tasks: str) -> Iterator[int]:
    """Yield the tasks of a list of SLURM's, such as ``2-3,5,7-11:2%4``."""
    for part in tasks.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match is not None:
            first, last, step = match.groups()
            yield from range(int(first), int(last or first) + 1, int(step or 1))


def _state(word: str, reason: str) -> JobState:
    """Return a state of SLURM's, such as ``CANCELLED by 1000``, in our words."""
    word = word.split()[0].rstrip("+")
    if reason == _NEVER:
        return JobState("cancelled", _NEVER)
    return JobState(_STATES.get(word, "failed"), word)
