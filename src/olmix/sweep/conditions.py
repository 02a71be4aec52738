"""Conditions: which runs they match, and whether they ever can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from olmix.config.experiment import ConditionConfig, ExperimentConfig
from olmix.sweep.design import num_steps
from olmix.sweep.errors import ExperimentSchemaError, Finding, Location
from olmix.sweep.scalars import render_flow
from olmix.sweep.variable_checks import is_range
from olmix.text.yaml_loaders import read_scalar

__all__ = ["Watch"]


class Watch:
    """A condition, and what the runs had of the parameters that it asks for.

    Args:
        config: the experiment.
        index: number of the condition.
    """

    def __init__(self, config: ExperimentConfig, index: int) -> None:
        self._condition: ConditionConfig = config.conditions[index]
        self._where: Location = ("conditions", index, "when")
        self._is_grid = config.sampler.type == "grid"
        self._matched = False
        self._ranges: dict[str, Mapping[str, Any]] = {}
        self._values: dict[str, dict[str, Any]] = {}
        for name in self._condition.when:
            self._values[name] = {}
            values = next((group[name] for group in config.paired if name in group), None)
            values = config.variables.get(name, values)
            if isinstance(values, Mapping) and is_range(values):
                self._ranges[name] = values
            if isinstance(values, list):
                # A sample may happen to leave a value out; it could have had it.
                self._values[name] = {render_flow(value): value for value in values}

    def matches(self, value_of: Callable[[str], Any]) -> bool:
        """Whether the condition holds in a run; `value_of` gives its parameters."""
        holds = True
        for name, wanted in self._condition.when.items():
            value = value_of(name)
            self._values[name].setdefault(render_flow(value), value)
            holds &= any(_equal(value, option) for option in _options(wanted))
        self._matched |= holds
        return holds

    def problems(self) -> Iterator[Finding]:
        """Yield why no run can match, once all runs were asked; values without use are warnings."""
        if self._matched and not any(isinstance(w, list) for w in self._condition.when.values()):
            return
        found = [
            finding
            for name, wanted in self._condition.when.items()
            for finding in self._dead(name, list(_options(wanted)))
        ]
        yield from found
        if not found and not self._matched and self._is_grid:
            what = "no run has all of these values together, so this condition never applies"
            yield Finding(ExperimentSchemaError, what, self._where)

    def _dead(self, name: str, options: list[object]) -> Iterator[Finding]:
        """Yield the options that no run can have; an error where none is left."""
        dead = [option for option in options if not self._possible(name, option)]
        kind = ExperimentSchemaError if len(dead) == len(options) else None
        for option in dead:
            what = f"no run has {name} = {render_flow(option)}, {self._listed(name)}"
            if isinstance(option, str) and self._possible(name, read_scalar(option)):
                what += "; drop the quotes"
            yield Finding(kind, what, (*self._where, name))

    def _listed(self, name: str) -> str:
        if name in self._ranges:
            return f"its range is {render_flow(self._ranges[name])}"
        return f"it is {' or '.join(self._values[name]) or 'in no run'}"

    def _possible(self, name: str, option: Any) -> bool:
        limits = self._ranges.get(name)
        if limits is not None and isinstance(option, int | float) and not isinstance(option, bool):
            low, step = float(limits["min"]), limits.get("step")
            inside = low <= option <= float(limits["max"])
            if not inside or step is None:
                return inside
            steps = round((option - low) / step)
            last = num_steps(low, limits["max"], step)
            distance = float(abs(low + steps * step - option))
            return bool(steps <= last and distance <= 1e-6 * step)
        return any(_equal(value, option) for value in self._values[name].values())


def _options(wanted: object) -> Iterable[object]:
    return wanted if isinstance(wanted, list) else [wanted]


def _equal(a: Any, b: Any) -> bool:
    """Whether values are the same: 1 and 1.0 are, 1 and true are not."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
