"""A fit folder as a whole: the files that the report shows, as typed values.

Only `fit.json` must be there. Without `proposal.json` (`proposer.fit_only`) there are laws and no
mixture; without `verification.json` nothing was verified yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from olmix.errors import DataError
from olmix.records.fit.columns import Columns
from olmix.records.fit.ladder import Ladder, read_ladder
from olmix.records.fit.ledger import LedgerEntry, of_objective, read_ledger
from olmix.records.fit.proposal import Proposal, read_proposal
from olmix.records.fit.scales import Scales, read_scales
from olmix.records.fit.scores import BestTenth, FittedMetric, Scores, read_fit
from olmix.records.fit.settings import FitSettings, read_fit_settings
from olmix.records.fit.tables import (
    FrontTable,
    Predictions,
    Row,
    Triangle,
    read_effects,
    read_front,
    read_predictions,
    read_responses,
    read_rows,
    read_triangle,
)
from olmix.records.fit.verification import Verification, read_verification
from olmix.records.metric import Objective
from olmix.records.metric_identity import MetricIdentity
from olmix.simplex import Array
from olmix.text.csv import Table, read_table

__all__ = ["FitFolder", "read_fit_folder"]

Found = TypeVar("Found")


@dataclass(frozen=True)
class FitFolder:
    """Everything in a fit folder that a reader wants to see.

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
        ladder: the same at several sizes, if a ladder was trained.
        verification_rows: the rows of `verification.csv`.
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
        scales: how the fit was carried to the size of the target, where there are several.
        best_tenth: what each law picks among the best mixtures, where that was asked.
        ledger: the verifications of this objective in the same study, the oldest first.
        measured_with: what each metric of the tables was computed with, as far as known.
        problems: what could not be read, in words.
    """

    folder: Path
    settings: FitSettings
    domains: tuple[str, ...]
    metrics: tuple[FittedMetric, ...]
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
    ladder: Ladder | None = None
    verification_rows: tuple[Row, ...] = ()
    evidence: Array | None = None
    responses: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    ternary: Triangle | None = None
    front: FrontTable | None = None
    frozen: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    run_facts: Mapping[str, Row] = field(default_factory=dict)
    scales: Scales | None = None
    best_tenth: BestTenth | None = None
    ledger: tuple[LedgerEntry, ...] = ()
    measured_with: Mapping[str, MetricIdentity] = field(default_factory=dict)
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
    def trained(self) -> Verification | None:
        """What mixtures measured: at the largest size of a ladder, else in the verification.

        The large run is more like the largest models than like the smallest.
        """
        return self.verification if self.ladder is None else self.ladder.rungs[-1].verification

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that were used."""
        return tuple(self.names)

    def known_facts(self, name: str) -> list[float]:
        """Return a column of `runs.csv` for the runs that have a number there."""
        cells = [self.run_facts.get(run, {}).get(name) or "" for run in self.runs]
        return [float(cell) for cell in cells if cell.replace(".", "", 1).isdigit()]

    @property
    def columns(self) -> Columns:
        """How the metrics come from what runs measure."""
        return Columns.of(self.settings, () if self.measured is None else self.measured.columns)

    @property
    def split(self) -> str:
        """The split and the seed of the fit, in words."""
        folds, seed = self.settings.regression.num_folds, self.settings.regression.seed
        words = f"{folds}-fold cross-validation" if folds is not None else "cross-validation"
        return words if seed is None else f"{words}, seed {seed}"


def read_fit_folder(folder: Path) -> FitFolder:
    """Read a fit folder.

    What the report can do without, and cannot be read, is named in `problems`.

    Raises:
        DataError: `fit.json` is missing, or a JSON file does not hold what docs/files.md says.
    """
    fit = read_fit(folder)
    settings = read_fit_settings(folder)
    proposal = read_proposal(folder) if (folder / "proposal.json").is_file() else None
    metrics = fit.ordered
    problems: list[str] = []
    tried = _Tried(problems)
    names, domains = [metric.name for metric in metrics], fit.domains
    predictions = tried(lambda: read_predictions(folder / "predictions.csv")) or {}
    if not predictions:
        problems.append("predictions.csv: holds no predictions")
    matrix = folder / "interaction_matrix.csv"
    evidence = folder / "interaction_matrix_signed_evidence.csv"
    ratios = settings.swarm.ratios
    objective = fit.asked if proposal is None else proposal.objective.asked
    ledger = tried(lambda: read_ledger(folder)) or ()
    return FitFolder(
        folder=folder,
        settings=settings,
        domains=domains,
        metrics=metrics,
        objective=objective,
        objective_scores=None if fit.objective is None else fit.objective.cv,
        stems={name: fit.files.get(name, name) for name in names},
        names={run: fit.runs.names.get(run, run) for run in fit.runs.used},
        dropped=fit.runs.dropped,
        notes=fit.notes,
        proposal=proposal,
        verification=read_verification(folder),
        ladder=read_ladder(folder),
        verification_rows=tried(lambda: read_rows(folder / "verification.csv")) or (),
        predictions=predictions,
        effects=tried(lambda: read_effects(matrix, names, domains)),
        ratios=tried(lambda: _table(ratios)),
        measured=tried(lambda: _table(settings.swarm.metrics)),
        evidence=tried(lambda: read_effects(evidence, names, domains)),
        responses=tried(lambda: read_responses(folder / "responses.csv")) or {},
        ternary=tried(lambda: read_triangle(folder / "ternary.csv")),
        front=read_front(folder),
        frozen=fit.frozen,
        run_facts=tried(lambda: _run_facts(ratios)) or {},
        scales=read_scales(folder),
        best_tenth=None if fit.objective is None else fit.objective.best_tenth,
        ledger=of_objective(ledger, objective.name, fit.measured_with),
        measured_with=fit.measured_with,
        problems=tuple(problems),
    )


class _Tried:
    """Reads what a report can do without, and notes why it could not be read."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def __call__(self, read: Callable[[], Found]) -> Found | None:
        try:
            return read()
        except DataError as error:
            self._problems.append(str(error).splitlines()[0])
            return None


def _table(path: str | None) -> Table | None:
    return None if path is None else read_table(path)


def _run_facts(ratios: str | None) -> dict[str, Row]:
    """Return the rows of the `runs.csv` that `olmix collect` writes beside the ratios, by run."""
    if ratios is None:
        return {}
    rows = read_rows(Path(ratios).with_name("runs.csv"))
    return {row.get("run", ""): row for row in rows}
