"""What a report is about: the files of a fit folder as typed values.

Only `fit.json` must be there. Without `proposal.json` (`proposer.fit_only`) the report shows the
laws; without `verification.json` it says that nothing was verified yet.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.io.files import read_json
from olmix.io.tables import Table, read_table
from olmix.simplex import Array

__all__ = [
    "MIXTURES",
    "Content",
    "Gain",
    "Law",
    "Metric",
    "Mix",
    "Objective",
    "Predictions",
    "Proposal",
    "Scores",
    "Verification",
    "load_content",
]

MIXTURES = ("natural", "uniform", "best_seen", "proposed")
BITS_PER_BYTE = "bits per byte"


@dataclass(frozen=True)
class Scores:
    """How well predictions follow measurements; NaN where a score is not defined."""

    spearman: float
    pearson: float
    r2: float
    rmse: float


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
    """What is optimised: one metric, or a weighted average of several."""

    name: str
    unit: str
    lower_is_better: bool
    metrics: Mapping[str, float]


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
        ratios: the mixtures of the swarm, if its table can still be read.
        measured: the metrics of the swarm, if its table can still be read.
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
    run_facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that were used."""
        return tuple(self.names)


def load_content(folder: Path) -> Content:
    """Read a fit folder.

    Raises:
        DataError: `fit.json` is missing, or a file does not hold what docs/files.md says.
    """
    fit = read_json(folder / "fit.json")
    config = _optional_json(folder / "config.json") or {}
    raw_proposal = _optional_json(folder / "proposal.json")
    raw_verification = _optional_json(folder / "verification.json")
    try:
        metrics = _metrics(fit["metrics"])
        objective = _objective(raw_proposal, metrics)
        used = [str(run) for run in fit["runs"]["used"]]
        names = fit["runs"].get("names", {})
        scores = fit.get("objective", {}).get("cv")
        stems = fit.get("files", {})
        domains = tuple(fit["domains"])
        proposal = None if raw_proposal is None else _proposal(raw_proposal)
        verification = None
        if raw_verification is not None:
            verification = _verification(raw_verification, folder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{folder}: fit.json, proposal.json or verification.json is not as docs/files.md "
            f"says: {type(error).__name__}: {error}. Run `olmix fit` again."
        ) from error
    tables = config.get("swarm", {})
    problems: list[str] = []
    ratios = _optional_table(tables.get("ratios"), problems)
    measured = _optional_table(tables.get("metrics"), problems)
    return Content(
        folder=folder,
        config=config,
        domains=domains,
        metrics=metrics,
        objective=objective,
        objective_scores=None if scores is None else _scores(scores),
        stems={metric.name: str(stems.get(metric.name, metric.name)) for metric in metrics},
        names={run: str(names.get(run, run)) for run in used},
        dropped=dict(fit["runs"].get("dropped", {})),
        notes=tuple(fit.get("notes", ())),
        proposal=proposal,
        verification=verification,
        predictions=_predictions(folder / "predictions.csv", problems),
        effects=_effects(folder / "interaction_matrix.csv", metrics, domains, problems),
        ratios=ratios,
        measured=measured,
        run_facts=_run_facts(tables.get("ratios")),
        problems=tuple(problems),
    )


