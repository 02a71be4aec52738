"""`fit.json`: what was fitted to which runs, and how well each law predicts.

A `Fit` is the whole file. Metrics and laws stand in it by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from olmix.records.metric import Metric, Objective, unit_of
from olmix.records.metric_identity import MetricIdentity
from olmix.records.typed_json import (
    KEY,
    OPTIONAL,
    Items,
    JsonRecord,
    Name,
    Number,
    Table,
    Text,
    read_record,
)
from olmix.simplex import Array
from olmix.text.numbers import fixed, places_for, signed

__all__ = [
    "AGAIN",
    "AUTO",
    "LEVEL",
    "NORMAL_QUANTILE",
    "TAILS",
    "BestTenth",
    "Calibration",
    "Fit",
    "FittedMetric",
    "LawScores",
    "ObjectiveEntry",
    "Picked",
    "Scores",
    "UsedRuns",
    "read_fit",
]

LEVEL = 0.90
"""Share that every interval is to hold: of runs and of gains, predicted and measured alike."""
TAILS = (round((1 - LEVEL) / 2, 4), round((1 + LEVEL) / 2, 4))
"""Quantiles between which such an interval lies."""
NORMAL_QUANTILE = round(NormalDist().inv_cdf(TAILS[1]), 4)
"""Standard deviations that the interval of a normal distribution reaches at `LEVEL`."""
_MOST_AHEAD = 2.0
"""How far ahead an objective counts at most: farther proposals were not measured."""
_NEARLY = 0.75
"""Share of `reach` from which on intervals rise to what the ends of the swarm showed."""
AGAIN = "Run `olmix fit` again."
AUTO = "auto"
"""Key of the choice that was made for each metric, beside the names of laws."""


@dataclass(frozen=True)
class Scores:
    """How well predictions agree with measurements, over runs.

    Attributes:
        spearman: rank correlation; 0 where the predictions do not vary.
        pearson: correlation; 0 where the predictions do not vary.
        r2: share of the variance that is explained; negative if worse than the mean.
        rmse: root of the mean squared error, in units of the metric; lower is better.
        regret: how much better the best run is than the one predicted to be best (regret@1), in
            units of the metric; lower is better.
    """

    spearman: Number = math.nan
    pearson: Number = math.nan
    r2: Number = math.nan
    rmse: Number = math.nan
    regret: Number = math.nan


@dataclass(frozen=True)
class LawScores:
    """One candidate law for one metric.

    Attributes:
        cv: scores on runs that the law has not seen, each by the fit without its fold.
        train: scores on the runs it was fitted to.
        cv_loss: the error by which laws are compared; less is better.
        test: scores on the runs that no fit has seen (`regression.n_test`), where there are any.
        name: its name, the key of the entry.
    """

    cv: Scores = Scores()
    train: Scores = Scores()
    cv_loss: Number = field(default=math.nan, metadata=OPTIONAL)
    test: Scores | None = field(default=None, metadata=OPTIONAL)
    name: Name = field(default="", metadata=KEY)


@dataclass(frozen=True)
class Calibration(JsonRecord):
    """The 90 % intervals of one run.

    Half their width at a Hellinger distance `d` from the nearest run is
    ``quantile (base + slope d) max(1, d / reach)^2``. Where the objective is predicted to be as
    good as the best tenth of the mixtures or better, it is at least `ahead` times `beyond`;
    and farther than `reach`, at least ``outer (d / reach)^2``, to which it rises from 3/4 of
    `reach` on.

    Attributes:
        base: typical error at a mixture that was trained on, in units of the metric.
        slope: what a Hellinger distance of 1 from the nearest run adds to it.
        quantile: how many typical errors make an interval.
        coverage: share of held-out runs inside the intervals of the other folds, by level; NaN
            where there is one fold only.
        reach: distance beyond which errors grow with its square; files of version 0.1 have none.
        lowest: smallest value that the metric can have, where there is one.
        highest: largest value that it can have, where there is one.
        beyond: half the width that holds the best tenth, by laws that had not seen it; NaN where
            none was left out.
        outer: the same for the best tenth and the outermost one, the larger.
        good: of the objective, the worst of the best tenth as measured; nothing for a metric.
        best: of the objective, the best of these; nothing for a metric.
    """

    base: Number
    slope: Number
    quantile: Number
    coverage: Mapping[float, Number] = field(default_factory=dict)
    reach: Number = field(default=math.nan, metadata=OPTIONAL)
    lowest: Number = field(default=math.nan, metadata=OPTIONAL)
    highest: Number = field(default=math.nan, metadata=OPTIONAL)
    beyond: Number = field(default=math.nan, metadata=OPTIONAL)
    outer: Number = field(default=math.nan, metadata=OPTIONAL)
    good: Number = field(default=math.nan, metadata=OPTIONAL)
    best: Number = field(default=math.nan, metadata=OPTIONAL)

    def ahead(self, objective: ArrayLike, distances: ArrayLike) -> Array:
        """Return how far predictions of the objective lie beyond what was tried, from 0 up, (n,).

        It is 0 up to the worst of the best tenth, 1 at the best one, a line between, and grows with
        the root from there on, to 2; and it is less where a run is nearer than half of `reach`, 0
        at a mixture that was trained.

        Args:
            objective: (n,) predictions of the objective, in its own direction.
            distances: (n,) from the nearest run.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (np.asarray(objective, dtype=np.float64) - self.good) / (self.best - self.good)
        near = np.clip(2 * np.asarray(distances, dtype=np.float64) / self.reach, 0.0, 1.0)
        share = np.clip(np.nan_to_num(share, posinf=1.0), 0.0, _MOST_AHEAD**2)
        return np.asarray(np.where(share > 1, np.sqrt(share), share) * np.nan_to_num(near))

    def half_width(self, distances: ArrayLike, ahead: ArrayLike = 0.0) -> Array:
        """Return half the width of the interval, (n,).

        Args:
            distances: (n,) from the nearest run.
            ahead: (n,) how far the objective lies beyond what was tried (`ahead`).
        """
        far = np.asarray(distances, dtype=np.float64)
        share = far / self.reach
        growth = np.fmax(1.0, share) ** 2
        half = self.quantile * (self.base + self.slope * far) * growth
        out = np.clip((share - _NEARLY) / (1 - _NEARLY), 0.0, 1.0)
        half = np.fmax(half, out * self.outer * growth)
        return np.asarray(np.fmax(half, np.asarray(ahead) * self.beyond))

    def interval(
        self, mean: ArrayLike, distances: ArrayLike, ahead: ArrayLike = 0.0
    ) -> tuple[Array, Array]:
        """Return the ends of the interval of one run, (n,) each.

        Args:
            mean: (n,) predictions, as the metric stands in the table.
            distances: (n,) from the nearest run.
            ahead: (n,) how far the objective lies beyond what was tried (`ahead`).
        """
        centre, half = np.asarray(mean, dtype=np.float64), self.half_width(distances, ahead)
        return self.inside(centre - half), self.inside(centre + half)

    def inside(self, values: Array) -> Array:
        """Return values moved into the bounds of the metric."""
        return np.asarray(np.fmin(np.fmax(values, self.lowest), self.highest))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Calibration:
        """Build a calibration from what `to_plain` returned."""
        numbers = {key: float(plain[key]) for key in ("base", "slope", "quantile")}
        optional = ("reach", "lowest", "highest", "beyond", "outer", "good", "best")
        numbers |= {key: float(plain[key]) for key in optional if plain.get(key) is not None}
        coverage = {
            float(level): math.nan if share is None else float(share)
            for level, share in plain["coverage"].items()
        }
        return cls(**numbers, coverage=coverage)


