"""Reading an `experiment.yaml`, in the full or the short form, with every problem at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.config.base import render_location, validate
from olmix.config.experiment import SHORT_FORM, ExperimentConfig
from olmix.errors import ConfigError, Problem
from olmix.sweep.errors import ExperimentSchemaError, Finding, Location, raise_problems
from olmix.sweep.merge import DELETE
from olmix.sweep.mixtures import check_mixtures
from olmix.sweep.variable_checks import check_variables
from olmix.text.yaml import YamlFile, parse_yaml, read_yaml, render_yaml
from olmix.text.yaml_loaders import Yaml12

__all__ = ["Experiment", "load_experiment", "parse_experiment"]


@dataclass(frozen=True)
class ExperimentSource:
    """Where an experiment was read.

    Attributes:
        name: name of its file, for messages.
        text: its file as it was written, or YAML of the mapping it was built from.
        file: the YAML file, where there is one.
        is_short: whether it is written in the short form.
    """

    name: str
    text: str
    file: YamlFile | None
    is_short: bool

    def problem(self, finding: Finding) -> Problem:
        """Return a finding as a problem of the file, under the name and line that it has there."""
        where = _as_written(finding.where) if self.is_short else finding.where
        line = self.file.line(where) if self.file is not None else None
        return Problem(render_location(where), finding.what, line)


@dataclass(frozen=True)
class Experiment(ExperimentSource):
    """An experiment that follows its format.

    Attributes:
        config: its sections.
    """

    config: ExperimentConfig


def load_experiment(source: str | Path | Mapping[str, Any] | YamlFile) -> Experiment:
    """Read an experiment from a file or a mapping, in the full or the short form.

    A file that was parsed by `parse_experiment` will do as well.

    Raises:
        ValidationError: with every problem of the file (one of its subclasses, if they agree).
    """
    origin, raw = _read(source)
    findings: list[Finding] = []
    if origin.is_short:
        raw, findings = _from_short(raw)
    config = None
    problems: list[Problem] = []
    try:
        config = validate(ExperimentConfig, raw, origin.file or origin.name)
    except ConfigError as error:
        problems = [_as_short(entry, origin) for entry in error.problems]
    if isinstance(raw, dict):
        findings += [*check_variables(raw), *check_mixtures(raw)]
    said = [(ExperimentSchemaError, problem) for problem in problems]
    raise_problems([*said, *((f.kind, origin.problem(f)) for f in findings)], origin.name)
    if config is None:
        raise ExperimentSchemaError(problems, origin.name)
    return Experiment(**vars(origin), config=config)


class _ExperimentYaml(Yaml12):
    """YAML in which the tag ``!delete`` stands for itself: it takes a key out of the base."""


_ExperimentYaml.add_constructor(DELETE, lambda *_: DELETE)


def parse_experiment(text: str, file: Path) -> YamlFile:
    """Return an experiment's YAML from its text, as if `file` held it.

    Raises:
        ConfigError: it is not YAML.
    """
    rules = _ExperimentYaml
    return YamlFile(file, parse_yaml(text, str(file), rules), text, rules=rules)


def _read(source: str | Path | Mapping[str, Any] | YamlFile) -> tuple[ExperimentSource, Any]:
    """Return where an experiment stands and what stands there; keys without a value are gone."""
    file = None
    if isinstance(source, Mapping):
        name, raw = "experiment", _copy(source)
        text = render_yaml(raw)
    else:
        try:
            file = source if isinstance(source, YamlFile) else read_yaml(source, _ExperimentYaml)
        except ConfigError as error:
            raise ExperimentSchemaError(error.problems, error.file) from None
        name, raw, text = str(file.path), file.data, file.text
    if isinstance(raw, dict):
        # Keys such as `x-common` are there for their anchors alone.
        raw = {k: v for k, v in raw.items() if v is not None and not str(k).startswith("x-")}
    is_short = isinstance(raw, dict) and any(key in raw for key in SHORT_FORM)
    return ExperimentSource(name, text, file, is_short), raw


def _as_written(where: Location) -> Location:
    """Return where the short form has a key of the full form."""
    for key, place in SHORT_FORM.items():
        if where[: len(place)] == place:
            return (key, *where[len(place) :])
    return where


def _as_short(problem: Problem, origin: ExperimentSource) -> Problem:
    """Give a problem the name and the line that its key has in the short form."""
    for key, place in SHORT_FORM.items():
        if origin.is_short and problem.where == ".".join(place):
            line = origin.file.line((key,)) if origin.file is not None else None
            return Problem(key, problem.what, line)
    return problem


def _from_short(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """Turn the short form into the full one."""
    full = {key: value for key, value in raw.items() if key not in SHORT_FORM}
    findings: list[Finding] = []
    for key, (section, name) in SHORT_FORM.items():
        if key not in raw:
            continue
        inner = full.setdefault(section, {})
        if not isinstance(inner, dict):
            continue
        if name in inner:
            what = f"{key} and {section}.{name} are both given; keep one"
            findings.append(Finding(ExperimentSchemaError, what, (section, name)))
        else:
            full[section] = inner | {name: raw[key]}
    metadata = full.get("experiment")
    if isinstance(metadata, dict) and "framework" not in metadata:
        full["experiment"] = metadata | {"framework": "torchtune"}
    return full, findings


def _copy(value: object) -> object:
    """Return plain values of a mapping built in Python."""
    if isinstance(value, Mapping):
        return {key: _copy(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(entry) for entry in value]
    return str(value) if isinstance(value, dt.date | Path) else value
