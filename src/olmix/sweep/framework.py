"""What a sweep asks of a training framework, and which frameworks there are.

Nothing outside a framework's own modules knows how its configs look, what reads them or how a run
is started; the sweep itself plans, merges, names and writes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from olmix.errors import nearest
from olmix.sweep.document import Document
from olmix.sweep.errors import ExperimentSchemaError, Finding
from olmix.sweep.experiment import Experiment
from olmix.sweep.merge import Parameters

__all__ = [
    "Base",
    "Cost",
    "Framework",
    "Note",
    "Path_",
    "Verdict",
    "find_framework",
]

Path_ = tuple[str, ...]
"""Path of keys in a config."""

_FRAMEWORKS = {
    "torchtune": "olmix.sweep.torchtune.adapter:TORCHTUNE",
    "hydra": "olmix.sweep.hydra:HYDRA",
}
_PLANNED = ("inspect", "dspy")


@dataclass(frozen=True)
class Base:
    """The config that all runs start from.

    Attributes:
        name: what it is called.
        data: its values.
        document: its text, where runs are written as copies of it.
        recipe: what trains it, where that is known.
    """

    name: str
    data: Mapping[str, Any]
    document: Document | None
    recipe: str | None


@dataclass(frozen=True)
class Note:
    """Something to say about a config.

    Attributes:
        path: keys of the config that it is about.
        what: what was found, what is allowed and what to do.
        level: whether it stops the generation.
    """

    path: Path_
    what: str
    level: Literal["error", "warning", "notice"] = "error"


@dataclass(frozen=True)
class Cost:
    """What a run takes, as far as its config tells.

    Attributes:
        effective_batch: sequences per optimizer step, over all processes.
        steps: optimizer steps of the whole run; `None` where the size of the data is unknown.
        max_tokens: most tokens that are trained on; `None` where unknown.
        processes: processes, one per GPU.
    """

    effective_batch: int | None = None
    steps: int | None = None
    max_tokens: int | None = None
    processes: int = 1


@dataclass(frozen=True)
class Verdict:
    """What the framework's own check says of one config.

    Attributes:
        errors: why it is invalid; empty if it is not.
        missing: optional packages that are not installed here, so that parts were not checked.
    """

    errors: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Framework(Protocol):
    """A training framework.

    Attributes:
        name: as `experiment.framework` has it.
        writes_whole_configs: whether a run's file is a complete config, or only what differs.
    """

    name: str
    writes_whole_configs: bool

    def load_base(self, experiment: Experiment) -> Base:
        """Read the base config; raises `BaseConfigNotFoundError`."""

    def path_of(self, base: Base, name: str) -> Path_:
        """Return where a parameter name lives in the config."""

    def knows(self, base: Base, path: Path_) -> bool:
        """Say whether anything reads what stands at a path."""

    def parameters_of(self, component: str) -> Parameters | None:
        """Return what a component can be given, `None` where that is unknown."""

    def check_names(self, base: Base, names: Mapping[str, Path_]) -> Iterable[tuple[str, str]]:
        """Yield (name, what is wrong) of parameters that this base cannot have."""

    def check_config(
        self, base: Base, config: Mapping[str, Any], given: Iterable[Path_]
    ) -> list[Note]:
        """Return everything to say about one merged config; `given` are the paths set."""

    def cost(self, base: Base, config: Mapping[str, Any], gpus: int) -> Cost:
        """Return what a run takes."""

    def render(self, base: Base, config: Mapping[str, Any], given: Mapping[Path_, Any]) -> str:
        """Return the text of a run's file."""

    def validate(
        self,
        configs: Sequence[Path],
        method: str,
        on_step: Callable[[int, int], None] | None = None,
    ) -> list[Verdict]:
        """Check the files with the framework's own check, all of them."""

    def require(self) -> None:
        """Raise a `MissingPackageError` where the framework's own check cannot be made here."""

    def smoke(
        self,
        base: Base,
        configs: Mapping[str, dict[str, Any]],
        on_step: Callable[[int, int], None] | None = None,
    ) -> Mapping[str, str]:
        """Train every config for two steps on a tiny model; say why it fails, or nothing."""

    def command(self, recipe: str, config: str, gpus: int) -> list[str]:
        """Return the words of the command that trains a config."""

    def read_curves(self, output_dir: Path) -> Mapping[str, list[tuple[int, float]]]:
        """Return (step, value) of every metric that a run has logged."""

    def is_finished(self, config: Mapping[str, Any], output_dir: Path) -> bool:
        """Say whether a run has ended as it should."""


def find_framework(experiment: Experiment) -> Framework:
    """Return the framework that an experiment names.

    Raises:
        ExperimentSchemaError: there is none of this name.
    """
    name = experiment.config.experiment.framework
    if name in _FRAMEWORKS:
        module, _, attribute = _FRAMEWORKS[name].partition(":")
        framework: Framework = getattr(importlib.import_module(module), attribute)
        return framework
    exist = ", ".join(_FRAMEWORKS)
    if name in _PLANNED:
        what = f'"{name}" is planned and not available; frameworks that exist: {exist}'
    else:
        guess = nearest(name, _FRAMEWORKS)
        hint = f". Did you mean `{guess}`?" if guess is not None else ""
        what = f'found "{name}"; frameworks that exist: {exist}{hint}'
    finding = Finding(ExperimentSchemaError, what, ("experiment", "framework"))
    raise ExperimentSchemaError([experiment.problem(finding)], experiment.name)
