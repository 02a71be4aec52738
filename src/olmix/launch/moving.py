"""A group that moves to another engine: what still waits at the first one is not started twice."""

from __future__ import annotations

from pathlib import Path

from olmix.config.infra import Infra
from olmix.errors import LaunchError
from olmix.launch.engines import engine_of
from olmix.launch.folders import infra_of
from olmix.records.group import JOBS_FILE, Job, read_group_record, read_jobs
from olmix.records.run import ENDED, RunFolder
from olmix.text.files import write_bytes
from olmix.text.numbers import counted

__all__ = ["leave_engine"]


def leave_engine(folder: Path, infra: Infra) -> None:
    """Part from the engine that a group was launched with, where `infra` names another one.

    Its jobs become those of ``jobs-ENGINE.jsonl``. The group's folder must be locked.

    Raises:
        LaunchError: runs of the group wait or run there, or that engine does not answer.
    """
    jobs = read_jobs(folder)
    if not jobs:
        return
    before = infra_of(read_group_record(folder), folder)
    if before.backend == infra.backend:
        return
    unfinished = [job for job in jobs if not all(_has_ended(folder / run) for run in job.runs)]
    waiting = _waiting(before, unfinished, folder) if unfinished else []
    if waiting:
        raise LaunchError(
            f"{folder}: {counted(len(waiting), 'run')} of it, {waiting[0]} first, still "
            f"{'waits or runs' if len(waiting) == 1 else 'wait or run'} on {before.backend}; stop "
            f"with `olmix launch cancel {folder}`, then launch on {infra.backend}"
        )
    file = folder / JOBS_FILE
    kept = folder / f"jobs-{before.backend}.jsonl"
    earlier = kept.read_bytes() if kept.is_file() else b""
    write_bytes(kept, earlier + file.read_bytes())
    file.unlink()


def _has_ended(run: Path) -> bool:
    return RunFolder(run).read_status().state in ENDED


def _waiting(before: Infra, jobs: list[Job], folder: Path) -> list[str]:
    """Return the runs that an engine has not done with."""
    try:
        states = engine_of(before).states(jobs)
    except LaunchError as error:
        raise LaunchError(
            f"{folder} was launched on {before.backend}, which cannot be asked whether its runs "
            f"have ended: {error}\nIf it is gone for good, move {folder / JOBS_FILE} away and "
            "launch again"
        ) from error
    return [run for run, found in states.items() if found.state in ("pending", "running")]
