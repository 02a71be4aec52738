"""In-loop tasks: OLMo-core's own, by the ids and the metric names that it gives them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from olmix.config import InLoopEval
from olmix.errors import ConfigError, Problem, nearest, require

__all__ = ["add_tasks", "check_tasks", "pick_metrics"]

logger = logging.getLogger(__name__)

_PREFIX = "eval/downstream/"


def _named(evaluation: InLoopEval) -> dict[str, str]:
    """Return the metric name of each task id."""
    return {task: name for family in evaluation.tasks.values() for task, name in family.items()}


def check_tasks(evaluation: InLoopEval, run: str) -> None:
    """Check the names of tasks and metrics, before minutes of set-up.

    Raises:
        MissingPackageError: the package of the tasks is not installed.
        ConfigError: names every task that it does not have, and every metric of another task.
    """
    require(["olmo_eval"], "olmo-core-eval", "eval.type: inloop")
    from olmo_eval import list_tasks

    problems = find_problems(evaluation, list_tasks())
    if problems:
        raise ConfigError(problems, run)


def find_problems(evaluation: InLoopEval, known: list[str]) -> list[Problem]:
    """Return what is wrong with the names of tasks and metrics.

    Args:
        evaluation: the eval section.
        known: ids of all tasks.
    """
    problems = []
    for family, tasks in evaluation.tasks.items():
        for task, name in tasks.items():
            where = f"eval.tasks.{family}.{task}"
            if task not in known:
                guess = nearest(task, known)
                hint = f"; did you mean `{guess}`?" if guess is not None else ""
                problems.append(Problem(where, f"OLMo-core has no such task{hint}"))
            elif not name.startswith(f"{_PREFIX}{task} ("):
                what = f'found "{name}"; its metrics are named `{_PREFIX}{task} (BPB v2)` or so'
                problems.append(Problem(where, what))
    return problems


def add_tasks(
    trainer: Any, evaluation: InLoopEval, tokenizer: Any, interval: int, num_steps: int
) -> None:
    """Let the trainer evaluate the tasks every `interval` steps and, once, at the end."""
    from olmo_core.train.callbacks import DownstreamEvaluatorCallbackConfig

    callback = DownstreamEvaluatorCallbackConfig(
        tasks=list(_named(evaluation)),
        tokenizer=tokenizer,
        eval_interval=None,
        fixed_steps=list(range(interval, num_steps, interval)),
        eval_on_finish=True,
    ).build(trainer)
    trainer.add_callback("downstream", callback)


def pick_metrics(evaluation: InLoopEval, logged: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that were asked for, and say which of them the tasks do not have."""
    found = {}
    for task, name in _named(evaluation).items():
        if name in logged:
            found[name] = logged[name]
            continue
        others = [other for other in logged if other.startswith(f"{_PREFIX}{task} (")]
        logger.warning("%s was not measured; there are: %s", name, ", ".join(others) or "none")
    return found
