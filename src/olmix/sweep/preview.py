"""A preview of a plan: the difference of each run from the base, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from olmix.sweep.merge import flatten
from olmix.sweep.scalars import render_flow
from olmix.sweep.study_plan import PlannedRun, StudyPlan

__all__ = ["differences", "gpu_hours"]

_ABSENT = "(not set)"


def differences(plan: StudyPlan, run: PlannedRun) -> list[tuple[str, str, str]]:
    """Return (path, value of the base, value of the run) of everything that a run changes."""
    before, after = _leaves(plan.base.data), _leaves(run.config)
    paths = dict.fromkeys([*before, *after])
    return [
        (path, before.get(path, _ABSENT), after.get(path, _ABSENT))
        for path in paths
        if before.get(path) != after.get(path)
    ]


def _leaves(config: Mapping[str, object]) -> dict[str, str]:
    return {".".join(path): render_flow(value) for path, value in flatten(config)}


def gpu_hours(runs: Sequence[PlannedRun], seconds_per_step: float | None) -> float | None:
    """Return the GPU-hours of runs at a stated speed; `None` where steps or speed are unknown."""
    if seconds_per_step is None or any(run.cost.steps is None for run in runs):
        return None
    gpu_steps = sum((run.cost.steps or 0) * run.cost.processes for run in runs)
    return gpu_steps * seconds_per_step / 3600
