"""Every error that Olmix raises on purpose.

    OlmixError
    ├── ConfigError            a config file or object; carries all its problems
    ├── DataError              texts, token files, tables: missing, unreadable or contradictory
    ├── DivergedError          the loss of a training is no longer a finite number
    ├── InfeasibleError        no mixture satisfies the constraints
    ├── NotAvailableError      accepted by the format, not (yet) done by this release
    ├── MissingPackageError    an optional package is not installed
    └── LaunchError            an engine or a run folder is in the way

The command line prints them without a traceback and exits with status 2, and so it does with errors
of files (`OSError`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "ConfigError",
    "DataError",
    "DivergedError",
    "InfeasibleError",
    "LaunchError",
    "MissingPackageError",
    "NotAvailableError",
    "OlmixError",
    "Problem",
    "explain",
    "in_words",
    "nearest",
]


class OlmixError(Exception):
    """An error whose message is meant for the user as it stands."""


class DataError(OlmixError):
    """Texts, token files or tables are missing, unreadable or contradict each other."""


class DivergedError(OlmixError):
    """The loss of a training is no longer a finite number."""


class InfeasibleError(OlmixError):
    """No mixture satisfies the constraints."""


class NotAvailableError(OlmixError):
    """The format knows this setting; this release does not do it."""


class LaunchError(OlmixError):
    """Runs cannot be started, watched or ended as asked."""


class MissingPackageError(OlmixError):
    """An optional package is needed and not installed.

    Args:
        package: name of the package that could not be imported.
        extra: the extra of Olmix that installs it.
        purpose: what it is needed for, as the start of a sentence.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{purpose} needs the package `{package}`, which is not installed.\n"
            f"  Install it with: pip install 'olmix[{extra}]'"
        )


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config.

    Attributes:
        where: path of keys, such as ``data.sources[2].topcs``; empty for the whole file.
        what: what was found and what is allowed.
        line: line in the file, from 1; ``None`` where there is no file.
    """

    where: str
    what: str
    line: int | None = None

    def render(self, file: str) -> str:
        """Return ``file:line: where: what`` with the parts that are known."""
        place = file if self.line is None else f"{file}:{self.line}"
        return ": ".join(part for part in (place, self.where, self.what) if part)


class ConfigError(OlmixError):
    """A config does not hold together; ``problems`` lists everything found wrong with it.

    Args:
        problems: what is wrong, in the order of the file.
        file: name of the file, or of the model where there is no file.
    """

    def __init__(self, problems: Iterable[Problem], file: str = "") -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        self.file = file
        super().__init__("\n".join(problem.render(file) for problem in self.problems))


def in_words(error: BaseException) -> str:
    """Return an error as a sentence: its own words, after its type where it was unforeseen."""
    if isinstance(error, OlmixError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def explain(error: OlmixError | OSError) -> str:
    """Return what went wrong; of a file that cannot be written or read, its path and the reason."""
    if isinstance(error, OlmixError) or error.strerror is None:
        return str(error) or type(error).__name__
    names = (error.filename, error.filename2)
    places = [os.fsdecode(name) for name in names if isinstance(name, str | bytes | os.PathLike)]
    return ": ".join([" -> ".join(places), error.strerror] if places else [error.strerror])


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, if any is close."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
