"""Comparing the proposal with the other mixtures, seed by seed.

Runs with the same seed share initial weights and the order of each domain's data, so the gain of
one seed is a difference in which most of the noise cancels. The standard error is that of the mean
of these differences; intervals are Student's t with (seeds - 1) degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError, MissingPackageError
from olmix.simplex import Array
from olmix.text.csv import write_table
from olmix.text.files import write_json
from olmix.verify.verification_plan import MIXTURES, VerificationPlan

__all__ = ["compare", "write_verification"]

CONFIDENCE = 0.95
_LABELS = {"natural": "natural", "uniform": "uniform", "best_seen": "the best mixture of the swarm"}


def compare(plan: VerificationPlan, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Compare the mixtures of a verification.

    Args:
        plan: the runs that were trained.
        metrics: ``{run: {metric: value}}`` of the finished runs.

    Returns:
        the content of `verification.json` (see docs/files.md).

    Raises:
        DataError: names the runs that are not finished.
    """
    missing = sorted({run for run in plan.run_of.values() if run not in metrics})
    if missing:
        raise DataError(f"{len(missing)} runs are not finished: {', '.join(missing)}")
    objective = plan.proposal["objective"]
    values = {
        mixture: np.array([_value(metrics[plan.run_of[mixture, s]], objective) for s in plan.seeds])
        for mixture in MIXTURES
    }
    sign = 1.0 if objective["lower_is_better"] else -1.0
    gains = {
        other: paired_gain(sign * (values[other] - values["proposed"]))
        for other in MIXTURES
        if other != "proposed"
    }
    mixtures = {
        name: {
            "weights": plan.proposal["mixtures"][name]["weights"],
            "values": values[name].tolist(),
            "mean": float(values[name].mean()),
            "std_error": _std_error(values[name]),
        }
        for name in MIXTURES
    }
    unit = "bits per byte" if all(n.endswith("_bpb") for n in objective["metrics"]) else ""
    result = {
        "metric": objective["name"],
        "lower_is_better": objective["lower_is_better"],
        "unit": unit,
        "seeds": list(plan.seeds),
        "mixtures": mixtures,
        "gains": gains,
        "predicted_gain": plan.proposal["gains"],
        "metrics": _all_metrics(plan, metrics),
        "num_runs": len(plan.runs),
        "group": plan.group_id,
    }
    result["statement"] = statement(gains, unit)
    return result


def _value(metrics: Mapping[str, float], objective: Mapping[str, Any]) -> float:
    """Return the objective of one run: the weighted average of its metrics."""
    weights: Mapping[str, float] = objective["metrics"]
    total = math.fsum(weights.values())
    return math.fsum(weight * metrics[name] for name, weight in weights.items() if weight) / total


def _std_error(values: Array) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def paired_gain(differences: Array) -> dict[str, float]:
    """Summarise paired differences: mean, standard error, 95% interval, t and two-sided p.

    Args:
        differences: (S,) gain of each seed; positive means that the proposal is better.
    """
    try:
        from scipy import stats
    except ImportError:
        raise MissingPackageError("scipy", "fit", "Comparing mixtures") from None
    mean, error = float(differences.mean()), _std_error(differences)
    freedom = len(differences) - 1
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    if error > 0:
        t = mean / error
        p_value = float(2 * stats.t.sf(abs(t), freedom))
    else:  # the same mixture twice, or differences without any spread
        t, p_value = (0.0, 1.0) if mean == 0 else (math.copysign(1e9, mean), 0.0)
    return {
        "mean": mean,
        "std_error": error,
        "low": mean - half,
        "high": mean + half,
        "t": t,
        "p_value": p_value,
    }


def statement(gains: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """Say in one sentence what the verification shows, and what it does not."""
    short = {"bits per byte": "BPB"}.get(unit, unit)
    parts = []
    for other, gain in gains.items():
        size = f"{abs(gain['mean']):.3f} ± {gain['std_error']:.3f} {short}".strip()
        if gain["mean"] == 0 and gain["std_error"] == 0:
            parts.append(f"the same as {_LABELS[other]}")
        elif gain["low"] > 0:
            parts.append(f"better than {_LABELS[other]} by {size}")
        elif gain["high"] < 0:
            parts.append(f"worse than {_LABELS[other]} by {size}")
        else:
            signed = f"{gain['mean']:+.3f} ± {gain['std_error']:.3f} {short}".strip()
            parts.append(f"not distinguishable from {_LABELS[other]} ({signed})")
    return "The proposed mixture is " + "; ".join(parts) + "."


def _all_metrics(
    plan: VerificationPlan, metrics: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return mean and standard error of every metric for every mixture."""
    names = list(metrics[plan.runs[0].name])
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        result[name] = {}
        for mixture in MIXTURES:
            values = np.array([metrics[plan.run_of[mixture, s]][name] for s in plan.seeds])
            result[name][mixture] = {"mean": float(values.mean()), "std_error": _std_error(values)}
    return result


def write_verification(
    fit_folder: Path,
    plan: VerificationPlan,
    metrics: Mapping[str, Mapping[str, float]],
    result: Mapping[str, Any],
) -> None:
    """Write `verification.json`, and every run in `verification.csv`."""
    rows: Sequence[tuple[str, int]] = [(m, s) for m in MIXTURES for s in plan.seeds]
    columns: dict[str, list[Any]] = {
        "mixture": [mixture for mixture, _ in rows],
        "seed": [seed for _, seed in rows],
    }
    for name in result["metrics"]:
        columns[name] = [metrics[plan.run_of[row]][name] for row in rows]
    write_table(fit_folder / "verification.csv", [plan.run_of[row] for row in rows], columns)
    write_json(fit_folder / "verification.json", result)
