"""`ExperimentConfig`: the sections of an `experiment.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, WithJsonSchema, model_validator

from olmix.config.base import LocalPath, Positive, Rules, Section
from olmix.config.slurm import SlurmGpus, SlurmJob, SlurmTime

__all__ = [
    "SHORT_FORM",
    "ConditionConfig",
    "ExperimentConfig",
    "FrameworkConfig",
    "MetadataConfig",
    "OutputConfig",
    "SamplerConfig",
    "SlurmConfig",
]

_Count = Annotated[int, Field(ge=1)]
_Lines = Annotated[tuple[str, ...], Field(strict=False)]
_Seeds = Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
_NAME = re.compile(r"\w[\w.+-]*")
_LONGEST_NAME = 200
"""Bytes of a name, to which a time is added: a folder's name has at most 255."""
_Values = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "minItems": 1, "uniqueItems": True},
                {
                    "type": "object",
                    "properties": {key: {"type": "number"} for key in ("min", "max", "step")}
                    | {"scale": {"enum": ["linear", "log"]}},
                    "required": ["min", "max"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {
                        "design": {"enum": ["dirichlet", "optimal"]},
                        "runs": {"type": "integer", "minimum": 2},
                        "seed": {"type": "integer", "minimum": 0},
                        "prior": {"type": "object"},
                    },
                    "required": ["design", "runs"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""The values of a variable: a list, or a range ``{min, max, scale, step}`` for a sampler; of the
variable `dataset_mix` also a design of mixtures, ``{design, runs, seed, prior}``.

The sweep itself checks them, because what is wrong with each has a sentence of its own.
"""

_Group = Annotated[dict[str, _Values], Field(min_length=1)]

SHORT_FORM: Mapping[str, tuple[str, str]] = {
    "experiment_name": ("experiment", "name"),
    "framework": ("experiment", "framework"),
    "base_config": ("framework_config", "base_config"),
    "base_config_file": ("framework_config", "base_config_file"),
    "recipe": ("framework_config", "recipe"),
}
"""Keys that may stand at the top of the file, and the section and key that each stands for."""


def _allow_short_form(schema: dict[str, Any]) -> None:
    """Let the JSON Schema of an experiment accept the short form too."""
    schema["properties"] |= {
        key: {
            "type": "string",
            "minLength": 1,
            "description": f"Short form of `{'.'.join(path)}`.",
        }
        for key, path in SHORT_FORM.items()
    }
    needed = {"experiment": {"required": ["name", "framework"]}}
    # Anchors may stand below keys of their own.
    schema["patternProperties"] = {"^x-": {}}
    schema["anyOf"] = [
        {"required": schema.pop("required"), "properties": needed},
        {"required": ["experiment_name"]},
    ]


def _check_length(rules: Rules, name: str, key: str) -> None:
    size = len(name.encode())
    if size > _LONGEST_NAME:
        what = f"found a name of {size} bytes; at most {_LONGEST_NAME}, because folders are named"
        rules.broken(f"{what} after it", key)


def _drop_required(schema: dict[str, Any]) -> None:
    """Leave what is required to the experiment, which knows of the short form."""
    del schema["required"]


class MetadataConfig(Section):
    """The experiment's metadata; everything but name and framework is kept as it is."""

    model_config = ConfigDict(json_schema_extra=_drop_required)

    name: str
    """Unique name of the experiment; part of the names of folders."""
    framework: Annotated[str, Field(examples=["torchtune", "trl", "command", "hydra"])]
    """The framework that trains the runs."""
    question: str | None = None
    """The question that the experiment should answer."""
    hypothesis: str | None = None
    """The expected outcome."""
    researcher: str | None = None
    """Who runs it."""
    date: str | None = None
    """When it was designed."""
    tags: _Lines = ()
    """Words to find it by."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if not _NAME.fullmatch(self.name):
            rules.broken(
                f'found "{self.name}"; letters, digits, `_`, `-`, `+` and `.` are allowed, because '
                "folders are named after it",
                "name",
            )
        _check_length(rules, self.name, "name")
        rules.enforce()
        return self


class FrameworkConfig(Section):
    """Where the runs start from: exactly one base config."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {"required": ["base_config", "base_config_file"]},
        }
    )

    base_config: Annotated[str, Field(min_length=1)] | None = None
    """A config that the framework ships, by its name."""
    base_config_file: LocalPath | None = None
    """A config file of yours."""
    recipe: Annotated[str, Field(min_length=1)] | None = None
    """The recipe that a file of yours is for; torchtune's is detected if left out. TRL's
    is a command: `sft`, `dpo`, `grpo`, `reward`."""
    command: Annotated[_Lines, Field(min_length=1)] | None = None
    """`framework: command`: the words of the command that trains a run. `{config}` is its config
    file, `{flags}` everything that the experiment sets as `--key=value`, `{key}` one value."""
    check_command: Annotated[_Lines, Field(min_length=1)] | None = None
    """`framework: command`: the words of the command that checks a config file; status 0 means
    valid."""
    new_keys: _Lines = ()
    """`framework: command`: keys that the trainer reads and the base config does not have."""
    output_key: Annotated[str, Field(min_length=1)] = "output_dir"
    """`framework: command`: the key for the folder that a run writes to."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        if self.base_config is not None and self.base_config_file is not None:
            rules.broken(
                "base_config and base_config_file are both given; keep one",
                "base_config_file",
            )
        rules.enforce()
        return self


class OutputConfig(Section):
    """Where the configs go; `--output` overrides it."""

    experiment_name: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")] | None = None
    """Name of the folder, before the time; the experiment's name if left out."""
    base_dir: Annotated[str, Field(min_length=1)] = "outputs"
    """Parent of the experiment's folder, relative to where the command is run."""
    experiment_dir: Annotated[str, Field(min_length=1)] | None = None
    """The exact folder."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        _check_length(rules, self.experiment_name or "", "experiment_name")
        rules.enforce()
        return self


class ConditionConfig(Section):
    """A rule for the runs whose parameters have certain values."""

    when: Annotated[dict[str, Any], Field(min_length=1)]
    """Parameter names and their values; all must match. A list matches any of its values."""
    skip: bool = False
    """Leave these runs out."""
    set: dict[str, Any] = {}
    """Values that these runs get instead."""

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
    runs: _Count | None = None
    """Number of points, for every sampler except the grid."""
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


class SlurmConfig(SlurmJob):
    """The SLURM resources of the array script; keys as in the `infra` section of a launch."""

    gpus: SlurmGpus = 1
    """GPUs of a run on each node: a number, or a type and a number such as `h100:1`. A distributed
    recipe gets one process for each."""
    time: SlurmTime = "12:00:00"
    """Time limit of a run: minutes (`90`), `HH:MM:SS`, or days and hours (`1-12`)."""

    array_limit: Annotated[
        _Count | None, Field(validation_alias=AliasChoices("array_limit", "limit"))
    ] = None
    """Runs at a time, also if runs are split over several arrays, which then wait for each other.
    Files of earlier releases may say `limit`."""

    @model_validator(mode="before")
    @classmethod
    def _ask_once(cls, value: Any) -> Any:
        """Leave the default of `gpus` out where `gres` asks for GPUs already."""
        if isinstance(value, Mapping) and "gpus" not in value and "gpu" in str(value.get("gres")):
            return {**value, "gpus": 0}
        return value


class ExperimentConfig(Section):
    """An `experiment.yaml`."""

    model_config = ConfigDict(json_schema_extra=_allow_short_form)

    experiment: MetadataConfig
    """Name, framework and purpose of the experiment."""
    framework_config: FrameworkConfig
    """Where its runs start from."""
    sources: dict[str, dict[str, Any]] = {}
    """Data sets by name; `dataset_mix` says how much of each a run trains on. A source has the keys
    of the trainer's data sets, and `rows` if they cannot be counted."""
    variables: dict[str, _Values] = {}
    """The variables to test: parameter names, each with its list of values."""
    paired: Annotated[tuple[_Group, ...], Field(strict=False)] = ()
    """Groups of variables that vary together: the first values of all, then the second ones."""
    points: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Extra runs besides the design, each with a value for every variable; `olmix sweep generate
    --after` adds them."""
    controls: dict[str, Any] = {}
    """The settings that stay the same in all runs."""
    conditions: Annotated[tuple[ConditionConfig, ...], Field(strict=False)] = ()
    """Rules for runs with certain values."""
    sampler: SamplerConfig = SamplerConfig()
    """Which points become runs."""
    replicates: Annotated[int, Field(ge=1, le=1_000)] | _Seeds = 1
    """Runs of every point with different seeds: how many, or the seeds."""
    max_runs: _Count | None = None
    """Most runs allowed; a grid with more is an error."""
    output: OutputConfig = OutputConfig()
    """Where the configs go."""
    slurm: SlurmConfig | None = None
    """The resources that the array script of `--slurm` asks for."""
    seconds_per_step: Positive | None = None
    """Seconds per step, from which `preview` estimates GPU-hours."""
