"""Runs of other frameworks: a sweep's folder of configs, each with the command that trains it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.config.secrets import SECRET_ADVICE
from olmix.errors import ConfigError, Problem
from olmix.records.mapping import (
    MAPPING,
    CommandFile,
    read_command_file,
    read_mapping_record,
    write_command_file,
)
from olmix.text.secrets import find_secrets

__all__ = ["CommandRun", "load_mapping"]


@dataclass(frozen=True)
class CommandRun:
    """A run that is a command.

    Attributes:
        name: name of the run.
        words: the command.
        folder: where it is started.
        identity: hash of its config.
        params: what varies, for people.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    identity: str
    params: Mapping[str, Any]

    def write(self, run_dir: Path) -> None:
        """Write what the run is into its folder."""
        words, folder, params = self.words, str(self.folder), dict(self.params)
        file = CommandFile(words=words, folder=folder, identity=self.identity, params=params)
        write_command_file(run_dir, file)

    @classmethod
    def read(cls, run_dir: Path) -> CommandRun:
        """Read a run from its folder.

        Raises:
            DataError: its command cannot be read.
        """
        file = read_command_file(run_dir)
        return cls(run_dir.name, file.words, Path(file.folder), file.identity, file.params)


def load_mapping(folder: Path) -> tuple[str, tuple[CommandRun, ...]]:
    """Read the mapping of an experiment; returns its name and its runs.

    Raises:
        ConfigError: runs without a command, or with a secret in it, named.
        DataError: the mapping cannot be read.
    """
    record = read_mapping_record(folder)
    runs = tuple(
        CommandRun(row.id, row.command, folder.resolve(), row.hash, row.params)
        for row in record.runs
    )
    missing = [run.name for run in runs if not run.words]
    secrets = {
        said: f"{run.name}: {said}. {SECRET_ADVICE}"
        for run in reversed(runs)
        for said in find_secrets(shlex.join(run.words))
    }
    file = str(folder / MAPPING)
    if secrets:
        raise ConfigError([Problem("runs", problem) for problem in secrets.values()], file)
    if missing or not runs:
        what = f"{', '.join(missing)} have no command" if missing else "there are no runs"
        raise ConfigError([Problem("runs", f"{what}; generate the experiment again")], file)
    return record.experiment, runs
