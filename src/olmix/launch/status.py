"""The state of the runs of a group, read from their folders alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from olmix.config.infra import Infra
from olmix.errors import DataError, LaunchError, nearest
from olmix.launch.engine import JobState
from olmix.launch.engines import engine_of
from olmix.launch.folders import infra_of
from olmix.records.group import read_group_record, read_jobs
from olmix.records.log_readers import flatten
from olmix.records.metric import is_metric
from olmix.records.run import CANCEL_FILE, ENDED, RunFolder, RunState, Status, lock
from olmix.records.run_writer import LOSSES
from olmix.text.files import write_text

__all__ = ["RunReport", "cancel", "find_group", "read_group", "read_log"]


_LAST_BYTES = 1 << 16
"""How much of the end of a long log is read for its newest number."""


@dataclass(frozen=True)
class RunReport:
    """One run of a group.

    Attributes:
        name: the run.
        status: its status file; `interrupted` shows as state pending with steps done.
        metrics: final metrics, once finished.
        folder: its folder.
        num_tokens: tokens that it trains on, where that is known.
    """

    name: str
    status: Status
    metrics: dict[str, float]
    folder: RunFolder
    num_tokens: int | None = None

    @property
    def share(self) -> float | None:
        """Share that is done, by steps or else by tokens; `None` where neither is known."""
        status = self.status
        if status.num_steps:
            return min(status.step / status.num_steps, 1.0)
        if status.tokens and self.num_tokens:
            return min(status.tokens / self.num_tokens, 1.0)
        return None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it ends, at the speed that it had since its last report."""
        status = self.status
        if status.state != "running" or not status.tokens_per_second or not self.share:
            return None
        if self.num_tokens is None:
            return None
        return (1 - self.share) * self.num_tokens / status.tokens_per_second

    @property
    def last_metric(self) -> str:
        """The newest number that the run reported, as ``name value``."""
        if self.metrics:
            name = next(iter(self.metrics))
            return f"{name} {self.metrics[name]:.4g}"
        for record in reversed(list(self.folder.read_metrics(last_bytes=_LAST_BYTES))):
            numbers = flatten(record)
            # The training loss says more of a running run than what stands first.
            for name in (*LOSSES, *numbers):
                if name in numbers and is_metric(name):
                    return f"{name} {numbers[name]:.4g}"
        return ""


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
    raise LaunchError(f"{root}: say which group with -g/--group: {', '.join(names)}")


def read_group(folder: Path, infra: Infra | None = None) -> tuple[RunReport, ...]:
    """Return the state of every run of a group, in the order of its launch.

    A run's own folder is asked first; the scheduler says what became of the others.

    Args:
        folder: the group's.
        infra: how its scheduler is reached, in place of what the group was launched with.
    """
    record = read_group_record(folder)
    jobs = read_jobs(folder)
    reports = [
        _read_run(RunFolder(folder / entry.name), entry.num_tokens, on_cluster=bool(jobs))
        for entry in record.runs
    ]
    if not jobs or all(report.status.state in ENDED for report in reports):
        return tuple(reports)
    engine = engine_of(infra or infra_of(record, folder))
    found = engine.states(jobs)
    last = {run: job for job in jobs for run in job.runs}

    def look(report: RunReport) -> RunReport:
        # A run that ended while the scheduler was asked has meanwhile said so in its folder.
        again = _read_run(report.folder, report.num_tokens, on_cluster=True)
        if again.status.state in ENDED or report.name not in last:
            return again
        printed = partial(engine.first_lines, last[report.name], report.name)
        return _with_job(again, found.get(report.name), printed)

    return tuple(r if r.status.state in ENDED else look(r) for r in reports)


def _read_run(run: RunFolder, num_tokens: int | None, *, on_cluster: bool) -> RunReport:
    status = run.read_status()
    if status.state == "running" and not on_cluster and _is_idle(run):
        status = run_status_after_crash(status)
    finished = status.state == "finished" and run.summary.is_file()
    return RunReport(run.name, status, _metrics(run) if finished else {}, run, num_tokens)


def _metrics(run: RunFolder) -> dict[str, float]:
    """Return the final metrics of a run; a command may have written a summary of its own kind."""
    try:
        return dict(run.read_summary().metrics)
    except DataError:
        return {}


def _with_job(report: RunReport, found: JobState | None, printed: Callable[[], str]) -> RunReport:
    """Return a report with what the scheduler says, where the folder says nothing final.

    Args:
        report: what the folder says.
        found: what the scheduler says, `None` where it does not know the run.
        printed: gives the first lines that the run's job printed, which tell why it ended before
            the run could say so.
    """
    status = report.status
    state: RunState = "pending"
    if found is None:
        gone = status.state == "running"
        note = (
            "its job no longer exists; `olmix launch resume` picks it up" if gone else status.error
        )
        note = _join(note, printed())
    elif found.state == "finished":
        # The job ended well, but its run is not: the folder would say so.
        note = (
            f"its job ended ({found.note}) before the run was finished; `olmix launch resume` "
            "picks it up"
        )
        note = _join(note, printed())
    else:
        state, note = found.state, found.note or status.error
        note = _join(note, printed()) if state == "failed" else note
    return replace(report, status=replace(status, state=state, error=note))


def _join(note: str | None, lines: str) -> str | None:
    return ": ".join(part for part in (note, lines) if part) or None


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
        error="its process ended; launch again to resume",
        updated=status.updated,
    )


def read_log(folder: Path, name: str, infra: Infra | None = None) -> str:
    """Return what a run printed: its own log, or what the scheduler kept.

    Args:
        folder: the group's.
        name: the run.
        infra: how its scheduler is reached, in place of what the group was launched with.

    Raises:
        LaunchError: the group has no such run, or nothing was printed yet.
    """
    record = read_group_record(folder)
    names = [entry.name for entry in record.runs]
    if name not in names:
        guess = nearest(name, names)
        hint = f"; did you mean {guess}?" if guess is not None else ""
        raise LaunchError(f"{folder}: there is no run {name}{hint}")
    log = RunFolder(folder / name).log
    if log.is_file():
        return log.read_text(encoding="utf-8", errors="replace")
    job = next((job for job in reversed(read_jobs(folder)) if name in job.runs), None)
    if job is None:
        raise LaunchError(f"{folder / name}: it has printed nothing yet")
    return engine_of(infra or infra_of(record, folder)).logs(job, name)


def cancel(folder: Path, infra: Infra | None = None) -> Counter[str]:
    """Ask the launcher of a group to stop, or mark its unfinished runs if there is none.

    Args:
        folder: the group's.
        infra: how its scheduler is reached, in place of what the group was launched with.

    Returns:
        how many runs are in each state afterwards; running ones end within seconds.
    """
    jobs = read_jobs(folder)
    if jobs:
        # Runs that end by the scheduler's signal see it, and do not wait to be taken up again.
        write_text(folder / CANCEL_FILE, "")
        engine_of(infra or infra_of(read_group_record(folder), folder)).cancel(jobs)
    with lock(folder / ".lock", wait=False) as got:
        if got:
            for report in read_group(folder, infra):
                if report.status.state not in ENDED:
                    run = RunFolder(folder / report.name)
                    run.update_status(state="cancelled")
        else:
            write_text(folder / CANCEL_FILE, "")
    return Counter(report.status.state for report in read_group(folder, infra))
