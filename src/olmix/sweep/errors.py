"""Every error of a sweep.

    OlmixError
    └── ConfigError
        └── ConfigWriterError            an experiment cannot become configs
            ├── ValidationError          the experiment file is wrong
            │   ├── BaseConfigNotFoundError
            │   ├── ExperimentSchemaError
            │   └── EmptyVariableError
            ├── MergeError               values cannot be put into the base config
            │   └── TypeMismatchError
            └── TorchtuneValidationError the framework's own check refuses configs

All problems of a file are reported at once. Where they are of several classes, the error is of the
nearest class above all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from olmix.errors import ConfigError, Problem

__all__ = [
    "BaseConfigNotFoundError",
    "ConfigWriterError",
    "EmptyVariableError",
    "ExperimentSchemaError",
    "Finding",
    "Location",
    "MergeError",
    "TorchtuneValidationError",
    "TypeMismatchError",
    "ValidationError",
    "raise_problems",
]

Location = tuple[str | int, ...]
"""Path of keys in the experiment file, such as ``("variables", "lora_rank", 0)``."""


class ConfigWriterError(ConfigError):
    """An experiment cannot become configs; `problems` lists everything found wrong with it."""


class ValidationError(ConfigWriterError):
    """The experiment file is wrong."""


class BaseConfigNotFoundError(ValidationError):
    """The base config does not exist or cannot be read."""


class ExperimentSchemaError(ValidationError):
    """The experiment file does not follow its format."""


class EmptyVariableError(ValidationError):
    """A variable has no values."""


class MergeError(ConfigWriterError):
    """Values cannot be put into the base config."""


class TypeMismatchError(MergeError):
    """A value is of another type than the one it would replace."""


class TorchtuneValidationError(ConfigWriterError):
    """Generated configs do not pass torchtune's own check; the folder is kept for reading.

    Attributes:
        result: what was generated, if it was.
    """

    result: object = None


@dataclass(frozen=True)
class Finding:
    """One thing to say about an experiment.

    Attributes:
        kind: class of the error that it makes; `None` for a warning or a notice.
        what: what was found, what is allowed and what to do.
        where: where in the experiment file, as far as it is known.
        notice: whether it only tells what was done.
    """

    kind: type[ConfigWriterError] | None
    what: str
    where: Location = ()
    notice: bool = False


def raise_problems(
    found: Iterable[tuple[type[ConfigWriterError] | None, Problem]], file: str
) -> None:
    """Raise one error for all problems; return if there are none.

    Args:
        found: problems with the class of the error that each makes; warnings have none and are
            skipped.
        file: name of the experiment file.
    """
    kinds: list[type[ConfigWriterError]] = []
    problems: list[Problem] = []
    for kind, problem in found:
        if kind is not None and problem not in problems:
            kinds.append(kind)
            problems.append(problem)
    if problems:
        problems.sort(key=lambda problem: problem.line or 10**9)
        raise _common_class(kinds)(problems, file)


def _common_class(kinds: Sequence[type[ConfigWriterError]]) -> type[ConfigWriterError]:
    for candidate in kinds[0].__mro__:
        if issubclass(candidate, ConfigWriterError) and all(
            issubclass(kind, candidate) for kind in kinds
        ):
            return candidate
    return ConfigWriterError
