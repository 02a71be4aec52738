"""Launching on a cluster: folders first, then jobs.

Every job is a line of `jobs.jsonl` in the group's folder as soon as it is accepted. In the end
`group.json` names them too, for people.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from olmix.errors import LaunchError, OlmixError
from olmix.launch.engine import JobState, NoAnswerError
from olmix.launch.engines import engine_of
from olmix.launch.folders import prepare_folder
from olmix.launch.group_plan import Group, identity_of
from olmix.launch.inputs import check_inputs
from olmix.launch.metadata import describe_launch, write_launch
from olmix.launch.moving import leave_engine
from olmix.records.group import GROUP_FILE, Job, add_job, read_jobs
from olmix.records.run import CANCEL_FILE, RunFolder, lock
from olmix.text.files import write_bytes
from olmix.text.numbers import counted

__all__ = ["Submitted", "submit_group"]


@dataclass(frozen=True)
class Submitted:
    """The submitted runs and jobs.

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

    A launch that is refused leaves no folders.

    Raises:
        LaunchError: another launcher is already working on this group, runs in the queue have
            another config by now, or the scheduler refuses.
    """
    folder = Path(runs_dir) / group.group_id
    engine = engine_of(group.infra)
    check_inputs(group)
    identities = {run.name: identity_of(run) for run in group.runs}
    before = _Before.of(folder, identities)
    with lock(folder / ".lock", wait=False) as got:
        if not got:
            raise LaunchError(f"{folder}: another launcher is already working on this group")
        jobs: list[Job] = []
        asked = False
        try:
            engine.check(group, folder, list(identities))
            leave_engine(folder, group.infra)
            known = read_jobs(folder)
            waiting, left = _prepare(group, folder, engine.states(known), identities)
            record = describe_launch(group, identities)
            write_launch(folder, group, record, known, beside=False)
            asked = bool(waiting)
            for job in engine.submit(group, folder, waiting) if waiting else ():
                jobs.append(job)
                add_job(folder, job)
        except OlmixError as error:
            # Where no answer came, what was asked may have been done.
            if not jobs and not (asked and isinstance(error, NoAnswerError)):
                before.restore()
            raise
        finally:
            if jobs:
                write_launch(folder, group, record, (*known, *jobs))
        if not jobs:
            write_launch(folder, group, record, known)
    return Submitted(folder, tuple(jobs), tuple(left))


def _prepare(
    group: Group,
    folder: Path,
    states: Mapping[str, JobState],
    identities: Mapping[str, str],
) -> tuple[list[str], list[str]]:
    """Make the folders of runs that are to be submitted; returns their names and the others'."""
    alone = [n for n, found in states.items() if found.state in ("pending", "running")]
    _check_queued(folder, {name: identities[name] for name in alone if name in identities})
    (folder / CANCEL_FILE).unlink(missing_ok=True)
    waiting: list[str] = []
    left: list[str] = []
    for run in group.runs:
        is_left = run.name in alone or not prepare_folder(folder, run, identities[run.name])
        (left if is_left else waiting).append(run.name)
    return waiting, left


@dataclass(frozen=True)
class _Before:
    """The state of the group's folder before a launch.

    Attributes:
        folder: the group's folder.
        is_new: whether it was not there.
        runs: the group's runs that had no folder.
        record: content of `group.json`, `None` without one.
    """

    folder: Path
    is_new: bool
    runs: tuple[str, ...]
    record: bytes | None

    @classmethod
    def of(cls, folder: Path, names: Iterable[str]) -> _Before:
        """Look at the folder of a group."""
        file = folder / GROUP_FILE
        record = file.read_bytes() if file.is_file() else None
        missing = tuple(name for name in names if not (folder / name).exists())
        return cls(folder, not folder.exists(), missing, record)

    def restore(self) -> None:
        """Remove the folders that a refused launch has made."""
        for path in (self.folder,) if self.is_new else (self.folder / name for name in self.runs):
            shutil.rmtree(path, ignore_errors=True)
        if self.is_new:
            with suppress(OSError):
                self.folder.parent.rmdir()  # it may hold other groups
        elif self.record is not None:
            write_bytes(self.folder / GROUP_FILE, self.record)


def _check_queued(folder: Path, identities: Mapping[str, str]) -> None:
    """Raise where runs in the queue are not those that are launched now."""
    changed = [
        name
        for name, identity in identities.items()
        if RunFolder(folder / name).read_status().identity not in ("", identity)
    ]
    if changed:
        raise LaunchError(
            "the config, mixture or data of queued runs has changed "
            f"({counted(len(changed), 'run')}): "
            f"{', '.join(changed[:5])}. Stop them with `olmix launch cancel -g {folder.name}`, "
            "then launch again."
        )
