"""`experiment.yaml`: the models of its sections, and reading it with every problem at once."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from olmix.config.base import (
    LocalPath,
    Positive,
    Rules,
    Section,
    render_location,
    validate,
)
from olmix.config.yaml_file import YamlFile, read_yaml
from olmix.errors import ConfigError, Problem
from olmix.io.files import render_yaml
from olmix.sweep.errors import (
    EmptyVariableError,
    ExperimentSchemaError,
    Finding,
    Location,
    raise_problems,
)
from olmix.sweep.scalars import kind_of, render_flow

__all__ = [
    "ConditionConfig",
    "Experiment",
    "ExperimentConfig",
    "SamplerConfig",
    "SlurmConfig",
    "is_range",
    "load_experiment",
]

Count = Annotated[int, Field(ge=1)]
_SHORT = {"experiment_name": ("experiment", "name"), "framework": ("experiment", "framework")}
_SHORT |= {key: ("framework_config", key) for key in ("base_config", "base_config_file", "recipe")}
_NAME = re.compile(r"\w[\w.+-]*")
_KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_RANGE = frozenset({"min", "max", "scale", "step"})


class MetadataConfig(Section):
    """What the experiment is; everything but name and framework is kept as it is."""

    name: str
    """Unique name of the experiment; part of the names of folders."""
    framework: str
    """What trains the runs."""
    question: str | None = None
    hypothesis: str | None = None
    researcher: str | None = None
    date: str | None = None
    tags: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if not _NAME.fullmatch(self.name):
            rules.broken(
                f'found "{self.name}"; letters, digits, `_`, `-`, `+` and `.` are allowed, because '
                "folders are named after it",
                "name",
            )
        rules.enforce()
        return self


class FrameworkConfig(Section):
    """Where the runs start from: exactly one base config."""

    base_config: Annotated[str, Field(min_length=1)] | None = None
    """A config that the framework ships, by its name."""
    base_config_file: LocalPath | None = None
    """A config file of yours."""
    recipe: Annotated[str, Field(min_length=1)] | None = None
    """The recipe that a file of yours is for; found out where it is left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.base_config is not None and self.base_config_file is not None:
            rules.broken(
                "base_config and base_config_file are both given; keep one of the two",
                "base_config_file",
            )
        rules.enforce()
        return self


class OutputConfig(Section):
    """Where the configs go; `--output-dir` comes before it."""

    experiment_name: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")] | None = None
    """Name of the folder, before the time; the experiment's name if left out."""
    base_dir: Annotated[str, Field(min_length=1)] = "outputs"
    """Folder of the experiments' folders, relative to where the command is run."""
    experiment_dir: Annotated[str, Field(min_length=1)] | None = None
    """The exact folder."""


class ConditionConfig(Section):
    """What happens to the runs whose parameters have certain values."""

    when: Annotated[dict[str, Any], Field(min_length=1)]
    """Parameter names and their values; all must match. A list matches any of its values."""
    skip: bool = False
    """Leave these runs out."""
    set: dict[str, Any] = {}
    """Values that these runs get in place of others."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.skip == bool(self.set):
            rules.broken("either `skip: true` or `set` is needed, not both")
        rules.enforce()
        return self


class SamplerConfig(Section):
    """Which points of the space of variables become runs."""

    type: Literal["grid", "random", "latin_hypercube", "sobol"] = "grid"
    """Every combination, or `runs` points spread at random or evenly."""
    runs: Count | None = None
    """Number of points of every sampler but the grid."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the points."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.type == "grid" and self.runs is not None:
            rules.broken("a grid has as many runs as combinations; use max_runs", "runs")
        if self.type != "grid" and self.runs is None:
            rules.broken(f"runs is required: how many points `{self.type}` draws", "runs")
        rules.enforce()
        return self


class SlurmConfig(Section):
    """What the array script asks SLURM for."""

    account: str | None = None
    partition: str | None = None
    constraint: str | None = None
    qos: str | None = None
    time: str = "12:00:00"
    """Longest time of a run, as `sbatch --time` reads it."""
    mem: str | None = None
    """Memory of a node, such as 64G."""
    cpus: Count | None = None
    gpus: Annotated[int, Field(ge=0)] = 1
    """GPUs of a run; a distributed recipe gets one process for each."""
    limit: Count | None = None
    """Runs at the same time."""
    modules: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Environment modules to load."""
    venv: str | None = None
    """Folder of a virtual environment to activate."""
    conda: str | None = None
    """Name of a conda environment to activate."""
    setup: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Further lines of shell before the run."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.venv is not None and self.conda is not None:
            rules.broken("venv and conda are both given; keep one of the two", "conda")
        for key in ("account", "partition", "constraint", "qos", "time", "mem"):
            if "\n" in (getattr(self, key) or ""):
                rules.broken("one line is needed", key)
        rules.enforce()
        return self


class ExperimentConfig(Section):
    """An `experiment.yaml`."""

    experiment: MetadataConfig
    framework_config: FrameworkConfig
    variables: dict[str, Any] = {}
    """What is tested: parameter names and the list of their values."""
    paired: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Groups of variables that move together: the first values of all, then the second ones."""
    controls: dict[str, Any] = {}
    """What stays the same."""
    conditions: Annotated[tuple[ConditionConfig, ...], Field(strict=False)] = ()
    sampler: SamplerConfig = SamplerConfig()
    replicates: Count | Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = 1
    """Runs of every point with different seeds: how many, or the seeds."""
    max_runs: Count | None = None
    """Largest number of runs; more is an error for a grid."""
    output: OutputConfig = OutputConfig()
    slurm: SlurmConfig | None = None
    seconds_per_step: Positive | None = None
    """Stated speed, from which `preview` estimates GPU-hours."""


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
        findings += _check_variables(raw)
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


