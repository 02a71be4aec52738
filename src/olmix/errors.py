"""Every error that Olmix raises on purpose.

    OlmixError
    ├── ConfigError            a config file or object; carries all its problems
    ├── DataError              texts, token files, tables: missing, unreadable or contradictory
    ├── DivergedError          the loss of a training is no longer a finite number
    ├── InfeasibleError        no mixture satisfies the constraints
    ├── NotAvailableError      known to the format, not (yet) supported by this release
    ├── MissingPackageError    an optional package is not installed
    └── LaunchError            an engine or a run folder is in the way

The command line prints them without a traceback and exits with status 2, and so it does with errors
of files (`OSError`).
"""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
    "did_you_mean",
    "explain",
    "how_to_install",
    "in_words",
    "nearest",
    "needs",
    "require",
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
    """The format has this setting; this release does not support it."""


class LaunchError(OlmixError):
    """Runs cannot be started, watched or ended as asked."""


class MissingPackageError(OlmixError):
    """An optional package is needed and not installed.

    Args:
        modules: what could not be imported.
        extra: the extra of Olmix that installs them.
        purpose: what they are needed for, as the start of a sentence.
    """

    def __init__(self, modules: Sequence[str], extra: str, purpose: str) -> None:
        names = [_PACKAGES.get(module, module.replace("_", "-")) for module in modules]
        several = len(names) > 1
        super().__init__(
            f"{purpose} needs the package{'s' * several} "
            f"{', '.join(f'`{name}`' for name in names)}, "
            f"which {'are' if several else 'is'} not installed.\n"
            f"  Install {'them' if several else 'it'} with: {how_to_install(extra)}"
        )


_PACKAGES = {
    "beaker": "beaker-py",
    "hydra": "hydra-core",
    "olmo_core": "ai2-olmo-core",
    "olmo_eval": "ai2-olmo-eval",
    "tunix": "google-tunix",
}
"""Packages whose name is not the name of their module."""


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install '.[{extra}]' (in the checkout of Olmix)"


@contextmanager
def needs(extra: str, purpose: str) -> Iterator[None]:
    """Import optional packages in a `with` block; names the extra of one that is not there.

    Args:
        extra: the extra of Olmix that installs them.
        purpose: what they are needed for, as the start of a sentence.

    Raises:
        MissingPackageError: an import in the block fails.
    """
    try:
        yield
    except ImportError as error:
        module = (error.name or str(error)).partition(".")[0]
        raise MissingPackageError([module], extra, purpose) from error


def require(modules: Iterable[str], extra: str, purpose: str) -> None:
    """Check that modules can be found, without importing them.

    Raises:
        MissingPackageError: names all that are missing.
    """
    if missing := [module for module in modules if importlib.util.find_spec(module) is None]:
        raise MissingPackageError(missing, extra, purpose)


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
    """Return an error as a sentence: its own words, preceded by its type if it was unexpected."""
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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean code?`` for the end of a message, or nothing."""
    guess = nearest(word, sorted(known))
    return "" if guess is None else f"; did you mean {guess}?"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, if any is close."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
