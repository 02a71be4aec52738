"""Predictions against measurements: scores, and whether a rank correlation is chance."""

from __future__ import annotations

import numpy as np

from olmix.errors import needs
from olmix.records.fit.scores import Scores
from olmix.simplex import Array

__all__ = ["rank_p_value", "scores"]


def scores(measured: Array, predicted: Array) -> Scores:
    """Compare predictions with measurements, both (n,), of which less is better."""
    error = measured - predicted
    variance = float(((measured - measured.mean()) ** 2).sum())
    return Scores(
        spearman=_correlation(_ranks(measured), _ranks(predicted)),
        pearson=_correlation(measured, predicted),
        r2=1 - float((error**2).sum()) / variance if variance > 0 else 0.0,
        rmse=float(np.sqrt((error**2).mean())),
        regret=float(measured[predicted.argmin()] - measured.min()),
    )


def rank_p_value(measured: Array, predicted: Array) -> float:
    """Return the one-sided p value of a rank correlation above 0 (t approximation).

    Args:
        measured: (n,) measured values, one per unique mixture.
        predicted: (n,) held-out predictions.
    """
    with needs("fit", "Fitting a swarm"):
        from scipy import stats
    correlation = _correlation(_ranks(measured), _ranks(predicted))
    freedom = len(measured) - 2
    if freedom < 1:
        return 1.0
    t = correlation * np.sqrt(freedom / max(1 - correlation**2, 1e-12))
    return float(stats.t.sf(t, freedom))


def _ranks(values: Array) -> Array:
    """Return ranks from 0, ties sharing their mean, (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    return np.asarray((last - (counts - 1) / 2)[inverse])


def _correlation(left: Array, right: Array) -> float:
    if any(
        np.ptp(side) <= 1e-12 * max(float(np.abs(side).max()), 1e-300) for side in (left, right)
    ):
        return 0.0
    a, b = left - left.mean(), right - right.mean()
    return float(np.clip((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()), -1, 1))