@dataclass(frozen=True)
class FittedMetric:
    """One metric of the swarm.

    Attributes:
        lower_is_better: its direction.
        num_runs: runs that measured it.
        objective_weight: its weight in the objective; the weights sum to 1.
        chosen: name of the law that was chosen.
        candidates: every law, by name.
        calibration: how wide the intervals of one run are.
        noise_sd: standard deviation between replicates; null where there are none.
        signal: whether held-out predictions follow the measurements beyond chance.
        signal_p_value: probability of such a rank correlation by chance.
        name: its name, the key of the entry.
    """

    lower_is_better: bool
    num_runs: Annotated[int, Field(ge=0, le=10**9)]
    objective_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    chosen: Name
    candidates: Annotated[Table[LawScores], Field(min_length=1)]
    calibration: Calibration | None = field(default=None, metadata=OPTIONAL)
    noise_sd: Number = math.nan
    signal: bool = False
    signal_p_value: Number = math.nan
    name: Name = field(default="", metadata=KEY)

    @property
    def law(self) -> LawScores:
        """The law that was chosen."""
        return self.candidates.get(self.chosen) or next(iter(self.candidates.values()))

    @property
    def unit(self) -> str:
        """`bits per byte`, or nothing where it is not known."""
        return unit_of([self.name])

    @property
    def coverage(self) -> Mapping[float, float]:
        """Share of held-out runs inside the intervals of each level."""
        return {} if self.calibration is None else self.calibration.coverage


@dataclass(frozen=True)
class Picked:
    """The pick of a law among mixtures that it has not seen, in units of the objective.

    Attributes:
        promise: what it predicts of the mixture that it thinks best.
        truth: what was measured of it.
        optimism: by how much it promised too much; below 0, too little.
        regret: how much better the best of these mixtures is.
    """

    promise: Number
    truth: Number
    optimism: Number
    regret: Number


