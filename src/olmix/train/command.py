"""Runs of any trainer as a command: what it is given, how it is watched, what it leaves.

The command gets files with its mixture and its data, and `OLMIX_RUN_DIR` in its environment. It
reports by writing JSON lines to `metrics.jsonl`: `step`, `tokens_per_second`, and metrics by name.
When it ends well without a `summary.json`, the last value of every metric becomes the summary.
What a command leaves running when it ends is ended too: it is no longer watched, and would train on
beside the next start.
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

from olmix.config import CommandTraining, LaunchConfig, ValidationEval
from olmix.config.training import MANIFEST_FILE, MIX_FILE
from olmix.domains import iter_domains
from olmix.errors import DataError, DivergedError, LaunchError
from olmix.records.data_manifest import DataManifest, write_manifest
from olmix.records.identity import run_identity
from olmix.records.log_readers import flatten, number
from olmix.records.mapping import read_command_file
from olmix.records.matching import check_cuts, cuts_of
from olmix.records.run import COMMAND_FILE, MetricsReader, RunFolder, progress_of
from olmix.records.run_config import read_run_config
from olmix.records.run_writer import LOSSES, RunWriter, final_metrics
from olmix.records.tokens import byte_lengths, data_dtype, expand, open_tokens
from olmix.text.files import write_json
from olmix.train.leftover import announce, end_leftover, forget, remember
from olmix.train.outcome import Outcome, RunProgress, outcome_of

__all__ = ["run_command"]

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_GRACE_S = 60.0
"""Seconds that a command has to save its state before it is killed."""
_REST_S = 10.0
"""Seconds that processes have which a command left behind when it ended by itself."""
_LAST_LINES = 5
_ASKED_TO_END = (0, -signal.SIGINT, 128 + signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGTERM, 75)
"""Statuses of a command that ended because it was asked to; 75 is EX_TEMPFAIL."""


@dataclass(frozen=True)
class _Command:
    """A command, its folder, its additions to the environment, and a name for it."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    identity: str
    max_tokens: int | None = None


