"""Run folders of any trainer: each goes to the one that its config names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from olmix.config import CommandTraining, OlmoCoreTraining
from olmix.errors import OlmixError
from olmix.records.run import COMMAND_FILE, RunFolder
from olmix.records.run_config import read_run_config
from olmix.train.command import run_command
from olmix.train.outcome import Outcome, RunProgress, fail_run, outcome_of, run_logs

__all__ = ["train_any", "trainer_of"]


def train_any(
    folders: Sequence[RunFolder],
    *,
    on_progress: Callable[[RunProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Train run folders and yield how each of them ended.

    Runs of the embedded trainer go side by side where they can, the others one after another.

    Args:
        folders: run folders; the caller holds their locks.
        on_progress: called now and then during a run.
        should_stop: asked now and then; a run that stops can be resumed.
    """
    proxies = []
    for folder in folders:
        try:
            trainer = trainer_of(folder)
        except OlmixError as error:
            yield _failed(folder, error)
            continue
        if trainer == "proxy":
            proxies.append(folder)
        elif should_stop():
            yield Outcome(folder.path, "interrupted")
        else:
            yield _train_one(folder, trainer, on_progress, should_stop)
    if proxies:
        from olmix.train.proxy.group import train_runs

        yield from train_runs(proxies, on_progress=on_progress, should_stop=should_stop)


def trainer_of(folder: RunFolder) -> str:
    """Return which trainer a run folder asks for: `proxy`, `command` or `olmo_core`.

    Raises:
        ConfigError: its config cannot be read.
    """
    if (folder.path / COMMAND_FILE).is_file():
        return "command"
    training = read_run_config(folder).training
    if isinstance(training, CommandTraining):
        return "command"
    return "olmo_core" if isinstance(training, OlmoCoreTraining) else "proxy"


def _train_one(
    folder: RunFolder,
    trainer: str,
    on_progress: Callable[[RunProgress], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Train one run that is not of the embedded trainer."""
    try:
        if trainer == "command":
            return run_command(folder, on_progress=on_progress, should_stop=should_stop)
        from olmix.train.olmo_core import train_run

        config = read_run_config(folder)
        train_run(folder, config, on_progress=on_progress, should_stop=should_stop)
    except Exception as error:  # noqa: BLE001  a bad run must not end the others
        return _failed(folder, error)
    return outcome_of(folder)


def _failed(folder: RunFolder, error: Exception) -> Outcome:
    with run_logs([folder]):
        return fail_run(folder, error)
