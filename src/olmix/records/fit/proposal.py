"""`proposal.json` and `predicted_performance.json`: the mixture found, and what it gains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from olmix.errors import DataError
from olmix.records.fit.scores import Scores
from olmix.records.metric import Objective
from olmix.records.typed_json import (
    OPTIONAL,
    Items,
    JsonRecord,
    Name,
    Number,
    Table,
    Text,
    read_record,
)

__all__ = [
    "EDGE",
    "MIXTURES",
    "VERIFIED",
    "VERIFYING",
    "AnotherRound",
    "Distance",
    "Gain",
    "Mix",
    "PredictedAverage",
    "PredictedGain",
    "PredictedMetric",
    "PredictedPerformance",
    "PredictedValue",
    "Proposal",
    "ProposedObjective",
    "read_proposal",
]

MIXTURES = ("natural", "uniform", "unimax", "best_seen", "proposed")
"""Mixtures in the order in which they are shown."""
VERIFIED = ("natural", "uniform", "best_seen", "proposed")
"""Those that `olmix verify` trains."""
VERIFYING = 5 * len(VERIFIED)
"""Runs of a verification: five seeds of each mixture."""
EDGE = 1.5
"""Times the usual distance between runs up to which a mixture is at the edge of what was tried."""
_BEST_SEEN = "best_seen"
_LARGEST_WEIGHT = 1.001


def _weigh(metrics: Mapping[str, float]) -> Mapping[str, float]:
    if not any(metrics.values()):
        raise ValueError("a metric with a weight above 0 is needed")
    return metrics


def _inside(weight: float) -> float:
    if weight < 0 or weight > _LARGEST_WEIGHT:
        raise ValueError("a weight between 0 and 1 is needed")
    return weight


Weights = Table[Annotated[Number, AfterValidator(_inside)]]


@dataclass(frozen=True)
class Gain:
    """A gain of the proposal over another mixture; positive is better.

    Attributes:
        mean: the gain, in units of the objective.
        std_error: its standard error.
        low: lower end of its interval.
        high: upper end of its interval.
    """

    mean: Number
    std_error: Number = math.nan
    low: Number = math.nan
    high: Number = math.nan


@dataclass(frozen=True)
class PredictedGain(Gain):
    """A gain that laws predict, with its 90 % interval.

    Attributes:
        probability: that the gain is above 0.
    """

    probability: Number = math.nan


@dataclass(frozen=True)
class PredictedValue:
    """A predicted value with its 90 % interval.

    Attributes:
        mean: the prediction, in the direction of the table.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    mean: Number = math.nan
    low: Number = math.nan
    high: Number = math.nan


@dataclass(frozen=True)
class Mix:
    """One mixture.

    Attributes:
        weights: share of each column of the ratios.
        predicted: the objective there.
        run: the run of the swarm that had it; of the best one seen only, null where no run was
            allowed.
        measured: the objective of that run.
    """

    weights: Weights
    predicted: PredictedValue = PredictedValue()
    run: Name | None = None
    measured: Number = math.nan


@dataclass(frozen=True)
class ProposedObjective:
    """The objective of the proposal, as it stands in the file.

    Attributes:
        name: its name in words.
        lower_is_better: its direction.
        metrics: weight of each metric.
        signs: -1 for a metric whose direction is the other one, else 1.
        law: the law behind it; `auto` where its metrics use several.
        cv: scores of its prediction on runs that the laws have not seen.
        signal_p_value: probability of such a rank correlation by chance.
    """

    name: Text
    lower_is_better: bool
    metrics: Annotated[
        Table[Annotated[float, Field(ge=0, allow_inf_nan=False)]], AfterValidator(_weigh)
    ]
    signs: Table[int] = field(default_factory=dict)
    law: Name = field(default="", metadata=OPTIONAL)
    cv: Scores | None = field(default=None, metadata=OPTIONAL)
    signal_p_value: Number = field(default=math.nan, metadata=OPTIONAL)

    @property
    def asked(self) -> Objective:
        """The objective itself: what computes its value, its gain and its unit."""
        plain = {"name": self.name, "lower_is_better": self.lower_is_better}
        return Objective.from_plain({**plain, "metrics": self.metrics, "signs": self.signs})


@dataclass(frozen=True)
class Distance:
    """How far the proposal lies from what was tried, as Hellinger distances.

    Attributes:
        nearest_run: from the nearest run.
        usual: within which 95 % of the runs have another one.
    """

    nearest_run: Number
    usual: Number

    @property
    def place(self) -> str:
        """`within`, `at the edge of` or `outside`: where it lies among what was tried."""
        if self.nearest_run <= self.usual:
            return "within"
        return "at the edge of" if self.nearest_run <= EDGE * self.usual else "outside"


