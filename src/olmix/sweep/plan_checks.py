"""Checks of a plan as a whole: too many runs, none, or a scale that varies unseen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from olmix.config.experiment import ExperimentConfig
from olmix.sweep.design import count_points, variable_names
from olmix.sweep.errors import ExperimentSchemaError, Finding
from olmix.sweep.framework import Base, Framework
from olmix.sweep.merge import expand, flatten
from olmix.sweep.mixtures import MIX
from olmix.sweep.names import Names

__all__ = ["check_number", "check_points", "warn_of_length", "warn_of_scale"]

_MOST_POINTS = 100_000


def check_points(config: ExperimentConfig) -> Iterator[Finding]:
    """Yield that there are more combinations than anyone runs."""
    number = count_points(config)
    if number > _MOST_POINTS:
        what = f"{number:,} combinations; at most {_MOST_POINTS:,} are made. Use a sampler"
        yield Finding(ExperimentSchemaError, what, ("variables",))


def check_number(config: ExperimentConfig, number: int) -> Iterator[Finding]:
    """Yield that no run is left, or more than `max_runs`."""
    if number == 0:
        what = "every combination is skipped; no run is left"
        yield Finding(ExperimentSchemaError, what, ("conditions",))
    limit = config.max_runs
    if limit is not None and config.points and number > limit:
        what = f"{number} runs with those of points, more than max_runs = {limit}; raise max_runs"
        yield Finding(ExperimentSchemaError, what, ("max_runs",))
    elif limit is not None and config.sampler.type == "grid" and number > limit:
        what = (
            f"the grid has {number} runs, more than max_runs = {limit}; test fewer values, raise "
            f"max_runs, or draw a sample: sampler: {{type: latin_hypercube, runs: {limit}}}"
        )
        yield Finding(ExperimentSchemaError, what, ("max_runs",))


def warn_of_scale(
    config: ExperimentConfig, framework: Framework, base: Base, names: Names
) -> Iterator[Finding]:
    """Warn where the LoRA rank varies and alpha does not, so that their ratio varies too."""
    if framework.scale is None:
        return
    rank_key, alpha_key = framework.scale
    varied = variable_names(config)
    paths = {framework.path_of(base, name): name for name in varied}
    ranks = [path for path in paths if path[-1] == rank_key]
    if not ranks or any(path[-1] == alpha_key for path in paths):
        return
    rank = paths[ranks[0]]
    values = config.variables.get(rank)
    if isinstance(values, Sequence) and len(values) == 1:
        return
    controls = expand({framework.path_of(base, n): v for n, v in config.controls.items()})
    leaves = dict(flatten(controls))
    if "${" in str(leaves.get((*ranks[0][:-1], alpha_key))):
        return
    yield Finding(
        None,
        f"{rank} varies and {alpha_key} stays the same, so the scale alpha/rank varies too; "
        f"to keep it, write {alpha_key}: ${{mul:2,${{{rank}}}}} (2 * {rank}) in controls",
        names.locations[rank],
    )


def warn_of_length(config: ExperimentConfig, steps: Sequence[int | None]) -> Iterator[Finding]:
    """Warn where mixtures may differ by how long they train, too."""
    if MIX in config.variables and (None in steps or len(set(steps)) > len(_others(config))):
        what = (
            "mixtures have different numbers of rows, so runs train for different numbers of "
            "steps; set the same number for all (torchtune: max_steps_per_epoch, TRL: max_steps)"
        )
        yield Finding(None, what, ("variables", MIX))


def _others(config: ExperimentConfig) -> set[str]:
    """Return what besides the mixture may change the number of steps, and one for all."""
    return {""} | {name for name in config.variables if name != MIX}
