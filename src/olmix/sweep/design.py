"""Which combinations of values become runs: grids, samples, pairs, replicates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from olmix.config.experiment import ExperimentConfig
from olmix.errors import needs
from olmix.simplex import Array
from olmix.sweep.mixtures import MIX, mixtures_of
from olmix.sweep.variable_checks import is_range

__all__ = ["SEED", "Point", "build_points", "count_points", "num_steps", "variable_names"]

Point = dict[str, Any]
SEED = "seed"
"""The parameter by which replicates differ."""


def count_points(config: ExperimentConfig) -> int:
    """Return the number of points, conditions and equal configs not counted."""
    if config.sampler.type == "grid":
        number = math.prod(len(axis) for axis in _axes(config))
    else:
        number = config.sampler.runs or 0
    return number * len(_seeds(config)) + len(config.points)


def build_points(config: ExperimentConfig) -> list[Point]:
    """Return the value of every variable for every run, replicates last and fastest.

    Single points come after the design.

    A grid is in the order of the file: the last variable changes fastest. A sample is a function of
    the sampler's seed and the variables.

    Raises:
        MissingPackageError: a quasi-random sampler without scipy.
    """
    axes = _axes(config)
    if config.sampler.type == "grid":
        points = [_join(parts) for parts in itertools.product(*axes)]
    else:
        points = _sample(config, axes)
    seeds = _seeds(config)
    if len(seeds) == 1 and config.replicates == 1:
        return [*points, *config.points]
    seeded = [point | {SEED: seed} for point in points for seed in seeds]
    return [*seeded, *({SEED: seeds[0]} | point for point in config.points)]


def variable_names(config: ExperimentConfig) -> list[str]:
    """Return the names of all variables, paired ones last."""
    return [*config.variables, *(name for group in config.paired for name in group)]


def _axes(config: ExperimentConfig) -> list[Sequence[Point]]:
    """Return what can vary on its own: the choices of each variable and of each paired group.

    A range is a single choice: its limits, which a sampler replaces.
    """
    axes: list[Sequence[Point]] = []
    for name, values in config.variables.items():
        choices = [values] if is_range(values) else values
        if name == MIX:
            choices = mixtures_of(values, list(config.sources))
        axes.append([{name: value} for value in choices])
    for group in config.paired:
        lengths = [len(values) for values in group.values()]
        axes.append(
            [
                {name: values[index] for name, values in group.items()}
                for index in range(min(lengths, default=0))
            ]
        )
    return axes


def _join(parts: Sequence[Point]) -> Point:
    return {name: value for part in parts for name, value in part.items()}


def _seeds(config: ExperimentConfig) -> Sequence[int]:
    if not isinstance(config.replicates, int):
        return config.replicates
    first = config.controls.get(SEED)
    start = first if isinstance(first, int) and not isinstance(first, bool) else 0
    return range(start, start + config.replicates)


def _sample(config: ExperimentConfig, axes: Sequence[Sequence[Point]]) -> list[Point]:
    number = config.sampler.runs or 0
    cube = _unit_cube(config.sampler.type, number, len(axes), config.sampler.seed)
    points = []
    for row in cube:
        parts = []
        for axis, position in zip(axes, row, strict=True):
            if len(axis) == 1 and is_range(next(iter(axis[0].values()))):
                ((name, limits),) = axis[0].items()
                parts.append({name: _within(limits, float(position))})
            else:
                parts.append(axis[min(int(position * len(axis)), len(axis) - 1)])
        points.append(_join(parts))
    return points


def _unit_cube(kind: str, number: int, dimensions: int, seed: int) -> Array:
    """Return points of the unit cube, shape (number, dimensions)."""
    rng = np.random.default_rng(seed)
    if kind == "random" or dimensions == 0:
        return rng.random((number, dimensions))
    with needs("fit", f"The sampler `{kind}`"):
        from scipy.stats import qmc
    if kind == "latin_hypercube":
        drawn = qmc.LatinHypercube(dimensions, rng=rng).random(number)
    else:
        # A Sobol sequence is balanced at powers of 2 only; the first `number` points of the next
        # power of 2 are what the sequence gives.
        drawn = qmc.Sobol(dimensions, rng=rng).random_base2(math.ceil(math.log2(max(number, 2))))
    return np.asarray(drawn, dtype=np.float64)[:number]


def _within(limits: Mapping[str, Any], position: float) -> int | float:
    """Return the value at a position in [0, 1) of a range; whole limits give whole numbers.

    On a linear scale all steps that the limits hold are equally likely, and so are all whole
    numbers; on a log scale the value is drawn first and then moved to the nearest of them.
    """
    low, high, step = limits["min"], limits["max"], limits.get("step")
    whole = all(isinstance(edge, int) for edge in (low, high, 1 if step is None else step))
    is_log = limits.get("scale", "linear") == "log"
    if step is None and whole and not is_log:
        step = 1
    if is_log:
        value = math.exp(math.log(low) + position * (math.log(high) - math.log(low)))
        if step is not None:
            value = low + min(round((value - low) / step), num_steps(low, high, step)) * step
    elif step is not None:
        value = low + math.floor(position * (num_steps(low, high, step) + 1)) * step
    else:
        value = low + position * (high - low)
    return round(value) if whole else float(f"{value:.6g}")


def num_steps(low: float, high: float, step: float) -> int:
    """Return how many whole steps a range holds: 3 of 8 from 4 to 34."""
    # What rounding takes from 0.3 / 0.1 is given back.
    return math.floor((high - low) / step * (1 + 1e-12))
