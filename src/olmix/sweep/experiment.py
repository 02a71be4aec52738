"""Reading an `experiment.yaml`, in the full or the short form, with every problem at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.config.base import render_location, validate
from olmix.config.experiment import ExperimentConfig, FrameworkConfig, MetadataConfig
from olmix.config.yaml_file import YamlFile, read_yaml
from olmix.errors import ConfigError, Problem
from olmix.io.files import render_yaml
from olmix.sweep.errors import ExperimentSchemaError, Finding, Location, raise_problems
from olmix.sweep.variables import check_variables

__all__ = ["Experiment", "load_experiment"]

_SHORT = {"experiment_name": ("experiment", "name"), "framework": ("experiment", "framework")}
_SHORT |= {key: ("framework_config", key) for key in ("base_config", "base_config_file", "recipe")}


@dataclass(frozen=True)
class Experiment:
    """An experiment that follows its format.

    Attributes:
        config: its sections.
        name: name of its file, for messages.
        text: its file as it was written, or YAML of the mapping it was built from.
        file: the YAML file, where there is one.
        is_short: whether it is written in the short form.
    """

    config: ExperimentConfig
    name: str
    text: str
    file: YamlFile | None
    is_short: bool

    def problem(self, finding: Finding) -> Problem:
        """Return a finding as a problem of the file, with its line."""
        where = _as_written(finding.where) if self.is_short else finding.where
        line = self.file.line(where) if self.file is not None else None
        return Problem(render_location(where), finding.what, line)


def load_experiment(source: str | Path | Mapping[str, Any]) -> Experiment:
    """Read an experiment from a file or a mapping, in the full or the short form.

    Raises:
        ConfigError: the file cannot be read, or is not YAML (an `ExperimentSchemaError`).
        ValidationError: with every problem of the file (one of its subclasses, if they agree).
    """
    if isinstance(source, Mapping):
        file, name, raw = None, "experiment", _copy(source)
        text = render_yaml(raw)
    else:
        try:
            file = read_yaml(source)
        except ConfigError as error:
            raise ExperimentSchemaError(error.problems, error.file) from None
        name, raw = str(source), file.data
        text = Path(source).read_text(encoding="utf-8")
    findings: list[Finding] = []
    is_short = False
    if isinstance(raw, dict):
        raw = {key: value for key, value in raw.items() if value is not None}
        is_short = any(key in raw for key in _SHORT)
        if is_short:
            raw, findings = _from_short(raw)
    config = None
    problems: list[Problem] = []
    try:
        config = validate(ExperimentConfig, raw, _Renamed.of(file, is_short) if file else name)
    except ConfigError as error:
        problems = [_rename(problem) if is_short else problem for problem in error.problems]
    if isinstance(raw, dict):
        findings += check_variables(raw)
    shown = Experiment(config or _EMPTY, name, text, file, is_short)
    said = [(ExperimentSchemaError, problem) for problem in problems]
    raise_problems([*said, *((f.kind, shown.problem(f)) for f in findings)], name)
    return shown


class _Renamed(YamlFile):
    """A file in the short form, whose lines are asked for in the full form."""

    @classmethod
    def of(cls, file: YamlFile, is_short: bool) -> YamlFile:
        return cls(file.path, file.data, file._marked) if is_short else file

    def line(self, location: Any) -> int | None:
        return super().line(_as_written(tuple(location)))


def _as_written(where: Location) -> Location:
    for key, place in _SHORT.items():
        if where[: len(place)] == place:
            return (key, *where[len(place) :])
    return where


def _rename(problem: Problem) -> Problem:
    """Name a key of the full form as the short form has it."""
    where = problem.where
    for key, place in _SHORT.items():
        if where == ".".join(place):
            where = key
    return Problem(where, problem.what, problem.line)


def _from_short(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Turn the short form into the full one."""
    full = {key: value for key, value in raw.items() if key not in _SHORT}
    findings: list[Finding] = []
    for key, (section, name) in _SHORT.items():
        if key not in raw:
            continue
        inner = full.setdefault(section, {})
        if not isinstance(inner, dict):
            continue
        if name in inner:
            what = f"{key} and {section}.{name} are both given; keep one of the two"
            findings.append(Finding(ExperimentSchemaError, what, (section, name)))
        else:
            full[section] = inner | {name: raw[key]}
    metadata = full.get("experiment")
    if isinstance(metadata, dict) and "framework" not in metadata:
        full["experiment"] = metadata | {"framework": "torchtune"}
    return full, findings


def _copy(value: Any) -> Any:
    """Return plain values of a mapping built in Python."""
    if isinstance(value, Mapping):
        return {key: _copy(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(entry) for entry in value]
    return str(value) if isinstance(value, dt.date | Path) else value


_EMPTY = ExperimentConfig(
    experiment=MetadataConfig(name="none", framework="none"), framework_config=FrameworkConfig()
)
