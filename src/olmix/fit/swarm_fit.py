"""A swarm with a law for each metric: what proposing, judging and writing start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from olmix.config import FitConfig, RegressionConfig
from olmix.errors import needs
from olmix.fit.crossval import (
    HeldOut,
    MetricFit,
    assign_folds,
    average_families,
    compare_laws,
    cross_validate,
)
from olmix.fit.propose.references import natural_mixture
from olmix.fit.swarm import Swarm
from olmix.fit.uncertainty import ObjectiveFit, draw_metrics, objective_fit
from olmix.laws.best_run import Search
from olmix.laws.epochs import Epochs
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.law import Law
from olmix.laws.lightgbm import LightGbm
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.laws.power_sum import AutoScale, BiMix
from olmix.simplex import Array
from olmix.text.progress import NOBODY, Steps

__all__ = ["SwarmFit", "candidate_laws", "fit_laws", "laws_for", "one_thread"]

AUTO_LAWS = ("log_linear", "log_weight", "gp")
"""Families of laws that `auto` compares: the smooth ones that rank best on public swarms."""
EPOCHS_DOMAINS = 30
"""Domains from which `auto` tries the law of epochs."""
EPOCHS_RUNS = 6
"""Different mixtures for each domain from which it does."""


@dataclass(frozen=True)
class SwarmFit:
    """A swarm with a law for each metric.

    Attributes:
        asked: what was asked for, in the columns of the tables.
        config: the same in the domains of the swarm, which may hold several columns.
        swarm: the runs.
        candidates: laws that were compared, by name.
        folds: (U,) fold of each mixture.
        fits: one per metric.
        objective: how well the weighted average is predicted.
        parts: the fits of the metrics that each family averages, where families are asked for.
    """

    asked: FitConfig
    config: FitConfig
    swarm: Swarm
    candidates: dict[str, Law]
    folds: NDArray[np.intp]
    fits: list[MetricFit]
    objective: ObjectiveFit
    parts: tuple[MetricFit, ...] = ()

    @property
    def natural(self) -> Array:
        """The prior over the domains that some run has, (D,)."""
        return natural_mixture(self.config.priors, self.config.filtering.fixed_weight, self.swarm)

    def with_config(self, config: FitConfig) -> SwarmFit:
        """Return the same laws with another proposer or other limits."""
        return replace(self, asked=config, config=self.swarm.collapse_config(config))

    def draw(self, mixtures: Array) -> Array:
        """Return drawn predictions of every metric at mixtures (K, D), (M, B, K)."""
        seed, parts = self.config.regression.seed, self.swarm.parts
        if parts is None:
            return draw_metrics(self.swarm, self.fits, self.candidates, mixtures, seed)
        drawn = draw_metrics(parts, self.parts, self.candidates, mixtures, seed)
        of = dict(zip(parts.metrics, drawn, strict=True))
        families = self.swarm.families.values()
        return np.stack([np.mean([of[name] for name in members], axis=0) for members in families])


def one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra on one thread: its matrices are small, and threads wait for each other.

    On two cores that other processes use too, two threads made a fit up to ten times slower.
    """
    with needs("fit", "Fitting a swarm"):
        # SciPy brings a linear algebra library of its own; only what is loaded can be limited.
        import scipy.linalg  # noqa: F401
        from threadpoolctl import threadpool_limits
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def candidate_laws(
    settings: RegressionConfig, swarm: Swarm | None = None, passes: Array | None = None
) -> tuple[Law, ...]:
    """Return the laws that a config asks for; `auto` compares all that the swarm can determine.

    A law with a slope for each domain needs more mixtures than there are domains; with fewer `auto`
    has the Gaussian processes alone.

    Args:
        settings: which law.
        swarm: the runs; `None` where there are enough of them.
        passes: (D,) passes over each domain that has the whole weight, for the law of epochs;
            without them `auto` does not try it.
    """
    wanted = settings.type
    epochs = () if passes is None else (Epochs(passes),)
    families: dict[str, tuple[Law, ...]] = {
        "log_linear": (LogLinear(),),
        "log_weight": (LogWeight(),),
        "gp": (GpSqrt(), GpLog()),
        "lightgbm": (LightGbm(settings.seed),),
        "autoscale": (AutoScale(),),
        "bimix": (BiMix(),),
        "epochs": epochs,
        "search": (Search(),),
    }
    if wanted == "auto":
        few = swarm is not None and len(swarm.fitted_mixtures) <= swarm.num_free
        names = ("gp",) if few else AUTO_LAWS
        return (*(law for name in names for law in families[name]), *epochs)
    return families[wanted]


def laws_for(config: FitConfig, swarm: Swarm) -> tuple[Law, ...]:
    """Return the laws that are fitted to a swarm.

    The law of epochs is a candidate of `auto` where it has something to go by: many domains, token
    counts, and several runs for each domain. It is never alone there.
    """
    wanted, inner = config.regression.type, swarm.collapse_config(config)
    counts = inner.priors.counts(swarm.domains)
    many = swarm.num_free >= EPOCHS_DOMAINS and np.ptp(counts) > 0
    enough = len(swarm.fitted_mixtures) >= EPOCHS_RUNS * swarm.num_free
    if wanted != "epochs" and not (wanted == "auto" and many and enough):
        return candidate_laws(config.regression, swarm)
    tokens = config.constraints.target_tokens
    passes = (counts.sum() if tokens is None else tokens) / counts
    return candidate_laws(config.regression, swarm, passes)


def fit_laws(
    config: FitConfig,
    swarm: Swarm,
    steps: Steps = NOBODY,
    known: Sequence[Mapping[str, HeldOut]] | None = None,
) -> SwarmFit:
    """Fit and cross-validate every candidate law for every metric.

    Args:
        config: the laws, the folds and the seed.
        swarm: the runs.
        steps: counts each metric that a law was fitted to.
        known: laws of each metric that were fitted to the same runs before.
    """
    laws = laws_for(config, swarm)
    num_folds = min(config.regression.num_folds, len(swarm.fitted_mixtures))
    folds = assign_folds(swarm.num_groups, num_folds, config.regression.seed)
    parts: list[MetricFit] = []
    if swarm.parts is not None:
        parts = cross_validate(swarm.parts, laws, folds, steps)
        fits = average_families(swarm, parts, folds)
    elif known is None:
        fits = cross_validate(swarm, laws, folds, steps)
    else:
        fits = compare_laws(swarm, known, folds)
    objective = objective_fit(swarm, fits, folds)
    inner = swarm.collapse_config(config)
    named = {law.name: law for law in laws}
    return SwarmFit(config, inner, swarm, named, folds, fits, objective, tuple(parts))
