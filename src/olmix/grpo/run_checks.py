"""Checks of whole runs: composed, typed, and no setting given twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from olmix.errors import ConfigError, Problem
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.mixture_file import with_mixture
from olmix.grpo.suggestions import older_name

__all__ = ["check_all", "check_each", "check_run"]

_ALIASES = (
    ("optimizer.schedule_type", "scheduler.name"),
    ("optimizer.schedule_type", "scheduler"),
    ("optimizer.warmup_steps", "scheduler.warmup_fraction"),
    ("grpo.eos_tokens", "generation.eos_tokens"),
    ("training.num_epochs", "training.epochs"),
)
"""Keys that say the same, of which an override line may give one."""


def _contradictions(overrides: Sequence[str]) -> Iterator[Problem]:
    """Yield settings that a line of overrides gives twice, by two names and two values.

    Where only one was given, the composed tree holds the default of the other.
    """
    given = {
        key.lstrip("+"): value
        for key, sign, value in (word.partition("=") for word in overrides)
        if sign and value not in ("null", "")
    }
    for older, newer in _ALIASES:
        if older in given and newer in given and given[older] != given[newer]:
            yield Problem(older, f"found {given[older]}, but {newer} = {given[newer]}; give one")


def check_run(overrides: Sequence[str]) -> RunConfig:
    """Compose and check a run.

    Raises:
        ConfigError: with all that is wrong.
    """
    try:
        config = RunConfig.from_dict(with_mixture(compose(overrides)), "config")
    except ConfigError as error:
        found = [_with_older_name(problem) for problem in error.problems]
        twice = {p.where: p for p in _contradictions(overrides)}
        places = {problem.where for problem in found}
        found.extend(problem for where, problem in twice.items() if where not in places)
        raise ConfigError(found, "config") from error
    problems = {problem.where: problem for problem in _contradictions(overrides)}
    if problems:
        raise ConfigError(problems.values(), "config")
    return config


def _with_older_name(problem: Problem) -> Problem:
    """Name the key that is called otherwise here, of one that is unknown."""
    hint = older_name(problem.where) if problem.what.startswith("unknown key") else None
    return Problem(problem.where, f"unknown key; {hint}") if hint else problem


def check_each(runs: Sequence[Sequence[str]]) -> list[list[Problem]]:
    """Compose and check each of several runs; return what is wrong with each."""
    found: list[list[Problem]] = []
    for overrides in runs:
        try:
            check_run(overrides)
            found.append([])
        except ConfigError as error:
            found.append(list(error.problems))
    return found


def check_all(runs: Sequence[Sequence[str]]) -> list[RunConfig]:
    """Compose and check each of several runs.

    Raises:
        ConfigError: with the problems of all runs, each once.
    """
    configs: list[RunConfig] = []
    problems: dict[Problem, None] = {}
    for overrides in runs:
        try:
            configs.append(check_run(overrides))
        except ConfigError as error:
            where = f"{' '.join(overrides)}: " if len(runs) > 1 else ""
            for problem in error.problems:
                problems.setdefault(Problem(problem.where, f"{where}{problem.what}"))
    if problems:
        raise ConfigError(problems, "config")
    return configs