@dataclass(frozen=True)
class BestTenth:
    """Laws judged by what they would have proposed: the best tenth of the mixtures left out.

    Attributes:
        num_mixtures: how many were left out.
        out_of: how many there are.
        laws: what each law picks among them, and `auto`, the laws that were chosen.
    """

    num_mixtures: Annotated[int, Field(ge=1, le=10**9)]
    out_of: Annotated[int, Field(ge=1, le=10**9)]
    laws: Table[Picked]

    @property
    def statement(self) -> str:
        """The pick of the chosen laws, in one sentence; nothing where they were not judged."""
        if AUTO not in self.laws:
            return ""
        pick = self.laws[AUTO]
        digits = places_for(max(abs(pick.optimism), abs(pick.regret), 1e-12))
        much = "worse" if pick.optimism > 0 else "better"
        return (
            f"Fitted without the best {self.num_mixtures} of {self.out_of} mixtures, the laws "
            f"promised {fixed(pick.promise, digits)} for the one they would pick among these, "
            f"and it measured {fixed(pick.truth, digits)} (optimism "
            f"{signed(pick.optimism, digits)}: {much} than promised); the best is better still by "
            f"{fixed(pick.regret, digits)}."
        )


@dataclass(frozen=True)
class ObjectiveEntry:
    """How well the weighted average of the metrics is predicted.

    Attributes:
        cv: scores on runs that the laws have not seen.
        train_rmse: error on the runs that they were fitted to.
        calibration: how wide the intervals of one run are.
        signal: whether the swarm holds a reliable signal.
        signal_p_value: probability of such a rank correlation by chance.
        best_tenth: what each law picks among the best mixtures, where there are enough.
    """

    cv: Scores = Scores()
    train_rmse: Number = math.nan
    calibration: Calibration | None = field(default=None, metadata=OPTIONAL)
    signal: bool = False
    signal_p_value: Number = math.nan
    best_tenth: BestTenth | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class UsedRuns:
    """The runs of the tables.

    Attributes:
        used: those that were fitted or held out.
        held_out: those that no fit has seen (`regression.n_test`).
        names: label of each run that was used.
        dropped: why each other run takes no part.
    """

    used: Annotated[Items[Name], Field(min_length=1)]
    held_out: Items[Name] = ()
    names: Table[Text] = field(default_factory=dict)
    dropped: Table[Text] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Fit(JsonRecord):
    """The content of `fit.json`.

    Attributes:
        format: version of this file.
        domains: names, in the order of mixtures.
        frozen: domains that are several columns of the ratios, with the share of each.
        metrics: every metric that was fitted, by name.
        objective: how well the objective is predicted.
        runs: which runs were used, and why others were not.
        notes: decisions of the fit, in words.
        files: start of the names of each metric's files.
        fingerprints: what the token files of each domain were known by, where the config says.
        measured_with: what each metric of the tables was computed with, as far as known.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    domains: Annotated[Items[Name], Field(min_length=1)]
    frozen: Table[Table[Number]] = field(default_factory=dict)
    metrics: Annotated[Table[FittedMetric], Field(min_length=1)]
    objective: ObjectiveEntry | None = field(default=None, metadata=OPTIONAL)
    runs: UsedRuns
    notes: Items[Text] = ()
    files: Table[Name] = field(default_factory=dict)
    fingerprints: Table[Name] = field(default_factory=dict, metadata=OPTIONAL)
    measured_with: Table[MetricIdentity] = field(default_factory=dict, metadata=OPTIONAL)

    @property
    def ordered(self) -> tuple[FittedMetric, ...]:
        """The metrics, those with the largest weight in the objective first."""
        return tuple(sorted(self.metrics.values(), key=lambda one: -one.objective_weight))

    @property
    def asked(self) -> Objective:
        """The metrics that a proposal would optimise: all of them where none has a weight."""
        plain = [
            Metric(one.name, one.lower_is_better, one.objective_weight) for one in self.ordered
        ]
        if not any(metric.weight > 0 for metric in plain):
            plain = [replace(metric, weight=1.0) for metric in plain]
        return Objective.build(plain)


def read_fit(folder: Path) -> Fit:
    """Read the `fit.json` of a fit folder.

    Raises:
        DataError: it is missing, or is not as docs/files.md says.
    """
    found = read_record(Fit, folder / "fit.json", AGAIN)
    named = {
        name: replace(
            metric,
            name=name,
            candidates={law: replace(one, name=law) for law, one in metric.candidates.items()},
        )
        for name, metric in found.metrics.items()
    }
    return replace(found, metrics=named)
