"""Launching on a cluster: folders first, then jobs, then what is known of them in `group.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from olmix.errors import DataError, LaunchError
from olmix.io.files import read_json, write_json
from olmix.io.runs import CANCEL_FILE, lock
from olmix.launch.engine import Job
from olmix.launch.engines import engine_of
from olmix.launch.folders import prepare_folder
from olmix.launch.metadata import describe_launch
from olmix.launch.plan import Group, identity_of

__all__ = ["Submitted", "read_jobs", "submit_group"]


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
        LaunchError: another launcher is at work on this group, or the scheduler refuses.
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
        waiting, left = [], []
        for run in group.runs:
            if run.name in alone:
                left.append(run.name)
            elif prepare_folder(folder, run, identities[run.name]):
                waiting.append(run.name)
            else:
                left.append(run.name)
        about = describe_launch(group, identities)
        write_json(folder / "group.json", {**about, "jobs": [asdict(job) for job in known]})
        jobs: list[Job] = []
        for job in engine.submit(group, folder, waiting) if waiting else ():
            jobs.append(job)
            kept = [asdict(one) for one in (*known, *jobs)]
            write_json(folder / "group.json", {**about, "jobs": kept})
    return Submitted(folder, tuple(jobs), tuple(left))


def read_jobs(folder: Path) -> list[Job]:
    """Return the jobs of a group; of several that carried out one run, the last counts."""
    try:
        raw: list[Mapping[str, Any]] = read_json(folder / "group.json").get("jobs", [])
    except (DataError, AttributeError):
        return []
    return [Job(str(one["id"]), tuple(one["runs"]), one.get("url")) for one in raw]
