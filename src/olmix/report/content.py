"""What a report is about: the files of a fit folder as typed values; `load.py` reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from olmix.simplex import Array
from olmix.text.csv import Table

__all__ = [
    "MIXTURES",
    "Content",
    "Front",
    "Gain",
    "Law",
    "Metric",
    "Mix",
    "Objective",
    "Predictions",
    "Proposal",
    "Scores",
    "Triangle",
    "Verification",
]

MIXTURES = ("natural", "uniform", "unimax", "best_seen", "proposed")


@dataclass(frozen=True)
class Scores:
    """How well predictions follow measurements; NaN where a score is not defined."""

    spearman: float
    pearson: float
    r2: float
    rmse: float
    regret: float = math.nan


@dataclass(frozen=True)
class Law:
    """One candidate law for one metric.

    Attributes:
        name: its name.
        cv: scores on held-out runs.
        train: scores on the runs it was fitted to.
        test: scores on runs that no fit has seen, where there are any.
    """

    name: str
    cv: Scores
    train: Scores
    test: Scores | None


@dataclass(frozen=True)
class Metric:
    """One metric of the swarm.

    Attributes:
        name: its name.
        unit: `bits per byte`, or nothing where it is not known.
        lower_is_better: its direction.
        num_runs: runs that measured it.
        weight: its weight in the objective.
        chosen: name of the law that was chosen.
        laws: every candidate.
        noise_sd: standard deviation between replicates; NaN where there are none.
        signal: whether held-out predictions follow the measurements beyond chance.
        signal_p_value: probability of such a rank correlation by chance.
        coverage: share of held-out runs inside the intervals of each level.
    """

    name: str
    unit: str
    lower_is_better: bool
    num_runs: int
    weight: float
    chosen: str
    laws: tuple[Law, ...]
    noise_sd: float
    signal: bool
    signal_p_value: float
    coverage: Mapping[float, float] = field(default_factory=dict)

    @property
    def law(self) -> Law:
        """The law that was chosen."""
        return next((law for law in self.laws if law.name == self.chosen), self.laws[0])


@dataclass(frozen=True)
class Gain:
    """A gain of the proposal over another mixture, with its interval; positive is better."""

    mean: float
    std_error: float
    low: float
    high: float
    probability: float
    p_value: float


@dataclass(frozen=True)
class Mix:
    """One mixture.

    Attributes:
        weights: share of each domain.
        mean: predicted objective.
        low: lower end of its 90% interval.
        high: upper end of its 90% interval.
        run: the run that had it; only the best one seen has a run.
        measured: the objective of that run.
    """

    weights: Mapping[str, float]
    mean: float
    low: float
    high: float
    run: str | None
    measured: float


@dataclass(frozen=True)
class Objective:
    """What is optimised: one metric, or a weighted average of several.

    Attributes:
        name: its name.
        unit: `bits per byte`, or nothing where it is not known.
        lower_is_better: its direction.
        metrics: weight of each metric in it.
        signs: -1 for a metric whose direction is the other one, else 1.
    """

    name: str
    unit: str
    lower_is_better: bool
    metrics: Mapping[str, float]
    signs: Mapping[str, int] = field(default_factory=dict)

    def average(self, values: Mapping[str, Array]) -> Array:
        """Return the objective from the values of its metrics, arrays of one shape."""
        total = math.fsum(self.metrics.values())
        parts = [
            weight / total * self.signs.get(name, 1) * values[name]
            for name, weight in self.metrics.items()
        ]
        return np.asarray(np.sum(parts, axis=0))


@dataclass(frozen=True)
class Proposal:
    """The content of `proposal.json`."""

    proposer: str
    kl_reg: float
    caps: Mapping[str, float]
    mixtures: Mapping[str, Mix]
    gains: Mapping[str, Gain]
    repetition: Mapping[str, float] | None
    reliable: bool
    warnings: tuple[str, ...]
    statement: str
    worst: bool = False
    """Whether the worst mixture was asked for (`proposer.make_worst_mix`)."""


@dataclass(frozen=True)
class Verification:
    """The content of `verification.json`, and the rows of `verification.csv`."""

    metric: str
    lower_is_better: bool
    unit: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    means: Mapping[str, tuple[float, float]]
    gains: Mapping[str, Gain]
    metrics: Mapping[str, Mapping[str, tuple[float, float]]]
    num_runs: int
    statement: str
    rows: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Predictions:
    """Predictions of one metric: arrays of shape (R,) in the order of `runs`; NaN where missing."""

    runs: tuple[str, ...]
    measured: Array
    fitted: Array
    held_out: Array


@dataclass(frozen=True)
class Triangle:
    """The objective over mixtures of three domains: arrays (n, 3) and (n,)."""

    domains: tuple[str, ...]
    weights: Array
    values: Array


@dataclass(frozen=True)
class Front:
    """The Pareto front over families.

    Attributes:
        families: names.
        values: (n, F) predicted average of each family.
        lower_is_better: direction of each family.
        marked: average of each family at named mixtures.
    """

    families: tuple[str, ...]
    values: Array
    lower_is_better: tuple[bool, ...]
    marked: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Content:
    """Everything that a report shows.

    Attributes:
        folder: the fit folder.
        config: content of `config.json`.
        domains: names of the domains.
        metrics: the metrics, those of the objective first.
        objective: what is optimised.
        objective_scores: scores of its held-out predictions, where they were written.
        stems: start of the names of each metric's files.
        names: label of each run that was used.
        dropped: why each run that was not used was left out.
        notes: decisions of the fit, in words.
        proposal: the proposal, if one was made.
        verification: the verification, if one was done.
        predictions: by metric.
        effects: effect of each domain on each metric, (M, D) in the order of `metrics` and
            `domains`; `None` where there is no such file.
        evidence: how sure each effect is, of the same shape.
        responses: weights and predictions of the objective, by domain.
        ternary: the objective over three domains, if it was written.
        front: the Pareto front, if one was asked for.
        ratios: the mixtures of the swarm, if its table can still be read.
        measured: the metrics of the swarm, if its table can still be read.
        frozen: domains that are several columns of the ratios, with the share of each.
        run_facts: columns of `runs.csv` beside the tables, by run.
        problems: what could not be read, in words.
    """

    folder: Path
    config: Mapping[str, Any]
    domains: tuple[str, ...]
    metrics: tuple[Metric, ...]
    objective: Objective
    objective_scores: Scores | None
    stems: Mapping[str, str]
    names: Mapping[str, str]
    dropped: Mapping[str, str]
    notes: tuple[str, ...]
    proposal: Proposal | None
    verification: Verification | None
    predictions: Mapping[str, Predictions]
    effects: Array | None
    ratios: Table | None
    measured: Table | None
    evidence: Array | None = None
    responses: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    ternary: Triangle | None = None
    front: Front | None = None
    frozen: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    run_facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def leaves(self) -> tuple[str, ...]:
        """The columns of the ratios: the domains, with frozen ones apart."""
        return tuple(leaf for domain in self.domains for leaf in self.frozen.get(domain, (domain,)))

    def weights_of(self, mixture: Mapping[str, float]) -> dict[str, float]:
        """Return the weights of the domains from those of the leaves."""
        return {
            domain: math.fsum(mixture.get(leaf, 0.0) for leaf in self.frozen.get(domain, (domain,)))
            for domain in self.domains
        }

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that were used."""
        return tuple(self.names)

    @property
    def split(self) -> str:
        """The split and the seed of the fit, in words."""
        regression = self.config.get("regression", {})
        folds, seed = regression.get("num_folds"), regression.get("seed")
        words = f"{folds}-fold cross-validation" if folds is not None else "cross-validation"
        return words if seed is None else f"{words}, seed {seed}"