def run_command(
    folder: RunFolder,
    *,
    on_progress: Callable[[RunProgress], None] = lambda _: None,
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
        logger.info("%s: stopped the command of an earlier start", folder.name)
    started = time.time()
    with RunWriter(folder, identity=command.identity) as run:
        try:
            process = _start(command, folder)
        except OSError as error:
            forget(folder.path)
            run.fail(f"{command.words[0]} cannot be started: {error.strerror}")
            return outcome_of(folder)
        try:
            stopped = _watch(process, _Reports(run, command.max_tokens), on_progress, should_stop)
        except BaseException:
            end_leftover(folder.path, _GRACE_S)  # nobody would watch it
            process.poll()
            raise
        forget(folder.path)
        _conclude(run, process.returncode, time.time() - started, stopped=stopped)
    return outcome_of(folder)


def _prepare(folder: RunFolder) -> _Command:
    """Write what the command reads, and return it."""
    run_dir = folder.path.resolve()
    shared = {"OLMIX_RUN_DIR": str(run_dir), "OLMIX_RUN": folder.name}
    if (folder.path / COMMAND_FILE).is_file():
        given = read_command_file(folder.path)
        environment = {**shared, **given.environment}
        return _Command(list(given.words), Path(given.folder), environment, given.identity)
    config = read_run_config(folder)
    if not isinstance(config.training, CommandTraining):
        raise LaunchError(f"{folder.config}: training.trainer is not `command`")
    mix = config.mix.to_plain() if config.mix is not None else {}
    paths = {name: path[-1].paths for name, path in iter_domains(config.data.tree())}
    write_json(folder.path / MIX_FILE, mix, sync=False)  # written again at every start
    domains = {name: {**share, "paths": list(paths[name])} for name, share in mix.items()}
    used = [name for name, share in mix.items() if share["weight"] > 0]
    matched = {}
    if config.training.target_tokens is not None:
        matched = {
            "target_tokens": config.training.target_tokens,
            "subset_share": config.training.subset_share,
            "subset_seed": config.training.subset_seed or 0,
        }
        cuts = [cut for cut in cuts_of(config) if cut.name in domains]
        check_cuts(tuple(cut for cut in cuts if cut.name in used), config.training, folder.name)
        domains |= {cut.name: {**domains[cut.name], "tokens_seen": cut.left} for cut in cuts}
    manifest = DataManifest.model_validate(
        {
            "dtype": data_dtype(config.data, used),
            "tokenizer": config.data.tokenizer,
            "max_tokens": config.training.max_tokens,
            "seed": config.training.seed,
            **matched,
            "domains": domains,
            **_validation(config),
        }
    )
    write_manifest(folder.path / MANIFEST_FILE, manifest)
    environment = {**shared, "OLMIX_GROUP": config.group_id or ""}
    words, tokens = config.training.words(run_dir), config.training.max_tokens
    return _Command(words, Path.cwd(), environment, run_identity(config), tokens)


def _validation(config: LaunchConfig) -> dict[str, object]:
    """Return the validation sets with their tokens, and their bytes where the tokenizer tells."""
    if not isinstance(config.eval, ValidationEval):
        return {}
    try:
        lengths = None if config.data.tokenizer is None else byte_lengths(config.data.tokenizer)
    except DataError:
        lengths = None  # the tokenizer of another kind, which a command may well use
    found = {}
    for name, paths in config.eval.paths.items():
        files = [
            open_tokens(path, config.data.dtype) for path in expand(paths, f"validation set {name}")
        ]
        num_bytes = None
        if lengths is not None and all(int(f.max(initial=0)) < len(lengths) for f in files):
            num_bytes = sum(int(lengths[file].sum()) for file in files)
        found[name] = {
            "paths": list(paths),
            "tokens": sum(len(file) for file in files),
            "bytes": num_bytes,
        }
    return {"validation": found}


def _start(command: _Command, folder: RunFolder) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own, and note which one that is.

    Raises:
        OSError: it cannot be started.
    """
    mark = announce(folder.path)
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            command.words,
            cwd=command.folder,
            env={**os.environ, **command.environment, **mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    remember(folder.path, process.pid)
    return process


def _watch(
    process: subprocess.Popen[bytes],
    reports: _Reports,
    on_progress: Callable[[RunProgress], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Wait for the end of the command and of all that it started; returns whether it was stopped.

    A command that a signal reached before it reached this process was stopped too.
    """
    folder, deadline = reports.folder, None
    while not _ended(process, _POLL_S):
        if deadline is None and should_stop():
            deadline = time.monotonic() + _GRACE_S
            _signal(process, signal.SIGTERM)
        if deadline is not None and time.monotonic() > deadline:
            _signal(process, signal.SIGKILL)
        reports.look(on_progress)
    if process.returncode:
        time.sleep(_POLL_S)
    if deadline is not None:
        stopped, grace_s = True, deadline - time.monotonic()
    else:
        stopped = should_stop()
        grace_s = _GRACE_S if stopped else _REST_S
    if end_leftover(folder.path, grace_s, told=deadline is not None):
        logger.info("%s: stopped what its command left running", folder.name)
    reports.look(on_progress)
    return stopped


def _conclude(run: RunWriter, code: int, seconds: float, *, stopped: bool) -> None:
    """Decide what became of a run whose command has ended, and say so in its status.

    A command that was told to stop and ends with status 0 may have finished or saved its state; it
    has finished if it said so, by `olmix.runlog` or by a summary of its own. What it said of its
    end, by `olmix.runlog`, is never written over.
    """
    folder = run.folder
    reported = folder.read_status().state
    if stopped:
        through = code == 0 and reported == "running" and folder.summary.is_file()
        if through or reported == "finished":
            run.accept()
        else:
            run.interrupt()
    elif reported == "failed" or (reported == "pending" and code in _ASKED_TO_END):
        return
    elif code:
        run.fail(_reason(code, folder))
    elif folder.summary.is_file():
        run.accept()
    else:
        _summarise(run, seconds)


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


class _Reports:
    """The reports of the command so far.

    Args:
        run: reports it in the status.
        max_tokens: tokens that it is to train on, where that is known.
    """

    def __init__(self, run: RunWriter, max_tokens: int | None) -> None:
        self.folder = run.folder
        self._max_tokens = max_tokens
        self._reader = MetricsReader(run.folder)
        self._last: dict[str, object] = {}

    def look(self, on_progress: Callable[[RunProgress], None]) -> None:
        """Keep what is new in the status, and tell of it."""
        records = self._reader.read_new()
        if not records:
            return
        for record in records:
            self._last.update(record)
        # A trainer that reports by `olmix.runlog` keeps the status itself, and logs metrics alone.
        status = self.folder.update_status(**progress_of(self._last))
        losses = [number(self._last.get(name)) for name in LOSSES]
        loss = next((loss for loss in losses if loss is not None), None)
        tokens = number(self._last.get("tokens"))
        on_progress(
            RunProgress(
                self.folder.path,
                status.step,
                status.num_steps,
                status.tokens_per_second,
                loss,
                tokens / self._max_tokens if tokens is not None and self._max_tokens else None,
            )
        )


def _reason(code: int, folder: RunFolder) -> str:
    """Describe how the command ended, with the last lines that it printed."""
    how = f"signal {-code}" if code < 0 else f"exit status {code}"
    text = folder.log.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]
    said = "; its last output: " + " | ".join(lines) if lines else ""
    return f"the command ended with {how}{said} (see log.txt)"


def _summarise(run: RunWriter, seconds: float) -> None:
    """Finish a run whose command wrote no summary: the last value of every metric is final."""
    last: dict[str, float] = {}
    for record in run.folder.read_metrics():
        last |= flatten(record)
    try:
        metrics, _ = final_metrics(last)
    except DivergedError as error:
        run.end_with(error)
    else:
        run.finish(metrics, {"seconds": seconds})
