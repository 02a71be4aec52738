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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from olmix.config import SlurmInfra
from olmix.errors import LaunchError
from olmix.launch.engine import Engine, JobState, NoAnswerError
from olmix.launch.group_plan import Group
from olmix.launch.slurm.script import LOGS, Chunk, job_name, render_chunks, submit_words
from olmix.launch.slurm.states import expand, state_of
from olmix.records.group import Job
from olmix.text.files import write_text

__all__ = ["SlurmEngine"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 60
_ACCOUNTS_TIMEOUT_S = 15
"""Seconds for `sacct`, which nothing depends on: a slurmdbd that hangs would take 45."""
_UNKNOWN_JOB = "Invalid job id"
_ID = re.compile(r"[1-9][0-9]{0,11}")
_FIRST_CHARACTERS = 2000
_NOTE = 300
"""Letters of a log that a status shows."""


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
            LaunchError: SLURM refuses or cannot be reached.
        """
        (folder.resolve() / LOGS).mkdir(parents=True, exist_ok=True)
        cluster, before = self._config("ClusterName"), None
        for chunk in render_chunks(self.infra, group, folder, runs):
            job = self._submit(chunk, before, folder)
            before = job.id
            yield replace(job, group=group.group_id, cluster=cluster)

    def check(self, group: Group, folder: Path, runs: Sequence[str]) -> None:
        """Refuse arrays that the cluster does not take, before anything is written.

        Raises:
            LaunchError: SLURM cannot be reached, or allows smaller arrays only.
            DataError: SLURM cannot keep logs in this folder.
        """
        chunks = render_chunks(self.infra, group, folder, runs)
        largest = max((len(chunk.runs) for chunk in chunks), default=0)
        allowed = self._config("MaxArraySize")
        if allowed is not None and allowed.isdecimal() and largest > int(allowed):
            raise LaunchError(
                f"the cluster's MaxArraySize is {allowed}, but an array of {largest} tasks is "
                f"needed. Set infra.max_array_size to {allowed}."
            )

    def _config(self, name: str) -> str | None:
        """Return a value of the cluster's configuration; `None` where it does not say."""
        text = self._ask("scontrol", "show", "config")
        match = re.search(rf"^{name}\s*=\s*(\S+)", text, re.M | re.IGNORECASE)
        return None if match is None else match[1]

    def _submit(self, chunk: Chunk, before: str | None, folder: Path) -> Job:
        write_text(chunk.tasks_file, chunk.tasks)
        write_text(chunk.script_file, chunk.script)
        answer = self._ask(*submit_words(self.infra, chunk, before))
        # On a federation the answer is ID;CLUSTER. Login nodes may print a greeting first.
        lines = answer.strip().splitlines()
        match = re.fullmatch(r"([0-9]+)(;\S+)?", lines[-1]) if lines else None
        if match is None:
            raise NoAnswerError(f"sbatch answered {answer.strip()!r}; expected a job number")
        return Job(match[1], chunk.runs, (folder.resolve() / LOGS).as_uri())

    def _of_this_cluster(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that this cluster may have numbered; warn of the others."""
        here = self._config("ClusterName") if any(job.cluster for job in jobs) else None
        found = []
        for job in jobs:
            if _ID.fullmatch(job.id) is None:
                logger.warning("%r is not a SLURM job number and is left alone", job.id)
            elif None not in (job.cluster, here) and job.cluster != here:
                logger.warning(
                    "job %s is on the cluster %s, and this is %s; it is left alone",
                    job.id, job.cluster, here,
                )  # fmt: skip
            else:
                found.append(job)
        return found

    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Ask `squeue`, then `sacct`, if there is one, for jobs that it has forgotten.

        Raises:
            LaunchError: SLURM cannot be reached.
        """
        jobs = self._of_this_cluster(jobs)
        queued, names = self._queue(jobs)
        missing = [job for job in jobs if any((job.id, i) not in queued for i in _tasks(job))]
        kept, kept_names = self._accounts(missing) if missing else ({}, {})
        found: dict[str, JobState] = {}
        # The queue knows better than the accounts, which may go back years.
        for job in _ours(jobs, {**kept_names, **names}):
            for index, run in enumerate(job.runs):
                # A run that was submitted again has the state of its last job.
                state = queued.get((job.id, index)) or kept.get((job.id, index))
                if state is not None:
                    found[run] = state
                else:
                    found.pop(run, None)
        return found

    def _queue(self, jobs: Sequence[Job]) -> tuple[dict[tuple[str, int], JobState], dict[str, str]]:
        """Return what `squeue` knows by job and task, and the names of the jobs.

        Jobs that have ended stay there for some minutes.
        """
        if not jobs:
            return {}, {}
        listed = ",".join(job.id for job in jobs)
        text = self._ask(
            "squeue", "--array", "--noheader", "--states=all", "--format=%F|%K|%T|%r|%j",
            f"--jobs={listed}", accept=_UNKNOWN_JOB,
        )  # fmt: skip
        rows = [line.split("|", 4) for line in text.splitlines() if line.count("|") >= 4]
        states = {
            (job, int(task)): state_of(word, reason)
            for job, task, word, reason, _ in rows
            if task.isdigit()
        }
        return states, {row[0]: row[4].strip() for row in rows}

    def _accounts(
        self, jobs: Sequence[Job]
    ) -> tuple[dict[tuple[str, int], JobState], dict[str, str]]:
        """Return how jobs ended, of what `sacct` knows by job and task, and the names of the jobs.

        What does not run and does not wait to `squeue` has ended, whatever stands in the accounts:
        they lag behind by seconds, by hours where slurmdbd was away, and forever where a
        controller lost its jobs. Nothing is returned where there are no accounts.
        """
        listed = ",".join(job.id for job in jobs)
        ours = {job.id: job_name(job.group) for job in jobs}
        # Lists of tasks that did not start are cut off at 64 characters unless told otherwise.
        words = ("env", "SLURM_BITSTR_LEN=0", "sacct", "-X", "-P", "-n")
        asked = (f"--jobs={listed}", "--format=JobID,State,JobName")
        try:
            text = self._ask(*words, *asked, timeout_s=_ACCOUNTS_TIMEOUT_S)
        except LaunchError as error:
            logger.info("no accounts: %s", error)
            return {}, {}
        together: dict[tuple[str, int], JobState] = {}
        single: dict[tuple[str, int], JobState] = {}
        names: dict[str, str] = {}
        for line in text.splitlines():
            match = re.fullmatch(r"(\d+)_(?:(\d+)|\[(.*)\])\|([^|\s]+)[^|]*\|(.*)", line)
            if match is None:
                continue
            job, task, several, word, names[job] = match.groups()
            state = state_of(word, "")
            if state.state in ("pending", "running") or names[job] != ours.get(job):
                continue
            if task is not None:
                single[job, int(task)] = state
            else:
                together |= {(job, index): state for index in expand(several)}
        # Tasks that were cancelled together, before they started, share a row. It may name one that
        # did start, which has a row of its own.
        return together | single, names

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Cancel what has not ended; running tasks get SIGTERM first, then SLURM's KillWait."""
        _, names = self._queue(self._of_this_cluster(jobs))
        ours = [job for job in _ours(jobs, names) if job.id in names]
        for group in dict.fromkeys(job.group for job in ours):
            ids = [job.id for job in ours if job.group == group]
            # The name says it again: a number may have gone to another job since it was looked up.
            words = ("scancel", f"--name={job_name(group)}", "--", *ids)
            self._ask(*words, accept=_UNKNOWN_JOB)

    def logs(self, job: Job, run: str) -> str:
        """Return what the task of a run printed.

        Raises:
            LaunchError: it has printed nothing yet.
        """
        file = _log_file(job, run)
        try:
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            raise LaunchError(f"{run}: its task has not started; {file} is not there") from None

    def first_lines(self, job: Job, run: str) -> str:
        """Return how the log of a task begins, below the line that names run and node."""
        try:
            with _log_file(job, run).open(encoding="utf-8", errors="replace") as log:
                text = log.read(_FIRST_CHARACTERS)
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(line for line in lines if not line.startswith(f"{run} on "))[:_NOTE]

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
                f"there is no `{command[0]}` here. Launch from a node of the cluster, or set "
                "infra.ssh to its login node."
            ) from None
        except subprocess.TimeoutExpired:
            asked = shlex.join(command)
            raise NoAnswerError(f"`{asked}` did not answer within {timeout_s} s") from None
        if done.returncode and not (accept and accept in done.stderr):
            raise LaunchError(f"`{shlex.join(command)}` failed: {done.stderr.strip()[-500:]}")
        return done.stdout


def _tasks(job: Job) -> range:
    return range(len(job.runs))


def _ours(jobs: Iterable[Job], names: Mapping[str, str]) -> list[Job]:
    """Return the jobs whose number is not that of another group's job; warn of the others.

    Numbers come back: a controller may count from 1 again, and folders are copied between clusters.

    Args:
        jobs: jobs of a group.
        names: names of the jobs that SLURM knows, by number.
    """
    found = []
    for job in jobs:
        name = names.get(job.id, job_name(job.group))
        if name == job_name(job.group):
            found.append(job)
        else:
            logger.warning(
                "job %s is called %s, and this group's are %s; it is left alone",
                job.id, name, job_name(job.group),
            )  # fmt: skip
    return found


def _log_file(job: Job, run: str) -> Path:
    """Return what the task of a run prints to; the address of its folder has `%20` for a space."""
    folder = Path(unquote(urlsplit(job.url or "").path))
    return folder / f"{job.id}_{job.runs.index(run)}.log"
