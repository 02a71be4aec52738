"""`ExperimentConfig`: the sections of an `experiment.yaml`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from olmix.config.base import LocalPath, Positive, Rules, Section

__all__ = [
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
_NAME = re.compile(r"\w[\w.+-]*")


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
    tags: _Lines = ()

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
    runs: _Count | None = None
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
    cpus: _Count | None = None
    gpus: Annotated[int, Field(ge=0)] = 1
    """GPUs of a run; a distributed recipe gets one process for each."""
    limit: _Count | None = None
    """Runs at the same time."""
    modules: _Lines = ()
    """Environment modules to load."""
    venv: str | None = None
    """Folder of a virtual environment to activate."""
    conda: str | None = None
    """Name of a conda environment to activate."""
    setup: _Lines = ()
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
    replicates: _Count | Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = 1
    """Runs of every point with different seeds: how many, or the seeds."""
    max_runs: _Count | None = None
    """Largest number of runs; more is an error for a grid."""
    output: OutputConfig = OutputConfig()
    slurm: SlurmConfig | None = None
    seconds_per_step: Positive | None = None
    """Stated speed, from which `preview` estimates GPU-hours."""