def is_range(value: object) -> bool:
    """Say whether the values of a variable are given as ``{min, max, scale, step}``."""
    return isinstance(value, Mapping) and "min" in value and "max" in value


def _check_variables(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the values of the variables, and with bases and names."""
    bases = raw.get("framework_config")
    if isinstance(bases, dict) and not {"base_config", "base_config_file"} & set(bases):
        yield Finding(
            ExperimentSchemaError,
            "one of base_config (a name of `tune ls`) and base_config_file (a file) is required",
            ("framework_config",),
        )
    places: list[tuple[Location, Any]] = []
    if isinstance(raw.get("variables"), dict):
        places += [(("variables", name), value) for name, value in raw["variables"].items()]
    groups = raw.get("paired")
    for index, group in enumerate(groups if isinstance(groups, list) else []):
        if not isinstance(group, dict):
            continue
        entries = [(("paired", index, name), value) for name, value in group.items()]
        places += entries
        lengths = {len(value) for value in group.values() if isinstance(value, list)}
        if len(lengths) > 1:
            shown = ", ".join(f"{k} has {len(v)}" for k, v in group.items() if isinstance(v, list))
            what = f"values that move together must be equally many: {shown}"
            yield Finding(ExperimentSchemaError, what, ("paired", index))
    sampler = raw.get("sampler")
    is_grid = not isinstance(sampler, dict) or sampler.get("type", "grid") == "grid"
    seen: set[str] = set()
    for where, value in places:
        name = str(where[-1])
        if name in seen:
            yield Finding(ExperimentSchemaError, f"{name} is a variable twice; keep one", where)
        seen.add(name)
        yield from _check_name(where)
        yield from _check_values(where, value, is_grid=is_grid)
    controls = raw.get("controls")
    for name in controls if isinstance(controls, dict) else ():
        where = ("controls", name)
        yield from _check_name(where)
        if name in seen:
            what = f"{name} is a variable too; a parameter is tested or stays the same, not both"
            yield Finding(ExperimentSchemaError, what, where)


def _check_name(where: Location) -> Iterator[Finding]:
    if not isinstance(where[-1], str) or not _KEY.fullmatch(where[-1]):
        what = f"{where[-1]!r} is no parameter name; names are such as lora_rank or optimizer.lr"
        yield Finding(ExperimentSchemaError, what, where)


def _check_values(where: Location, value: Any, *, is_grid: bool) -> Iterator[Finding]:
    name = where[-1]
    if is_range(value):
        yield from _check_range(where, value, is_grid=is_grid)
    elif not isinstance(value, list):
        yield Finding(
            ExperimentSchemaError,
            f"found {kind_of(value)} ({render_flow(value)}); a list of values is needed. "
            "A single value belongs in controls.",
            where,
        )
    elif not value:
        yield Finding(
            EmptyVariableError,
            f"the variable {name} has no values; give at least one, or remove it",
            where,
        )
    else:
        shown = [render_flow(entry) for entry in value]
        keys = [_comparable(entry) for entry in value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                what = f"the value {shown[index]} is given twice; keep one"
                yield Finding(ExperimentSchemaError, what, (*where, index))


def _comparable(value: Any) -> Any:
    """Return what is equal for equal values: 1 and 1.0 are, 1 and true are not."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return ("number", float(value)) if is_number else render_flow(value)


def _check_range(where: Location, value: Mapping[str, Any], *, is_grid: bool) -> Iterator[Finding]:
    def bad(what: str) -> Finding:
        return Finding(ExperimentSchemaError, what, where)

    if is_grid:
        yield bad("a range needs a sampler (random, latin_hypercube, sobol); a grid needs a list")
    unknown = set(value) - _RANGE
    if unknown:
        yield bad(f"unknown keys {', '.join(sorted(unknown))}; allowed: min, max, scale, step")
    low, high, scale = value["min"], value["max"], value.get("scale", "linear")
    if any(kind_of(edge) not in ("int", "float") for edge in (low, high)):
        yield bad("min and max must be numbers")
        return
    if low >= high:
        yield bad(f"min is {low}, max is {high}; min must be the smaller one")
    if scale not in ("linear", "log"):
        yield bad(f"scale is {scale}; allowed: linear, log")
    elif scale == "log" and low <= 0:
        yield bad(f"min is {low}; a log scale needs a min above 0")
    step = value.get("step")
    if step is not None and (kind_of(step) not in ("int", "float") or step <= 0):
        yield bad("step must be a number above 0")


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
