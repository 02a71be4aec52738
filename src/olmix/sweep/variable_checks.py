"""Checks of the names and values that an experiment gives, before any merge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from olmix.sweep.errors import EmptyVariableError, ExperimentSchemaError, Finding, Location
from olmix.sweep.mixtures import MIX, is_design
from olmix.sweep.scalars import kind_of, render_flow

__all__ = ["check_variables", "is_range"]

_KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_RANGE = frozenset({"min", "max", "scale", "step"})


def is_range(value: object) -> bool:
    """Whether the values of a variable are given as ``{min, max, scale, step}``."""
    return isinstance(value, Mapping) and "min" in value and "max" in value


def check_variables(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the values of the variables, and with names."""
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
            what = f"variables that vary together need equally many values: {shown}"
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
            what = f"{name} is a variable too; a parameter either varies or stays the same"
            yield Finding(ExperimentSchemaError, what, where)


def _check_name(where: Location) -> Iterator[Finding]:
    if not isinstance(where[-1], str) or not _KEY.fullmatch(where[-1]):
        what = f"{where[-1]!r} is not a parameter name; names look like lora_rank or optimizer.lr"
        yield Finding(ExperimentSchemaError, what, where)


def _check_values(where: Location, value: Any, *, is_grid: bool) -> Iterator[Finding]:
    name = where[-1]
    if name == MIX and is_design(value):
        return  # `check_mixtures` knows what is right
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
        yield bad(f"min is {low}, max is {high}; min must be smaller")
    if scale not in ("linear", "log"):
        yield bad(f"scale is {scale}; allowed: linear, log")
    elif scale == "log" and low <= 0:
        yield bad(f"min is {low}; a log scale needs a min above 0")
    step = value.get("step")
    if step is not None and (kind_of(step) not in ("int", "float") or step <= 0):
        yield bad("step must be a number above 0")
    elif step is not None and 0 < high - low < step:
        yield bad(f"step is {step}, more than from min to max: {low} would be the only value")
