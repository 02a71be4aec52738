"""torchtune itself, imported without the warnings of what it imports."""

from __future__ import annotations

import functools
import importlib.metadata
import warnings
from typing import Any

__all__ = ["MODULE", "import_torchtune", "tune_words"]

MODULE = "torchtune._cli.tune"
"""The module that the command `tune` runs."""


def tune_words() -> list[str]:
    """Return the words that start torchtune's command line in this environment.

    Ray has a command of the same name, and whichever of the two was installed last has the file.
    """
    return ["tune"] if owners() <= {"torchtune"} else ["python", "-m", MODULE]


@functools.cache
def owners() -> frozenset[str]:
    """Return the packages of this environment that have a command `tune`.

    Kept: every run of a sweep asks, and an answer reads the files of every installed package.
    """
    found = importlib.metadata.entry_points(group="console_scripts", name="tune")
    return frozenset(entry.dist.name for entry in found if entry.dist is not None)


def import_torchtune() -> tuple[Any, Any]:
    """Return OmegaConf and torchtune's `config`; raises `ImportError`.

    The first import warns about other packages, which we cannot fix.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from omegaconf import OmegaConf
        from torchtune import config
    return OmegaConf, config
