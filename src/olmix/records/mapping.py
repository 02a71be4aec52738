"""The runs of a sweep: `run_mapping.yaml`, and `command.json` of a run that is launched from it.

`olmix sweep generate` writes the mapping; what trains each run stands in it as a command, so that a
launch knows no framework by its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from olmix.config.base import validate
from olmix.errors import ConfigError, DataError, Problem
from olmix.records.run import COMMAND_FILE
from olmix.records.typed_json import RecordPart, RunName
from olmix.text.files import read_json, write_json
from olmix.text.yaml import read_yaml

__all__ = [
    "MAPPING",
    "CommandFile",
    "Mapped",
    "MappingRecord",
    "read_command_file",
    "read_mapping_record",
    "write_command_file",
]

MAPPING = "run_mapping.yaml"


def _read_text(value: object) -> object:
    """Take numbers for texts: files written by hand say `hash: 12345678`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _read_words(value: object) -> object:
    if value is None:
        return ()
    return [_read_text(word) for word in value] if isinstance(value, list) else value


_Text = Annotated[str, BeforeValidator(_read_text)]
_Words = Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_read_words)]


class Mapped(RecordPart):
    """A run of a sweep.

    Attributes:
        id: ``run_000``.
        params: value of every variable.
        config: the config file, relative to the folder.
        output_dir: where the run's results go; `None` where its config does not say.
        recipe: what trains the config.
        hash: identity of the config, `output_dir` not counted.
        command: what trains it, as words, from the experiment's folder.
    """

    id: RunName
    params: dict[str, Any] = {}
    config: str = ""
    output_dir: str | None = None
    recipe: str | None = None
    hash: _Text
    command: _Words = ()


class MappingRecord(RecordPart):
    """The content of `run_mapping.yaml`.

    Attributes:
        experiment: name of the experiment.
        framework: what trains its runs.
        base_config: where their configs started from.
        runs: the runs.
    """

    experiment: _Text
    framework: str | None = None
    base_config: str | None = None
    runs: Annotated[tuple[Mapped, ...], Field(strict=False)]


def read_mapping_record(folder: Path) -> MappingRecord:
    """Read the mapping of an experiment's folder.

    Raises:
        DataError: the folder holds no experiment, or its mapping is not what a sweep writes.
    """
    file = folder / MAPPING
    if not file.is_file():
        raise DataError(
            f"{folder}: this is not the folder of an experiment; it has no {MAPPING}. "
            "`olmix sweep generate` makes one."
        )
    try:
        found = validate(MappingRecord, (content := read_yaml(file)).data, content)
        ids = [row.id for row in found.runs]
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise ConfigError([Problem("runs", f"{twice} is there twice")], str(file))
    except ConfigError as error:
        raise DataError(f"{error}\n  {file} is not what `olmix sweep generate` writes") from None
    return found


class CommandFile(RecordPart):
    """A run that is a command, as it stands in its folder.

    Attributes:
        words: the command.
        folder: where it is started.
        environment: variables that it gets besides those of the launcher.
        identity: hash of its config.
        params: what varies, for people.
    """

    words: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    folder: str
    environment: dict[str, str] = {}
    identity: str
    params: dict[str, Any] = {}


def write_command_file(folder: Path, command: CommandFile) -> None:
    """Write the command of a run into its folder."""
    write_json(folder / COMMAND_FILE, command.model_dump())


def read_command_file(folder: Path) -> CommandFile:
    """Read the command of a run.

    Raises:
        DataError: there is none, or it is not what a launch writes.
    """
    file = folder / COMMAND_FILE
    try:
        return validate(CommandFile, read_json(file), str(file))
    except ConfigError as error:
        raise DataError(str(error)) from None
