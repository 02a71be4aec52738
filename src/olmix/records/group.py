"""A group of runs: `group.json`, its copy beside the variants, and `jobs.jsonl`.

`runs/GROUP/group.json` says what was launched, where, when and by whom. `launch-GROUP.json` in the
folder of the variants says the same without the mixtures, so that variants tell where they were
trained. `jobs.jsonl` gets a line as soon as a scheduler accepts a job.

People copy these folders, and disks fail: a run's name that could leave the folder, a job that is
not this group's and a value of another kind are refused here, so that no other module has to check.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from olmix.config.base import validate
from olmix.errors import ConfigError, DataError
from olmix.records.typed_json import Items, RecordPart, RunName, parse, to_plain
from olmix.text.files import read_json, write_json

__all__ = [
    "GROUP_FILE",
    "JOBS_FILE",
    "GroupRecord",
    "GroupRun",
    "Job",
    "add_job",
    "read_group_record",
    "read_jobs",
    "write_group_record",
    "write_launch_note",
]

logger = logging.getLogger(__name__)

GROUP_FILE = "group.json"
JOBS_FILE = "jobs.jsonl"
"""In the folder of a group: a line for every job, oldest first."""
FORMAT = 1
"""Version of `group.json`."""
_MOST_BYTES = 1 << 30
"""Largest `group.json` that is read; 100,000 runs on 200 domains take less."""
_MOST_PROBLEMS = 5
_ID = r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,99}$"


_Words = Annotated[tuple[str, ...], Field(strict=False)]
_Size = Annotated[int, Field(ge=0, le=10**18)]


class GroupRun(RecordPart):
    """A run of a group, as it was launched: of a swarm, or a command of a sweep.

    Attributes:
        name: of the run and of its folder.
        identity: hash of its config, data and seed.
        seed: of its training.
        num_tokens: what it trains on.
        mix: its mixture, as configs have it.
        command: its words, where it is a command of a sweep.
        params: what varies over the sweep.
    """

    name: RunName
    identity: str = ""
    seed: int | None = None
    num_tokens: _Size | None = None
    mix: Mapping[str, object] | None = None
    command: _Words = ()
    params: dict[str, Any] = {}


class GroupRecord(RecordPart):
    """The content of `group.json`; what a file does not say is empty.

    Attributes:
        format: version of the file.
        group_id: name of the group.
        time: of the last launch, in ISO 8601.
        user: who launched.
        host: where.
        machine: its platform, Python, cores and processor.
        command: the command line, without secrets.
        git: commit, branch and dirtiness of the working folder; `None` outside a checkout.
        packages: versions.
        environment: variables that say where a launch took place.
        infra: the `infra` section.
        config: sections of the resolved config that all runs share.
        wandb: entity, project, group and page in W&B; `None` without it.
        variants: folder of the variants.
        jobs: what schedulers accepted, for people; `jobs.jsonl` counts.
        runs: the runs, in the order of the launch.
        folder: where the runs are; in the copy beside the variants.
        fingerprints: what the token files of each domain were known by at the last launch, where
            they can be reached (`records/fingerprint.py`).
        changed: domains whose files have changed from one launch of the group to the next.
        measured_with: what each metric is computed with (`records/metric_identity.py`).
    """

    format: Annotated[int, Field(ge=1, le=FORMAT)] = FORMAT
    group_id: str = ""
    time: str = ""
    user: str | None = None
    host: str = ""
    machine: dict[str, str | int | None] = {}
    command: _Words = ()
    git: dict[str, str | bool] | None = None
    packages: dict[str, str] = {}
    environment: dict[str, str] = {}
    infra: dict[str, object] = {}
    config: dict[str, object] = {}
    wandb: dict[str, str | None] | None = None
    variants: str | None = None
    jobs: Annotated[tuple[dict[str, object], ...], Field(strict=False)] = ()
    runs: Annotated[tuple[GroupRun, ...], Field(strict=False)] = ()
    folder: str | None = None
    fingerprints: dict[str, str] = {}
    changed: _Words = ()
    measured_with: dict[str, dict[str, str]] = {}

    def to_plain(self) -> dict[str, Any]:
        """Return what the file holds: of each run only what was said of it."""
        optional = {
            "folder": self.folder, "fingerprints": self.fingerprints, "changed": self.changed,
            "measured_with": self.measured_with,
        }  # fmt: skip
        plain = self.model_dump(exclude={"runs", *optional})
        runs = [run.model_dump(exclude_unset=True) for run in self.runs]
        return {**plain, "runs": runs, **{key: value for key, value in optional.items() if value}}


def read_group_record(file: Path) -> GroupRecord:
    """Read a `group.json`, or its copy beside the variants.

    Args:
        file: the file, or the folder of a group.

    Raises:
        DataError: it is missing, or not what `olmix launch` writes; says where.
    """
    file = file / GROUP_FILE if file.is_dir() else file
    if file.is_file() and file.stat().st_size > _MOST_BYTES:
        raise DataError(f"{file}: is larger than {_MOST_BYTES:,} bytes; no launch writes that")
    plain = read_json(file)
    try:
        if not isinstance(plain, dict):
            raise DataError(f"{file}: is not what `olmix launch` writes: expected a JSON object")
        record = validate(GroupRecord, plain, str(file))
    except ConfigError as error:
        shown = [problem.render(str(file)) for problem in error.problems]
        more = f"\n... and {len(shown) - _MOST_PROBLEMS} more" * (len(shown) > _MOST_PROBLEMS)
        raise DataError("\n".join(shown[:_MOST_PROBLEMS]) + more) from None
    if not record.runs:  # it would pass for a group that has nothing left to do
        raise DataError(f"{file}: names no runs; `olmix launch run` on the variants writes it anew")
    return record


def write_group_record(folder: Path, record: GroupRecord) -> None:
    """Write the `group.json` of a group's folder."""
    write_json(folder / GROUP_FILE, record.to_plain())


