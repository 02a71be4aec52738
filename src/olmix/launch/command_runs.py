"""Runs of other frameworks: a folder of configs with a `run_mapping.yaml`, each with its command.

`olmix sweep generate` writes such folders; the mapping says what trains each run, so that nothing
here knows a framework by its name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.config import read_yaml
from olmix.config.secrets import SECRET_ADVICE, find_secrets
from olmix.errors import ConfigError, DataError, Problem

__all__ = ["MAPPING", "CommandRun", "load_mapping"]

MAPPING = "run_mapping.yaml"


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

    def to_plain(self) -> dict[str, Any]:
        """Return the content of `command.json`."""
        return {
            "words": list(self.words),
            "folder": str(self.folder),
            "environment": {},
            "identity": self.identity,
            "params": dict(self.params),
        }

    @classmethod
    def from_plain(cls, name: str, plain: Mapping[str, Any]) -> CommandRun:
        """Build a run from the content of `command.json`."""
        folder, params = Path(plain["folder"]), plain.get("params", {})
        return cls(name, tuple(plain["words"]), folder, plain["identity"], params)


def load_mapping(folder: Path) -> tuple[str, tuple[CommandRun, ...]]:
    """Read the mapping of an experiment; returns its name and its runs.

    Raises:
        ConfigError: runs without a command, or with a secret in it, named.
        DataError: the mapping cannot be read.
    """
    file = folder / MAPPING
    try:
        content = read_yaml(file).data
        name = str(content["experiment"])
        runs = [
            CommandRun(
                str(row["id"]),
                tuple(map(str, row.get("command") or ())),
                folder.resolve(),
                str(row["hash"]),
                dict(row.get("params") or {}),
            )
            for row in content["runs"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: this is no mapping of runs: {error!r}") from error
    missing = [run.name for run in runs if not run.words]
    secrets = {
        said: f"{run.name}: {said}. {SECRET_ADVICE}"
        for run in reversed(runs)
        for said in find_secrets(shlex.join(run.words))
    }
    if secrets:
        problems = [Problem("runs", problem) for problem in secrets.values()]
        raise ConfigError(problems, str(file))
    if missing or not runs:
        what = f"{', '.join(missing)} have no command" if missing else "there are no runs"
        raise ConfigError([Problem("runs", f"{what}; generate the experiment again")], str(file))
    return name, tuple(runs)
