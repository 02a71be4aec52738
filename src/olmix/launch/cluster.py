"""Launching on a cluster: folders first, then jobs.

Every job is a line of `jobs.jsonl` in the group's folder as soon as it is accepted. In the end
`group.json` names them too, for people.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from olmix.errors import LaunchError
from olmix.launch.engine import Job
from olmix.launch.engines import engine_of
from olmix.launch.folders import prepare_folder
from olmix.launch.group_plan import Group, identity_of
from olmix.launch.metadata import describe_launch, write_launch
from olmix.records.run import CANCEL_FILE, RunFolder, lock

__all__ = ["JOBS_FILE", "Submitted", "read_jobs", "submit_group"]

logger = logging.getLogger(__name__)

JOBS_FILE = "jobs.jsonl"
"""In the folder of a group: a line for every job, oldest first."""


@dataclass(frozen=True)
class Submitted:
    """What was submitted.

    Attributes:
        folder: the group's folder.
        jobs: new jobs.
        left: runs that were left alone: finished, or in the queue already.
    """

    folder: Path
    jobs: tuple[Job, ...]
    left: tuple[str, ...]


def submit_group(group: Group, runs_dir: str | Path) -> Submitted:
    """Submit every run of a group that is neither finished nor in the queue.

    Raises:
        LaunchError: another launcher is at work on this group, runs in the queue have another
            config by now, or the scheduler refuses.
    """
    folder = Path(runs_dir) / group.group_id
    engine = engine_of(group.infra)
    identities = {run.name: identity_of(run) for run in group.runs}
    with lock(folder / ".lock", wait=False) as got:
        if not got:
            raise LaunchError(f"{folder}: another launcher is at work on this group")
        (folder / CANCEL_FILE).unlink(missing_ok=True)
        known = read_jobs(folder)
        states = engine.states(known)
        alone = [n for n, found in states.items() if found.state in ("pending", "running")]
        _check_queued(folder, {name: identities[name] for name in alone if name in identities})
        waiting, left = [], []
        for run in group.runs:
            if run.name in alone:
                left.append(run.name)
            elif prepare_folder(folder, run, identities[run.name]):
                waiting.append(run.name)
            else:
                left.append(run.name)
        about = describe_launch(group, identities)
        write_launch(folder, group, about, known)
        jobs: list[Job] = []
        try:
            for job in engine.submit(group, folder, waiting) if waiting else ():
                _note(folder, job)
                jobs.append(job)
        finally:
            if jobs:
                write_launch(folder, group, about, (*known, *jobs))
    return Submitted(folder, tuple(jobs), tuple(left))


def _check_queued(folder: Path, identities: Mapping[str, str]) -> None:
    """Raise where runs in the queue are not those that are launched now."""
    changed = [
        name
        for name, identity in identities.items()
        if RunFolder(folder / name).read_status().identity not in ("", identity)
    ]
    if changed:
        raise LaunchError(
            f"{len(changed)} runs in the queue have another config, mixture or data by now: "
            f"{', '.join(changed[:5])}. Stop them with `olmix launch cancel -g {folder.name}`, "
            "then launch again."
        )


def _note(folder: Path, job: Job) -> None:
    """Add a job to those of a group."""
    with (folder / JOBS_FILE).open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a power failure cut the last line off
                file.write(b"\n")
        file.write(json.dumps(asdict(job)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_jobs(folder: Path) -> list[Job]:
    """Return the jobs of a group; of several that carried out one run, the last counts."""
    try:
        lines = (folder / JOBS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    jobs = []
    for number, line in enumerate(lines, start=1):
        try:
            raw = json.loads(line)
            jobs.append(Job(str(raw["id"]), tuple(raw["runs"]), raw.get("url")))
        except (ValueError, KeyError, TypeError):
            logger.warning("%s, line %d is no job and is passed over", folder / JOBS_FILE, number)
    return jobs