def _optional_json(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _number(value: Any) -> float:
    """Return a number; what JSON writes as null is NaN."""
    return math.nan if value is None else float(value)


def _unit(metrics: Sequence[str]) -> str:
    return BITS_PER_BYTE if metrics and all(name.endswith("_bpb") for name in metrics) else ""


def _scores(raw: Mapping[str, Any] | None) -> Scores:
    found = raw or {}
    return Scores(*(_number(found.get(key)) for key in ("spearman", "pearson", "r2", "rmse")))


def _metrics(raw: Mapping[str, Mapping[str, Any]]) -> tuple[Metric, ...]:
    metrics = [
        Metric(
            name=name,
            unit=_unit([name]),
            lower_is_better=bool(entry["lower_is_better"]),
            num_runs=int(entry["num_runs"]),
            weight=float(entry["objective_weight"]),
            chosen=str(entry["chosen"]),
            laws=tuple(
                Law(
                    law,
                    _scores(both.get("cv")),
                    _scores(both.get("train")),
                    _scores(both["test"]) if both.get("test") else None,
                )
                for law, both in entry["candidates"].items()
            ),
            noise_sd=_number(entry.get("noise_sd")),
            signal=bool(entry["signal"]),
            signal_p_value=_number(entry.get("signal_p_value")),
        )
        for name, entry in raw.items()
    ]
    if not metrics or not all(metric.laws for metric in metrics):
        raise ValueError("every metric needs at least one candidate law")
    return tuple(sorted(metrics, key=lambda metric: -metric.weight))


def _objective(proposal: Mapping[str, Any] | None, metrics: Sequence[Metric]) -> Objective:
    if proposal is not None:
        raw = proposal["objective"]
        weights = {name: float(weight) for name, weight in raw["metrics"].items() if weight}
        lower = bool(raw["lower_is_better"])
        return Objective(str(raw["name"]), _unit(list(weights)), lower, weights)
    weights = {m.name: m.weight for m in metrics if m.weight}
    name = next(iter(weights)) if len(weights) == 1 else "the average of all metrics"
    return Objective(name, _unit(list(weights)), metrics[0].lower_is_better, weights)


def _gains(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, Gain]:
    keys = ("mean", "std_error", "low", "high", "probability", "p_value")
    return {name: Gain(*(_number(gain.get(key)) for key in keys)) for name, gain in raw.items()}


def _weights(raw: Mapping[str, Any]) -> dict[str, float]:
    return {str(domain): _number(weight) for domain, weight in raw.items()}


def _mix(raw: Mapping[str, Any]) -> Mix:
    predicted = raw.get("predicted") or {}
    run = raw.get("run")
    return Mix(
        _weights(raw["weights"]),
        _number(predicted.get("mean")),
        _number(predicted.get("low")),
        _number(predicted.get("high")),
        run=None if run is None else str(run),
        measured=_number(raw.get("measured")),
    )


def _proposal(raw: Mapping[str, Any]) -> Proposal:
    repetition = raw.get("repetition")
    return Proposal(
        proposer=str(raw.get("proposer", "")),
        kl_reg=_number(raw.get("kl_reg")),
        caps=_weights(raw.get("caps") or {}),
        mixtures={name: _mix(mixture) for name, mixture in raw["mixtures"].items()},
        gains=_gains(raw["gains"]),
        repetition=None if repetition is None else _weights(repetition),
        reliable=bool(raw["reliable"]),
        warnings=tuple(str(warning) for warning in raw.get("warnings", ())),
        statement=str(raw["statement"]),
    )


def _verification(raw: Mapping[str, Any], folder: Path) -> Verification:
    def pair(entry: Mapping[str, Any]) -> tuple[float, float]:
        return _number(entry["mean"]), _number(entry["std_error"])

    return Verification(
        metric=str(raw["metric"]),
        lower_is_better=bool(raw["lower_is_better"]),
        unit=str(raw.get("unit") or ""),
        seeds=tuple(int(seed) for seed in raw["seeds"]),
        values={n: tuple(map(_number, m["values"])) for n, m in raw["mixtures"].items()},
        means={name: pair(mixture) for name, mixture in raw["mixtures"].items()},
        gains=_gains(raw["gains"]),
        metrics={
            metric: {name: pair(entry) for name, entry in by_mixture.items()}
            for metric, by_mixture in raw.get("metrics", {}).items()
        },
        num_runs=int(raw["num_runs"]),
        statement=str(raw["statement"]),
        rows=_rows(folder / "verification.csv"),
    )


def _rows(path: Path) -> tuple[Mapping[str, str], ...]:
    """Return the rows of a CSV file as they are; a missing file has none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return ()
    return tuple(csv.DictReader(StringIO(text)))


def _optional_table(path: Any, problems: list[str]) -> Table | None:
    """Read a table of the swarm, or note why it cannot be read any more."""
    if path is None:
        return None
    try:
        return read_table(str(path))
    except DataError as error:
        problems.append(str(error).splitlines()[0])
        return None


def _run_facts(ratios: Any) -> dict[str, Mapping[str, str]]:
    """Return the rows of the `runs.csv` that `olmix collect` writes beside the ratios, by run."""
    if ratios is None:
        return {}
    return {row.get("run", ""): row for row in _rows(Path(str(ratios)).with_name("runs.csv"))}


def _cell(row: Mapping[str, str], *names: str) -> float:
    """Return the first of some columns that a row has, as a number; NaN for an empty cell."""
    text = next((row[name] for name in names if row.get(name)), "")
    try:
        return float(text)
    except ValueError:
        return math.nan


def _predictions(path: Path, problems: list[str]) -> dict[str, Predictions]:
    rows = _rows(path)
    if not rows:
        problems.append(f"{path.name}: there are no predictions")
    by_metric: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_metric.setdefault(row.get("metric") or "", []).append(row)
    return {
        metric: Predictions(
            tuple(row.get("run") or "" for row in group),
            np.array([_cell(row, "measured") for row in group]),
            np.array([_cell(row, "fitted") for row in group]),
            np.array([_cell(row, "held_out") for row in group]),
        )
        for metric, group in by_metric.items()
    }


def _effects(
    path: Path, metrics: Sequence[Metric], domains: Sequence[str], problems: list[str]
) -> Array | None:
    """Read the interaction matrix, whichever way round it was written."""
    rows = _rows(path)
    if not rows:
        return None
    key, *columns = list(rows[0])
    labels = [row[key] for row in rows]
    turned = set(labels) == set(domains) and not set(columns) <= set(domains)
    cells = {
        (column, row[key]) if turned else (row[key], column): _cell(row, column)
        for row in rows
        for column in columns
    }
    effects = np.array(
        [[cells.get((metric.name, domain), math.nan) for domain in domains] for metric in metrics]
    )
    if np.isfinite(effects).any():
        return effects
    problems.append(f"{path.name}: it names none of the metrics and domains of the fit")
    return None
