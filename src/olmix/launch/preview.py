"""What a launch would do and cost, without doing it; needs no credentials and no trainer."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from olmix.config import ProxyTraining
from olmix.launch.plan import Group
from olmix.launch.workers import available_cores, worker_command, worker_environment

__all__ = ["ASSUMED_TOKENS_PER_SECOND", "Estimate", "estimate", "render_commands"]

ASSUMED_TOKENS_PER_SECOND = 100_000.0
"""Speed of the default proxy model on one core, used where none is given or measured."""


@dataclass(frozen=True)
class Estimate:
    """What a launch takes.

    Attributes:
        num_runs: runs.
        num_tokens: training tokens of all runs.
        flops: 6 x non-embedding parameters x tokens, over all runs.
        workers: runs at a time.
        tokens_per_second: assumed speed of one worker.
        core_hours: cores times hours.
        seconds: wall-clock time.
    """

    num_runs: int
    num_tokens: int
    flops: float
    workers: int
    tokens_per_second: float
    core_hours: float
    seconds: float


def estimate(group: Group, tokens_per_second: float | None = None) -> Estimate:
    """Estimate tokens, FLOPs and time of a local launch.

    Args:
        group: the runs.
        tokens_per_second: speed of one worker; 100,000 if left out, which holds for the default
            proxy model on a server core of 2024 (see `benchmarks/trainer.py`).
    """
    infra = group.infra
    trainings = [run.training for run in group.runs if isinstance(run.training, ProxyTraining)]
    tokens = sum(training.num_tokens for training in trainings)
    flops = sum(6.0 * training.num_parameters * training.num_tokens for training in trainings)
    rate = tokens_per_second if tokens_per_second is not None else ASSUMED_TOKENS_PER_SECOND
    workers = min(infra.workers or len(available_cores()), len(group.runs))
    seconds = tokens / rate
    return Estimate(
        len(group.runs), tokens, flops, workers, rate, seconds / 3600, seconds / workers
    )


def render_commands(group: Group, runs_dir: str) -> str:
    """Return what `launch run` starts: the worker processes, and what each is told to train."""
    infra = group.infra
    cores = available_cores()
    count = min(infra.workers or len(cores), len(group.runs))
    lines = [f"{name}={shlex.quote(value)}" for name, value in worker_environment().items()]
    for index in range(count):
        core = cores[index] if count <= len(cores) else None
        lines.append(shlex.join(worker_command(core)))
    lines += [f'{{"runs": ["{runs_dir}/{group.group_id}/{run.name}"]}}' for run in group.runs]
    return "\n".join(lines)
