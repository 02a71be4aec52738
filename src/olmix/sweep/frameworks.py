"""The frameworks of sweeps: one folder each, whose `adapter` holds a class `FRAMEWORK`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from olmix.errors import nearest
from olmix.sweep.errors import ExperimentSchemaError, Finding
from olmix.sweep.experiment import Experiment
from olmix.sweep.framework import Framework

__all__ = ["FRAMEWORKS", "check_section", "find_framework", "load_framework"]

FRAMEWORKS = ("torchtune", "trl", "command", "hydra")
_PLANNED = ("inspect", "dspy")
_BASES = {
    "base_config": "a name that the framework ships",
    "base_config_file": "a file of yours",
}


def load_framework(name: str) -> type[Framework]:
    """Return the adapter of a framework of `FRAMEWORKS`."""
    module = importlib.import_module(f"olmix.sweep.{name}.adapter")
    framework: type[Framework] = module.FRAMEWORK
    return framework


def find_framework(experiment: Experiment) -> Framework:
    """Return the framework that an experiment names, for this experiment.

    Raises:
        ExperimentSchemaError: there is none of this name.
    """
    name = experiment.config.experiment.framework
    if name in FRAMEWORKS:
        return load_framework(name)(experiment.config.framework_config)
    exist = ", ".join(FRAMEWORKS)
    if name in _PLANNED:
        what = f'"{name}" is planned and not available; frameworks that exist: {exist}'
    else:
        guess = nearest(name, FRAMEWORKS)
        hint = f". Did you mean `{guess}`?" if guess is not None else ""
        what = f'found "{name}"; frameworks that exist: {exist}{hint}'
    finding = Finding(ExperimentSchemaError, what, ("experiment", "framework"))
    raise ExperimentSchemaError([experiment.problem(finding)], experiment.name)


def check_section(framework: Framework) -> Iterator[Finding]:
    """Yield keys of `framework_config` that this framework does not read, or needs."""
    given = framework.section.model_fields_set
    for key in sorted(given - framework.takes):
        what = f"{framework.name} takes no {key}; it takes: {', '.join(sorted(framework.takes))}"
        yield Finding(ExperimentSchemaError, what, ("framework_config", key))
    bases = [f"{key} ({what})" for key, what in _BASES.items() if key in framework.takes]
    if framework.needs_base and not given & _BASES.keys():
        what = f"one of {' and '.join(bases)}" if len(bases) > 1 else bases[0]
        yield Finding(ExperimentSchemaError, f"{what} is required", ("framework_config",))
