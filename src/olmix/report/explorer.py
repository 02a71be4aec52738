"""The fitted laws as JSON, from which the page predicts any mixture by itself.

`explorer.js` evaluates the same formulas as the fit stage from these numbers. Mixtures that were
fitted are written once; laws that need them, Gaussian processes and nearest runs, refer to their
rows, as in `models.json`. Trees are read from LightGBM's own text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmix.errors import DataError
from olmix.plotting import mixture_label
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.models import MODELS_FILE, read_models
from olmix.records.fit.proposal import EDGE
from olmix.report.mixture_names import named
from olmix.text.numbers import percent, readable_count

__all__ = ["Explorer", "build_explorer"]

_DIGITS = 14
"""Significant digits: predictions of the page agree with those of Python to about as many."""
_MOST_BYTES = 8_000_000
_TREE_ARRAYS = ("split_feature", "threshold", "left_child", "right_child", "leaf_value")


@dataclass(frozen=True)
class ExplorerDomain:
    """A row of the sliders.

    Attributes:
        name: of the domain.
        index: its place in the mixtures of the data.
        pinned: its weight as text where it is pinned and has no slider, else nothing.
    """

    name: str
    index: int
    pinned: str


@dataclass(frozen=True)
class Explorer:
    """Data of the sliders.

    Attributes:
        data: JSON, safe inside a script element.
        domains: as in the table of domains, one slider each but for those that are pinned.
        mixtures: mixtures that sliders can be set to, as (name, label).
        metrics: names of the metrics, those of the objective first.
        objective: name of the objective where it is not one of the metrics.
        alone: the metric that is the objective, where it is one.
        passes_note: which run the repetition factors of a copied mixture are meant for.
    """

    data: str
    domains: tuple[ExplorerDomain, ...]
    mixtures: tuple[tuple[str, str], ...]
    metrics: tuple[str, ...]
    objective: str
    alone: str
    passes_note: str


def build_explorer(content: FitFolder) -> Explorer | None:
    """Return the data of the sliders, `None` where the laws cannot be read or are too large.

    Args:
        content: the fit folder.
    """
    try:
        models = read_models(content.folder / MODELS_FILE)
        data = _data(content, models)
        text = json.dumps(_rounded(data), separators=(",", ":"), allow_nan=False)
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        return None
    if len(text) > _MOST_BYTES:
        return None
    mixtures = {} if content.proposal is None else named(content, content.proposal.mixtures)
    average = len(content.objective.metrics) > 1
    return Explorer(
        # "</script>" in a name would end the element.
        data=text.replace("<", "\\u003c"),
        domains=_rows(data),
        mixtures=tuple((name, mixture_label(name)) for name in mixtures),
        metrics=tuple(metric.name for metric in content.metrics),
        objective=content.objective.name if average else "",
        alone="" if average else content.objective.metrics[0].name,
        passes_note=_passes_note(content, data["passes"]),
    )


def _data(content: FitFolder, models: Mapping[str, Any]) -> dict[str, Any]:
    domains = [str(name) for name in models["domains"]]
    larger: list[dict[str, Any]] = _larger_scales(models)
    trained = [models["mixtures"], *(scale["mixtures"] for scale in larger)]
    mixtures: list[list[float]] = [mixture for scale in trained for mixture in scale]
    rows = {tuple(mixture): row for row, mixture in enumerate(mixtures)}
    proposal, objective = content.proposal, content.objective
    presets = {} if proposal is None else named(content, proposal.mixtures)
    caps = {} if proposal is None or not proposal.caps else content.weights_of(proposal.caps)
    weights = {one.name: objective.sign * one.sign * one.weight for one in objective.metrics}
    total = sum(objective.weights.values())
    metrics = [
        {
            "name": metric.name,
            "lower": metric.lower_is_better,
            "weight": weights.get(metric.name, 0.0) / total,
            "calibration": _error(_widths(models["metrics"], larger, metric.name)),
            "law": _scaled(_law(models["metrics"][metric.name]), larger, metric.name, rows),
        }
        for metric in content.metrics
    ]
    objective_error = (larger[-1] if larger else models)["objective_calibration"]
    return {
        "domains": domains,
        "mixtures": mixtures,
        "bases": models.get("bases", []),
        "start": content.settings.start,
        "presets": {
            name: [content.weights_of(mix.weights)[domain] for domain in domains]
            for name, mix in presets.items()
        },
        "frozen": {name: dict(members) for name, members in content.frozen.items()},
        "pinned": _pinned(content, models, domains),
        "passes": _passes(content),
        "edge": EDGE,
        "caps": [1.0 if not caps else caps[domain] for domain in domains],
        "usual": None if proposal is None or proposal.distance is None else proposal.distance.usual,
        "metrics": metrics,
        "objective": {
            "name": objective.name,
            "lower": objective.lower_is_better,
            "calibration": _error(objective_error),
        },
    }


def _rows(data: Mapping[str, Any]) -> tuple[ExplorerDomain, ...]:
    """Return the domains, the largest natural share first, as the table of domains has them."""
    natural = data["presets"].get(data["start"], [0.0] * len(data["domains"]))
    order = sorted(range(len(natural)), key=lambda index: -natural[index])
    weights: list[float | None] = data["pinned"]
    return tuple(
        ExplorerDomain(data["domains"][index], index, "" if weight is None else percent(weight))
        for index in order
        for weight in [weights[index]]
    )


def _run_tokens(content: FitFolder) -> float:
    """Return the tokens of the run that a mixture is copied for; 0 where they are not known.

    They are those of the target run, or else those of the longest run of the swarm.
    """
    limits = content.settings.constraints
    if limits is not None and limits.target_tokens:
        return limits.target_tokens
    return max(content.known_facts("tokens"), default=0.0)


def _passes(content: FitFolder) -> dict[str, float]:
    """Return how many passes over its tokens a leaf of weight 1 would take."""
    tokens = _run_tokens(content)
    counts = content.settings.token_counts
    return {leaf: tokens / counts[leaf] for leaf in content.leaves if counts.get(leaf)}


def _passes_note(content: FitFolder, passes: Mapping[str, float]) -> str:
    tokens = _run_tokens(content)
    if not tokens or not passes:
        return (
            "Repetition factors are 1, because the tokens of a run or of the domains are not known."
        )
    return f"Repetition factors are those of a run of {readable_count(tokens)} tokens."


def _pinned(
    content: FitFolder, models: Mapping[str, Any], domains: Sequence[str]
) -> list[float | None]:
    """Return the weight of each domain that has one and the same everywhere, `None` for others.

    Pinned are domains with one weight in every run, of which no slope is known, and those that the
    config pins.
    """
    asked = {} if content.proposal is None else content.proposal.fixed_weight
    weights = {
        name: sum(asked[leaf] for leaf in leaves)
        for name in domains
        for leaves in [list(content.frozen.get(name, [name]))]
        if all(leaf in asked for leaf in leaves)
    }
    weights |= models.get("pinned", {})
    return [weights.get(name) for name in domains]


def _larger_scales(models: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the scales from the one above the smallest to the one that is predicted.

    Raises:
        ValueError: a metric has no interval there, so that the sliders would promise too much.
    """
    found: list[dict[str, Any]] = []
    for scale in models.get("scales", []) if "reached" in models else []:
        if models["reached"] == models["smallest"]:
            break
        found.append(scale)
        if scale["name"] == models["reached"]:
            break
    if found:
        widths = [one["calibration"]["base"] for one in found[-1]["metrics"].values()]
        if None in [*widths, found[-1]["objective_calibration"]["base"]]:
            raise ValueError("a metric has no interval at the target's scale")
    return found


