"""Runs of any trainer as a command: what it is given, how it is watched, what it leaves.

The command gets files with its mixture and its data, and `OLMIX_RUN_DIR` in its environment. It
reports by writing JSON lines to `metrics.jsonl`: `step`, `tokens_per_second`, and metrics by name.
When it ends well without a `summary.json`, the last value of every metric becomes the summary.
`command.json` in a run folder, which a launch writes for runs of other frameworks, is a command
that is given as it is.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.config import CommandTraining, LaunchConfig
from olmix.config.training import MANIFEST_FILE, MIX_FILE
from olmix.domains import iter_domains
from olmix.errors import LaunchError
from olmix.io.files import read_json, write_json
from olmix.io.identity import run_identity
from olmix.io.runs import COMMAND_FILE, RunFolder, Status
from olmix.train.leftover import end_leftover, forget, remember
from olmix.train.outcome import Outcome, Progress

__all__ = ["run_command"]

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_GRACE_S = 60.0
"""Seconds that a command has to save its state before it is killed."""
_LAST_LINES = 5
_NOT_METRICS = ("step", "num_steps", "tokens", "tokens_per_second", "time", "seconds", "epoch")


@dataclass(frozen=True)
class _Command:
    """What is run, where, with which additions to the environment, and what it is."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    identity: str


def run_command(
    folder: RunFolder,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run the command of a run folder to its end.

    Args:
        folder: a run folder; the caller holds its lock.
        on_progress: called when the command has reported something new.
        should_stop: asked a few times a second; where it says yes the command gets SIGTERM, and a
            minute to save its state.

    Raises:
        ConfigError: the folder's config cannot be read.
    """
    command = _prepare(folder)
    if folder.is_finished(command.identity):
        return Outcome(folder.path, "skipped")
    if end_leftover(folder.path, _GRACE_S):
        logger.info("%s: ended the command of an earlier start", folder.name)
    started = time.time()
    # Of an attempt that failed after it wrote one.
    folder.summary.unlink(missing_ok=True)
    folder.write_status(Status("running", command.identity, updated=started))
    try:
        with folder.log.open("ab") as log:
            process = subprocess.Popen(
                command.words,
                cwd=command.folder,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        why = f"{command.words[0]} cannot be started: {error.strerror}"
        return _end(folder, "failed", why)
    remember(folder.path, process.pid)
    stopped = _watch(process, folder, on_progress, should_stop)
    forget(folder.path)
    reported = folder.read_status()
    if stopped:
        # It may have said by `olmix.runlog` that it was through.
        done = reported.state == "finished"
        return _end(folder, "finished" if done else "interrupted", None)
    if reported.state == "failed":  # it has said so itself, by `olmix.runlog`, and why
        return Outcome(folder.path, "failed", reported.error)
    if process.returncode:
        return _end(folder, "failed", _reason(process.returncode, folder))
    if reported.state == "pending":
        return _end(folder, "interrupted", None)
    _summarise(folder, command, time.time() - started)
    return _end(folder, "finished", None)


def _prepare(folder: RunFolder) -> _Command:
    """Write what the command reads, and return it."""
    run_dir = folder.path.resolve()
    shared = {"OLMIX_RUN_DIR": str(run_dir), "OLMIX_RUN": folder.name}
    given = folder.path / COMMAND_FILE
    if given.is_file():
        raw = read_json(given)
        environment = {**shared, **raw.get("environment", {})}
        return _Command(raw["words"], Path(raw["folder"]), environment, raw["identity"])
    config = LaunchConfig.from_yaml(folder.config)
    if not isinstance(config.training, CommandTraining):
        raise LaunchError(f"{folder.config}: training.trainer is not `command`")
    mix = config.mix.to_plain() if config.mix is not None else {}
    paths = {name: path[-1].paths for name, path in iter_domains(config.data.tree())}
    write_json(folder.path / MIX_FILE, mix, sync=False)  # written anew at every start
    domains = {name: {**share, "paths": list(paths[name])} for name, share in mix.items()}
    write_json(
        folder.path / MANIFEST_FILE,
        {
            "dtype": config.data.dtype,
            "tokenizer": config.data.tokenizer,
            "max_tokens": config.training.max_tokens,
            "seed": config.training.seed,
            "domains": domains,
        },
        sync=False,
    )
    environment = {**shared, "OLMIX_GROUP": config.group_id or ""}
    return _Command(config.training.words(run_dir), Path.cwd(), environment, run_identity(config))


def _watch(
    process: subprocess.Popen[bytes],
    folder: RunFolder,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Wait for the end of the command; returns whether it was stopped."""
    seen, deadline = -1.0, None
    while not _ended(process, _POLL_S):
        if deadline is None and should_stop():
            deadline = time.monotonic() + _GRACE_S
            _signal(process, signal.SIGTERM)
        if deadline is not None and time.monotonic() > deadline:
            _signal(process, signal.SIGKILL)
        modified = folder.metrics.stat().st_mtime if folder.metrics.is_file() else seen
        if modified != seen:
            seen = modified
            on_progress(_progress(folder))
    if process.returncode:
        # A signal may have reached the command before it reached this process.
        time.sleep(_POLL_S)
    return deadline is not None or should_stop()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait so long for the end of a process; returns whether it has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the command and all that it started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _progress(folder: RunFolder) -> Progress:
    """Return what the command reported last, and keep it in the status."""
    last: dict[str, Any] = {}
    for record in folder.read_metrics():
        last.update(record)
    # A trainer that reports by `olmix.runlog` keeps the status itself, and logs metrics alone.
    status = folder.read_status()
    step, of = int(last.get("step") or 0), int(last.get("num_steps") or status.num_steps)
    speed = float(last.get("tokens_per_second") or status.tokens_per_second)
    folder.update_status(step=step, num_steps=of, tokens_per_second=speed, updated=time.time())
    loss = last.get("loss")
    return Progress(folder.path, step, of, speed, None if loss is None else float(loss))


def _reason(code: int, folder: RunFolder) -> str:
    """Say how the command ended, with the last lines that it printed."""
    how = f"signal {-code}" if code < 0 else f"exit status {code}"
    text = folder.log.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]
    said = "; it said last: " + " | ".join(lines) if lines else ""
    return f"the command ended with {how}{said} (see log.txt)"


def _summarise(folder: RunFolder, command: _Command, seconds: float) -> None:
    """Write `summary.json` from what was reported, where the command wrote none itself."""
    if folder.summary.is_file():
        return
    metrics: dict[str, float] = {}
    for record in folder.read_metrics():
        metrics |= {
            name: float(value)
            for name, value in record.items()
            if isinstance(value, int | float) and name not in _NOT_METRICS
        }
    write_json(
        folder.summary,
        {"identity": command.identity, "metrics": metrics, "seconds": seconds},
    )


def _end(folder: RunFolder, state: str, error: str | None) -> Outcome:
    if state == "interrupted":
        folder.update_status(state="pending", error="interrupted", updated=time.time())
        return Outcome(folder.path, "interrupted")
    if state == "finished":
        folder.update_status(state="finished", error=None, updated=time.time())
        return Outcome(folder.path, "finished")
    folder.update_status(state="failed", error=error, updated=time.time())
    return Outcome(folder.path, "failed", error)
