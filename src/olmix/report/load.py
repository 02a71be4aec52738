"""Reading a fit folder.

Only `fit.json` must be there. Without `proposal.json` (`proposer.fit_only`) the report shows the
laws; without `verification.json` it says that nothing was verified yet.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.report.content import (
    Content,
    Front,
    Gain,
    Law,
    Metric,
    Mix,
    Objective,
    Predictions,
    Proposal,
    Scores,
    Triangle,
    Verification,
)
from olmix.simplex import Array
from olmix.text.csv import Table, read_table
from olmix.text.files import read_json

__all__ = ["load_content"]

BITS_PER_BYTE = "bits per byte"


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
        found = raw_verification
        verification = None if found is None else _verification(found, folder)
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
        evidence=_effects(
            folder / "interaction_matrix_signed_evidence.csv", metrics, domains, problems
        ),
        responses=_responses(folder / "responses.csv"),
        ternary=_triangle(folder / "ternary.csv"),
        front=_front(folder),
        ratios=ratios,
        measured=measured,
        frozen={
            str(domain): _weights(members) for domain, members in fit.get("frozen", {}).items()
        },
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
    return Scores(
        *(_number(found.get(key)) for key in ("spearman", "pearson", "r2", "rmse", "regret"))
    )


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
            coverage={
                float(level): _number(inside)
                for level, inside in entry.get("calibration", {}).get("coverage", {}).items()
            },
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
        signs = {name: int(sign) for name, sign in raw.get("signs", {}).items()}
        return Objective(str(raw["name"]), _unit(list(weights)), lower, weights, signs)
    used = [metric for metric in metrics if metric.weight > 0] or list(metrics)
    weights = {metric.name: metric.weight or 1.0 for metric in used}
    lower = any(metric.lower_is_better for metric in used)
    signs = {metric.name: 1 if metric.lower_is_better == lower else -1 for metric in used}
    name = used[0].name
    if len(used) > 1:
        name = f"average of {'all' if len(used) == len(metrics) else len(used)} metrics"
    return Objective(name, _unit(list(weights)), lower, weights, signs)


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
        worst=bool(raw.get("worst", False)),
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


def _responses(path: Path) -> dict[str, tuple[Array, Array]]:
    by_domain: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(path):
        cells = (_cell(row, "weight"), _cell(row, "predicted"))
        by_domain.setdefault(row.get("domain") or "", []).append(cells)
    arrays = {domain: np.array(cells) for domain, cells in by_domain.items()}
    return {domain: (cells[:, 0], cells[:, 1]) for domain, cells in arrays.items()}


def _triangle(path: Path) -> Triangle | None:
    rows = _rows(path)
    if not rows:
        return None
    domains = tuple(list(rows[0])[:3])
    weights = np.array([[_cell(row, domain) for domain in domains] for row in rows])
    return Triangle(domains, weights, np.array([_cell(row, "predicted") for row in rows]))


def _front(folder: Path) -> Front | None:
    rows = _rows(folder / "pareto.csv")
    raw = _optional_json(folder / "pareto.json")
    if not rows or raw is None:
        return None
    families = tuple(raw["families"])
    return Front(
        families,
        np.array([[_cell(row, f"family:{family}") for family in families] for row in rows]),
        tuple(bool(raw["families"][family]["lower_is_better"]) for family in families),
        raw["mixtures"],
    )


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
