"""Run folders before a launch: made, brought up to date, and what is missing in them."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from olmix.config import LaunchConfig, LocalInfra, OlmoCoreTraining
from olmix.config.infra import Infra, InfraConfig
from olmix.errors import ConfigError, Problem
from olmix.launch.command_runs import CommandRun
from olmix.launch.group_plan import Group, Run
from olmix.records.group import GroupRecord, read_group_record
from olmix.records.olmo_checkpoints import checkpoint_problem
from olmix.records.run import COMMAND_FILE, RunFolder, Status
from olmix.text.yaml import write_yaml

__all__ = ["check_checkpoints", "infra_of", "missing_runs", "prepare_folder", "read_launch"]

logger = logging.getLogger(__name__)


def missing_runs(group: Group, folder: Path, identities: dict[str, str]) -> list[str]:
    """Return the names of runs that are not finished, without changing anything."""
    return [
        run.name
        for run in group.runs
        if not RunFolder(folder / run.name).is_finished(identities[run.name])
    ]


def check_checkpoints(group: Group, folder: Path) -> None:
    """Check what the unfinished runs of this machine start from.

    Those of clusters may start from folders that only the cluster sees; they check it themselves.

    Raises:
        ConfigError: names every run whose `training.checkpoint_path` holds no checkpoint.
    """
    problems = []
    for run in group.runs if isinstance(group.infra, LocalInfra) else ():
        if isinstance(run, CommandRun) or not isinstance(run.training, OlmoCoreTraining):
            continue
        path = run.training.checkpoint_path
        if path is None or RunFolder(folder / run.name).read_status().state == "finished":
            continue
        wrong = checkpoint_problem(path)
        if wrong is not None:
            problems.append(Problem(f"{run.name}: training.checkpoint_path", wrong))
    if problems:
        raise ConfigError(problems, group.group_id)


def prepare_folder(group: Path, run: Run, identity: str) -> bool:
    """Make the folder of a run; returns False where this very run is finished already.

    The folder of a run that had another config, data or seed is set aside, not removed.
    """
    folder = RunFolder(group / run.name)
    if folder.is_finished(identity):
        return False
    status = folder.read_status()
    if status.identity and status.identity != identity:
        aside = group / ".replaced" / f"{run.name}-{status.identity}-{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.path.rename(aside)
        logger.info("%s had a different config or data; moved to %s", run.name, aside)
    if isinstance(run, CommandRun):
        run.write(folder.path)
    else:
        write_yaml(folder.config, run.to_plain())
    step = status.step if status.identity == identity else 0
    folder.write_status(Status("pending", identity, step, updated=time.time()))
    return True


def read_launch(folder: Path) -> Group:
    """Return a group that was launched before, from its folder.

    Raises:
        ConfigError: a config cannot be read.
        DataError: the group's metadata cannot be read.
    """
    record = read_group_record(folder)
    runs: list[Run] = []
    for entry in record.runs:
        run = RunFolder(folder / entry.name)
        if (run.path / COMMAND_FILE).is_file():
            runs.append(CommandRun.read(run.path))
        else:
            runs.append(LaunchConfig.from_yaml(run.config))
    source = Path(record.variants) if record.variants else None
    return Group(folder.name, tuple(runs), infra_of(record, folder), source)


def infra_of(record: GroupRecord, folder: Path) -> Infra:
    """Return where a group is carried out."""
    return InfraConfig.from_dict({"infra": record.infra}, str(folder), kept=True).infra
