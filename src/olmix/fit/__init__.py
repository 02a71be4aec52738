"""From a swarm's two tables to a proposed mixture, with the evidence for it."""

from olmix.fit.pipeline import fit_swarm
from olmix.fit.results import FitResult
from olmix.fit.saved import LoadedFit, load_fit
from olmix.fit.swarm import Swarm, load_swarm

__all__ = ["FitResult", "LoadedFit", "Swarm", "fit_swarm", "load_fit", "load_swarm"]
