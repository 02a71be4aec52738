"""The metadata of a launch: when, by whom, on which machine, from which commit.

`group.json` in the folder of the runs holds it all; a copy without the mixtures lies beside the
variants, so that these tell where they were trained.
"""

from __future__ import annotations

import getpass
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from olmix.config import DataConfig, LaunchConfig
from olmix.errors import DataError
from olmix.launch.command_runs import CommandRun
from olmix.launch.group_plan import Group, Run
from olmix.records.fingerprint import changed_contents, fingerprints_of
from olmix.records.group import (
    GroupRecord,
    GroupRun,
    Job,
    read_group_record,
    write_group_record,
    write_launch_note,
)
from olmix.records.metric_identity import identities_of
from olmix.records.typed_json import to_plain
from olmix.text.secrets import redact

__all__ = ["changed_since", "contents_of", "describe_launch", "wandb_group", "write_launch"]

logger = logging.getLogger(__name__)

_PACKAGES = ("olmix", "jax", "jaxlib", "numpy", "optax", "torch", "ai2-olmo-core", "torchtune")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "SLURM_CLUSTER_NAME")
"""Variables that say where a launch took place; nothing secret is among them."""


def write_launch(
    folder: Path,
    group: Group,
    record: GroupRecord,
    jobs: Sequence[Job] = (),
    *,
    beside: bool = True,
) -> None:
    """Write what is known of a launch, into the folder of its runs and beside its variants.

    Runs of earlier launches of the group stay in its list as long as their folders are there.
    Variants that lie where nothing can be written are skipped with a warning.

    Args:
        folder: the folder of the runs.
        group: the runs.
        record: what `describe_launch` returned.
        jobs: all jobs of the group.
        beside: whether to write beside the variants too.
    """
    runs = (*record.runs, *_other_runs(folder, {run.name for run in group.runs}))
    noted = tuple(asdict(job) for job in jobs)
    changed = (*_earlier(folder).changed, *changed_since(folder, record.fingerprints))
    update = {"jobs": noted, "runs": runs, "changed": tuple(dict.fromkeys(changed))}
    record = record.model_copy(update=update)
    write_group_record(folder, record)
    if not beside or group.source is None or not group.source.is_dir():
        return
    try:
        write_launch_note(folder, group.source, record)
    except OSError as error:
        logger.warning("nothing was written next to the variants: %s", error)


def _earlier(folder: Path) -> GroupRecord:
    """Return what is known of a group from its earlier launches; nothing if there was none."""
    try:
        return read_group_record(folder)
    except DataError:
        return GroupRecord()


def _other_runs(folder: Path, names: set[str]) -> list[GroupRun]:
    """Return what is known of the runs of a group other than these."""
    runs = _earlier(folder).runs
    return [run for run in runs if run.name not in names and (folder / run.name).is_dir()]


def contents_of(group: Group) -> dict[str, str]:
    """Return the fingerprint of each domain whose token files lie here or in buckets."""
    found: dict[str, str] = {}
    seen: list[DataConfig] = []
    for run in group.runs:
        if isinstance(run, CommandRun) or any(run.data is data for data in seen):
            continue
        seen.append(run.data)
        found = fingerprints_of(run.data) | found
    return found


def changed_since(folder: Path, now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the domains whose files have changed since the last launch into a folder."""
    return changed_contents(_earlier(folder).fingerprints, now)


def describe_launch(group: Group, identities: Mapping[str, str]) -> GroupRecord:
    """Return the content of `group.json`."""
    return GroupRecord(
        group_id=group.group_id,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        user=_user(),
        host=platform.node(),
        machine={
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "processor": _processor(),
        },
        command=tuple(redact(sys.argv)),
        git=_git(),
        packages=_versions(),
        environment={name: os.environ[name] for name in _VARIABLES if name in os.environ},
        infra=group.infra.to_plain(),
        config=_common_config(group.runs),
        wandb=wandb_group(group),
        variants=None if group.source is None else str(group.source),
        runs=tuple(_describe(run, identities[run.name]) for run in group.runs),
        fingerprints=contents_of(group),
        measured_with=_measured_with(group),
    )


def _measured_with(group: Group) -> dict[str, dict[str, str]]:
    """Return what the metrics of a group are computed with; its variants share an evaluation."""
    first = next((run for run in group.runs if not isinstance(run, CommandRun)), None)
    found = {} if first is None else identities_of(first)
    return {name: to_plain(one) for name, one in found.items()}


def _describe(run: Run, identity: str) -> GroupRun:
    name = run.name
    if isinstance(run, CommandRun):
        params = dict(run.params)
        return GroupRun(name=name, identity=identity, command=run.words, params=params)
    mix = run.mix.to_plain() if run.mix is not None else None
    seed, num_tokens = run.training.seed, run.training.num_tokens
    return GroupRun(name=name, identity=identity, seed=seed, num_tokens=num_tokens, mix=mix)


def _common_config(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the sections of the resolved config that all runs share; seeds may differ."""
    first, *others = runs
    if not isinstance(first, LaunchConfig):
        return {}
    plain = first.to_plain()
    common = {}
    for section in ("training", "data", "eval", "trackers"):
        value = getattr(first, section)
        if all(_same(getattr(run, section, None), value) for run in others):
            common[section] = plain.get(section)
    return {key: _without_seed(value) for key, value in common.items() if value is not None}


def _without_seed(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "seed"}


def _same(one: Any, other: Any) -> bool:
    """Whether two sections are equal but for their seeds."""
    if one is other or one == other:
        return True
    seed = getattr(other, "seed", None)
    return seed is not None and one is not None and one.model_copy(update={"seed": seed}) == other


def wandb_group(group: Group) -> dict[str, str | None] | None:
    """Return `entity`, `project`, `group` and `url` of the runs in W&B; `None` without it."""
    first = group.runs[0]
    if not isinstance(first, LaunchConfig) or first.trackers is None:
        return None
    tracker = first.trackers.wandb
    if tracker is None:
        return None
    entity = tracker.entity or os.environ.get("WANDB_ENTITY")
    found = {"entity": entity, "project": tracker.project, "group": group.group_id, "url": None}
    mode = tracker.mode or os.environ.get("WANDB_MODE", "online")
    if entity is not None and mode == "online":
        server = os.environ.get("WANDB_BASE_URL", "https://wandb.ai").rstrip("/")
        server = server.replace("//api.wandb.ai", "//wandb.ai")
        found["url"] = f"{server}/{entity}/{tracker.project}/groups/{group.group_id}"
    return found


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _processor() -> str:
    """Return the processor's model name where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git() -> dict[str, str | bool] | None:
    """Return commit, branch and dirtiness of the working folder; `None` outside a checkout."""

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "branch": ask("rev-parse", "--abbrev-ref", "HEAD"),
            "dirty": bool(ask("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
