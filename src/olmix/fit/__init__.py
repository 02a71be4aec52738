"""From a swarm's two tables to a proposed mixture, with the evidence for it."""

import sys
import warnings
from types import ModuleType
from typing import Any

from olmix.fit.models_file import LoadedFit, load_fit
from olmix.fit.pipeline import fit_swarm
from olmix.fit.results import FitResult
from olmix.fit.session import FittedSwarm, LoadedSwarm, ProposedMixture, fit_laws

__all__ = [
    "FitResult",
    "FittedSwarm",
    "LoadedFit",
    "LoadedSwarm",
    "ProposedMixture",
    "fit_laws",
    "fit_swarm",
    "load_fit",
]


class _OldSpelling(ModuleType):
    """Lets `from olmix import fit; fit(swarm)` of version 0.1 work until 0.3."""

    def __call__(self, *args: Any, **settings: Any) -> FittedSwarm:
        message = "olmix.fit(...) is now olmix.fit_laws(...); the old name goes in version 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return fit_laws(*args, **settings)


sys.modules[__name__].__class__ = _OldSpelling
