"""How sure a measured rate is: intervals over questions, and paired differences of two models.

The unit is the question: answers to one question are alike, so several of them tell less than as
many questions would. All intervals are at the level of `records.fit.scores`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from olmix.records.fit.scores import NORMAL_QUANTILE, TAILS

__all__ = ["Change", "Measured", "mean_interval", "paired_change", "rate_interval"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Change:
    """A paired difference: one model's values less another's, question by question.

    Attributes:
        difference: mean over the questions.
        half_width: of its interval.
    """

    difference: float
    half_width: float

    @property
    def standard_errors(self) -> float:
        """How many standard errors the difference is from 0."""
        if not self.half_width > 0:
            return math.inf
        return self.difference * NORMAL_QUANTILE / self.half_width


@dataclass(frozen=True)
class Measured:
    """The measurements of a model.

    Attributes:
        values: name to one value per question, shape (n,): the mean over its answers.
        rates: names whose values are shares.
        answers_each: answers to a question.
        groups: name of its dataset for each question; empty where there is one.
    """

    values: Mapping[str, Array]
    rates: frozenset[str]
    answers_each: int
    groups: tuple[str, ...] = field(default=())

    def means(self) -> dict[str, float]:
        """Return the mean of each measure, and of some the means by dataset (`accuracy/NAME`)."""
        means = {name: _mean(values) for name, values in self.values.items()}
        for name in ("accuracy", "format_rate", "reward"):
            for group in dict.fromkeys(self.groups) if name in self.values else ():
                chosen = np.array([each == group for each in self.groups])
                means[f"{name}/{group}"] = _mean(self.values[name][chosen])
        return {name: mean for name, mean in means.items() if math.isfinite(mean)}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the interval of each measure."""
        return {
            name: rate_interval(values, self.answers_each)
            if name in self.rates
            else mean_interval(values)
            for name, values in self.values.items()
            if np.isfinite(values).any()
        }

    def change_from(self, before: Measured) -> dict[str, Change]:
        """Return the paired difference of each measure from a model asked the same questions."""
        return {
            name: paired_change(before.values[name], values, is_rate=name in self.rates)
            for name, values in self.values.items()
            if name in before.values and np.isfinite(values - before.values[name]).any()
        }


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def rate_interval(values: Array, answers_each: int = 1) -> tuple[float, float]:
    """Return Wilson's interval of the mean of shares, one per question.

    With several answers to a question it takes as many independent ones as would be as sure: at
    least one a question, at most all of them.
    """
    known = values[np.isfinite(values)]
    n, p = known.size, float(known.mean())
    sure, spread = float(n), float(known.var(ddof=1)) if n > 1 else 0.0
    if answers_each > 1 and spread > 0:
        sure = min(max(p * (1 - p) / (spread / n), n), n * answers_each)
    z = NORMAL_QUANTILE
    centre = (p + z**2 / (2 * sure)) / (1 + z**2 / sure)
    half = z * math.sqrt(p * (1 - p) / sure + (z / (2 * sure)) ** 2) / (1 + z**2 / sure)
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def mean_interval(values: Array) -> tuple[float, float]:
    """Return Student's interval of a mean, one value per question."""
    known = values[np.isfinite(values)]
    mean, half = float(known.mean()), _student(known)
    return mean - half, mean + half


def paired_change(before: Array, after: Array, *, is_rate: bool) -> Change:
    """Return the mean difference with its interval.

    That of rates is Agresti and Min's (2005): half a question more in each cell of the table of
    both models, so that it has a width where no answer changed.
    """
    differences = after - before
    differences = differences[np.isfinite(differences)]
    n, mean = differences.size, float(differences.mean())
    if not is_rate:
        return Change(mean, _student(differences))
    square = (float((differences**2).sum()) + 1) / (n + 2)
    shrunk = float(differences.sum()) / (n + 2)
    return Change(mean, NORMAL_QUANTILE * math.sqrt((square - shrunk**2) / (n + 2)))


def _student(values: Array) -> float:
    """Return the half width of Student's interval of a mean; NaN for a single value."""
    from scipy import stats

    if values.size < 2:
        return math.nan
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    return float(stats.t.ppf(TAILS[1], values.size - 1)) * error
