"""From a swarm's two tables to a proposed mixture, with the evidence for it.

The package can be called: ``olmix.fit(swarm)`` is `session.fit`, so that ``from olmix import fit``
is the function of that name and the name of the stage at once.
"""

import sys
from types import ModuleType
from typing import Any

from olmix.fit.pipeline import fit_swarm
from olmix.fit.results import FitResult
from olmix.fit.saved import LoadedFit, load_fit
from olmix.fit.session import FittedSwarm, LoadedSwarm, ProposedMixture

__all__ = [
    "FitResult",
    "FittedSwarm",
    "LoadedFit",
    "LoadedSwarm",
    "ProposedMixture",
    "fit_swarm",
    "load_fit",
]


class _CallableStage(ModuleType):
    def __call__(self, *args: Any, **settings: Any) -> FittedSwarm:
        """Fit and cross-validate the laws of every metric; see `session.fit`."""
        from olmix.fit import session

        return session.fit(*args, **settings)


sys.modules[__name__].__class__ = _CallableStage