def write_launch_note(folder: Path, variants: Path, record: GroupRecord) -> None:
    """Write where variants are trained beside them, without the mixtures that they hold.

    Args:
        folder: the group's.
        variants: the folder of the variants.
        record: what `group.json` says.
    """
    runs = tuple(GroupRun(name=run.name, identity=run.identity) for run in record.runs)
    note = record.model_copy(update={"runs": runs, "folder": str(folder.resolve())})
    write_json(variants / f"launch-{record.group_id}.json", note.to_plain())


@dataclass(frozen=True)
class Job:
    """A job of a scheduler.

    Attributes:
        id: the scheduler's name of it.
        runs: names of the runs that it carries out, in the order of its tasks.
        url: its page, or the folder of its logs.
        group: the group that it was submitted for; empty in files of earlier releases.
        cluster: the cluster that numbered it, where that is known.
        format: version of the line.
    """

    id: Annotated[str, Field(pattern=_ID)]
    runs: Items[RunName]
    url: str | None = None
    group: str = ""
    cluster: str | None = None
    format: Annotated[int, Field(ge=1, le=FORMAT)] = FORMAT


def add_job(folder: Path, job: Job) -> None:
    """Add a job to those of a group; it is on the disk when this returns."""
    file = folder / JOBS_FILE
    try:
        with file.open("ab+") as lines:
            if lines.tell():
                lines.seek(-1, os.SEEK_END)
                if lines.read(1) != b"\n":  # a power failure cut the last line off
                    lines.write(b"\n")
            lines.write(json.dumps(to_plain(job)).encode() + b"\n")
            lines.flush()
            os.fsync(lines.fileno())
    except OSError as error:
        raise DataError(
            f"{file}: {error.strerror}; job {job.id} was submitted but could not be recorded"
        ) from error


def read_jobs(folder: Path) -> list[Job]:
    """Return the jobs of a group; of several that carried out one run, the last counts.

    Lines that are no jobs, or jobs of another group, are skipped with a warning.
    """
    file = folder / JOBS_FILE
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    jobs = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            job = parse(Job, line, str(file), "")
        except DataError:
            logger.warning("%s, line %d is not a job and is skipped", file, number)
            continue
        job = job if job.group else replace(job, group=folder.name)
        if job.group != folder.name and job.group != _group_id(folder):
            logger.warning(
                "%s, line %d: job %s belongs to the group %s and is left alone",
                file, number, job.id, job.group,
            )  # fmt: skip
        else:
            jobs.append(job)
    return jobs


def _group_id(folder: Path) -> str:
    """Return the group's own name, which its folder may have lost."""
    try:
        return read_group_record(folder).group_id or folder.name
    except DataError:
        return folder.name