@dataclass(frozen=True)
class AnotherRound:
    """The worth of another round of runs.

    Attributes:
        runs: how many runs.
        gain: what the proposal gains by them in expectation, in units of the objective.
        most: what it would gain if the laws knew everything.
        noise: standard deviation of one run, between replicates or by standard errors; null where
            neither is known.
        worth: whether the gain is above the noise; not where that is unknown.
        statement: the same in words.
    """

    runs: Annotated[int, Field(ge=1, le=10**9)]
    gain: Number
    most: Number
    noise: Number
    worth: bool
    statement: Text


@dataclass(frozen=True, kw_only=True)
class Proposal(JsonRecord):
    """The content of `proposal.json`.

    Attributes:
        format: version of this file.
        objective: what was optimised.
        proposer: how the mixture was found.
        kl_reg: weight of the divergence from the prior, in units of the swarm's spread.
        kl_weight: the same in the unit of the average, as `kl_unit: raw` takes it.
        optimality_gap: what a better mixture could gain at most, to first order; 0 with floors.
        caps: largest weight allowed of each column of the ratios.
        fixed_weight: weights that were given.
        floors: worst prediction that is allowed of a metric.
        mixtures: every mixture that is compared, by name: `natural`, `uniform`, `unimax` (with a
            token budget), `best_seen`, `proposed`.
        gains: gain of the proposal over each other one; positive is better.
        repetition: passes over the tokens of each column; null without a token budget.
        distance: how far the proposal lies from the runs.
        worst: whether the worst mixture was asked for (`proposer.make_worst_mix`).
        reliable: false where the swarm holds no reliable signal.
        another_round: what more runs would be worth; files of earlier releases have none.
        warnings: what a reader must know, as sentences.
        statement: the result in one sentence.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    objective: ProposedObjective
    proposer: Name = ""
    kl_reg: Number = math.nan
    kl_weight: Number = field(default=math.nan, metadata=OPTIONAL)
    optimality_gap: Number = math.nan
    caps: Weights = field(default_factory=dict)
    fixed_weight: Table[Number] = field(default_factory=dict)
    floors: Table[Number] = field(default_factory=dict)
    mixtures: Table[Mix]
    gains: Table[PredictedGain]
    repetition: Table[Number] | None = None
    distance: Distance | None = field(default=None, metadata=OPTIONAL)
    worst: bool = False
    reliable: bool
    another_round: AnotherRound | None = field(default=None, metadata=OPTIONAL)
    warnings: Items[Text] = ()
    statement: Text

    def weights(self, name: str) -> Mapping[str, float]:
        """Return the weights of a mixture.

        Raises:
            DataError: there is no such mixture, or a weight of it is not known.
        """
        if name not in self.mixtures:
            raise DataError(
                f"proposal.json: mixtures: there is no {name}; found {', '.join(self.mixtures)}"
            )
        weights = self.mixtures[name].weights
        unknown = [domain for domain, weight in weights.items() if math.isnan(weight)]
        if unknown:
            raise DataError(
                f"proposal.json: mixtures.{name}.weights: not known for {', '.join(unknown)}"
            )
        return weights

    def to_plain(self) -> dict[str, Any]:
        """Return the content of the file."""
        plain = super().to_plain()
        for name, mixture in plain["mixtures"].items():
            if name != _BEST_SEEN:
                del mixture["run"], mixture["measured"]
        return plain


def read_proposal(folder: Path) -> Proposal:
    """Read the `proposal.json` of a fit folder.

    Raises:
        DataError: there is none, or it is not as docs/files.md says.
    """
    file = folder / "proposal.json"
    if not file.is_file():
        raise DataError(
            f"{folder}: holds no proposal.json. Run `olmix fit` without proposer.fit_only."
        )
    return read_record(Proposal, file, "Run `olmix fit` again.")


@dataclass(frozen=True)
class PredictedMetric:
    """One metric at every mixture, an entry of `predicted_performance.json`.

    Attributes:
        predicted: its value at the proposal.
        cv_rmse: error of its law on runs that it has not seen.
        law: the law that was chosen.
        mixtures: its value at each mixture.
    """

    predicted: Number
    cv_rmse: Number
    law: Name
    mixtures: Table[Number]


@dataclass(frozen=True)
class PredictedAverage:
    """The average that is optimised, at every mixture.

    Attributes:
        predicted: its value at the proposal.
        mixtures: its value at each mixture.
    """

    predicted: Number
    mixtures: Table[Number]


@dataclass(frozen=True, kw_only=True)
class PredictedPerformance:
    """The content of `predicted_performance.json`.

    Attributes:
        format: version of this file.
        objective: what was optimised, in words.
        average: the weighted average of the metrics that was optimised; as signed in `objective`.
        metrics: every metric at every mixture.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    objective: Text
    average: PredictedAverage | None = None
    metrics: Table[PredictedMetric]
