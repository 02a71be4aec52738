"""What the runs of a group are doing, read from their folders alone."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from olmix.errors import LaunchError
from olmix.io.files import read_json, write_text
from olmix.io.runs import RunFolder, Status, lock
from olmix.launch.local import CANCEL_FILE

__all__ = ["RunReport", "cancel", "find_group", "read_group"]


@dataclass(frozen=True)
class RunReport:
    """One run of a group.

    Attributes:
        name: the run.
        status: its status file; `interrupted` shows as state pending with steps done.
        metrics: final metrics, once finished.
    """

    name: str
    status: Status
    metrics: dict[str, float]


def find_group(runs_dir: str | Path, group_id: str | None) -> Path:
    """Return the folder of a group; the only one there is if no id is given.

    Raises:
        LaunchError: there is no such group, or several to choose from.
    """
    root = Path(runs_dir)
    groups = sorted(path.parent for path in root.glob("*/group.json"))
    names = [path.name for path in groups]
    if group_id is not None:
        if group_id in names:
            return root / group_id
        known = ", ".join(names) or "none"
        raise LaunchError(f"{root}: there is no group {group_id}; groups here: {known}")
    if len(groups) == 1:
        return groups[0]
    if not groups:
        raise LaunchError(f"{root}: there is no group here; start one with `olmix launch run`")
    raise LaunchError(f"{root}: say which group with -g/--group-id: {', '.join(names)}")


def read_group(folder: Path) -> tuple[RunReport, ...]:
    """Return the state of every run of a group, in the order of its launch."""
    reports = []
    for entry in read_json(folder / "group.json")["runs"]:
        run = RunFolder(folder / entry["name"])
        status = run.read_status()
        if status.state == "running" and _is_idle(run):
            status = run_status_after_crash(status)
        metrics = read_json(run.summary)["metrics"] if status.state == "finished" else {}
        reports.append(RunReport(entry["name"], status, metrics))
    return tuple(reports)


def _is_idle(run: RunFolder) -> bool:
    """Whether no process holds the lock of a run."""
    with lock(run.path / ".lock", wait=False) as got:
        return got


def run_status_after_crash(status: Status) -> Status:
    """Return the status of a run whose process is gone: it waits to be taken up again."""
    return Status(
        "pending",
        status.identity,
        status.step,
        status.num_steps,
        error="its process ended; launch again to go on",
        updated=status.updated,
    )


def cancel(folder: Path) -> Counter[str]:
    """Ask the launcher of a group to stop, or mark its unfinished runs if there is none.

    Returns:
        how many runs are in each state afterwards; running ones end within seconds.
    """
    with lock(folder / ".lock", wait=False) as got:
        if got:
            for report in read_group(folder):
                if report.status.state in ("pending", "running"):
                    run = RunFolder(folder / report.name)
                    run.update_status(state="cancelled", updated=time.time())
        else:
            write_text(folder / CANCEL_FILE, "")
    return Counter(report.status.state for report in read_group(folder))
