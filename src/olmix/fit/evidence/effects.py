"""The effect of each domain on each metric, and how sure it is.

    effect_dm   = d f_m(x + h (e_d - x)) / dh  at h = 0
    evidence_dm = mean of the change at h = STEP / its standard deviation, over draws of laws

The effect is the change of the metric per unit of weight that is moved to a domain and taken from
all of them in proportion to the mixture `x`. The evidence is its signal-to-noise ratio, with the
sign of the effect: draws are refits to reweighted mixtures or draws from a posterior, as in
`uncertainty`, so beyond +-1.64 at most one in twenty of them has the other sign.

Legend: ``D`` domains, ``M`` metrics, ``B`` draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from olmix.fit.crossval import MetricFit
from olmix.fit.swarm import Swarm
from olmix.records.fit.scores import NORMAL_QUANTILE, TAILS
from olmix.simplex import Array

__all__ = ["STEP", "interaction_matrix", "probes", "signed_evidence"]

STEP = 0.05
"""Weight that is moved to a domain when the change of a metric is judged."""


def interaction_matrix(swarm: Swarm, fits: Sequence[MetricFit], at: Array) -> Array:
    """Return the effect of each domain on each metric at a mixture, (D, M).

    It is the gradient of the law, centred so that its mean weighted by the mixture `at` is 0. For
    metrics of which less is better, negative helps. Domains that no run has are 0, and so are those
    with the same weight in every run.
    """
    columns = []
    for sign, fitted in zip(swarm.signs, fits, strict=True):
        slope = sign * fitted.best.law.gradient(at[None])[0]
        columns.append(np.where(swarm.free, slope - at @ slope, 0.0))
    return np.stack(columns, axis=1)


def probes(at: Array) -> Array:
    """Return a mixture and its neighbours, one with more of each domain, (1 + D, D)."""
    return np.vstack([at, at + STEP * (np.eye(len(at)) - at)])


def signed_evidence(swarm: Swarm, draws: Array) -> Array:
    """Return the signed evidence for every effect, (D, M).

    Args:
        swarm: the runs.
        draws: (M, B, 1 + D) drawn predictions at the `probes`, less is better.
    """
    change = draws[:, :, 1:] - draws[:, :, :1]
    # Quantiles in place of moments: a few exploding refits do not decide.
    low, middle, high = np.quantile(change, [TAILS[0], 0.5, TAILS[1]], axis=1)
    width = (high - low) / (2 * NORMAL_QUANTILE)
    ratio = np.divide(middle, width, out=np.zeros_like(middle), where=width > 0)
    return np.where(swarm.free[:, None], (swarm.signs[:, None] * ratio).T, 0.0)