def _residual(plain: Mapping[str, Any], rows: Mapping[tuple[float, ...], int]) -> dict[str, Any]:
    """Return a law that holds its points as one that refers to their rows."""
    law = dict(plain)
    if "points" in law:
        law["rows"] = [rows[tuple(point)] for point in law.pop("points")]
    return _one_law(law)


def _widths(
    metrics: Mapping[str, Any], larger: Sequence[Mapping[str, Any]], name: str
) -> Mapping[str, Any]:
    """Return the intervals of a metric at the scale that is predicted."""
    found: Mapping[str, Any] = (larger[-1]["metrics"] if larger else metrics)[name]["calibration"]
    return found


def _scaled(
    law: dict[str, Any],
    larger: Sequence[Mapping[str, Any]],
    name: str,
    rows: Mapping[tuple[float, ...], int],
) -> dict[str, Any]:
    """Return a law as the maps of larger scales carry it there: a sum, and a number beside it."""
    for scale in larger:
        one = scale["metrics"][name]
        members = [{"weight": one["slope"], "law": law}]
        if one["residual"] is not None:
            members.append({"weight": 1.0, "law": _residual(one["residual"], rows)})
        law = {"law": "stacked", "offset": one["intercept"], "members": members}
    return law


def _error(calibration: Mapping[str, Any]) -> dict[str, Any]:
    keys = (
        *("base", "slope", "quantile", "reach", "lowest", "highest"),
        *("beyond", "outer", "good", "best"),
    )
    return {key: calibration.get(key) for key in keys}


def _law(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chosen law of a metric; a stack holds its members."""
    laws, chosen = entry["laws"], entry["chosen"]
    plain: Mapping[str, Any] = laws[chosen]
    if "weights" in plain and isinstance(plain["weights"], Mapping):
        members = [
            {"weight": weight, "law": _one_law(laws[name])}
            for name, weight in plain["weights"].items()
        ]
        return {"law": "stacked", "members": members}
    if "members" in plain:
        shares = zip(plain["shares"], plain["members"], strict=True)
        members = [{"weight": share, "law": _one_law(law)} for share, law in shares]
        return {"law": "stacked", "members": members}
    return _one_law(plain)


def _one_law(plain: Mapping[str, Any]) -> dict[str, Any]:
    law = dict(plain)
    if law["law"] == "lightgbm":
        law = {"law": "lightgbm", "trees": _trees(law["model"])}
    return law


def _trees(model: str) -> list[dict[str, list[float]]]:
    """Read the trees of LightGBM's text format: splits by `<=`, leaves as negative children."""
    trees = []
    for block in model.split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        trees.append(
            {name: [float(cell) for cell in lines.get(name, "").split()] for name in _TREE_ARRAYS}
        )
    return trees


def _rounded(value: object) -> object:
    """Return a value with its numbers cut to the digits that matter."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(inner) for inner in value]
    return value
