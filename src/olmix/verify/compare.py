"""Comparing the proposal with the other mixtures, seed by seed.

Runs with the same seed share initial weights and the order of each domain's data, so the gain of
one seed is a difference in which most of the noise cancels. The standard error is that of the mean
of these differences; intervals are Student's t with (seeds - 1) degrees of freedom.

What is compared is the objective of the fit itself (`olmix.records.metric.Objective`): with its
directions, its weights and its families.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from olmix.errors import DataError, needs
from olmix.plotting import mixture_label
from olmix.records.fit.scores import LEVEL
from olmix.records.fit.settings import named_from
from olmix.records.fit.verification import MeanAndError, MeasuredGain, MeasuredMix, Verification
from olmix.records.metric import Objective
from olmix.simplex import Array
from olmix.text.numbers import counted, gain_of, with_error
from olmix.verify.verification_plan import VerificationPlan

__all__ = ["compare"]


def compare(plan: VerificationPlan, metrics: Mapping[str, Mapping[str, float]]) -> Verification:
    """Compare the mixtures of a verification.

    Args:
        plan: the runs that were trained.
        metrics: ``{run: {metric: value}}`` of the finished runs.

    Raises:
        DataError: names the runs that are not finished, and what the objective needs and a run
            did not measure.
    """
    missing = sorted({run for run in plan.run_of.values() if run not in metrics})
    if missing:
        raise DataError(f"not finished ({counted(len(missing), 'run')}): {', '.join(missing)}")
    metrics = {run: _finite(found) for run, found in metrics.items()}
    objective = plan.objective
    value_of = {
        run: plan.columns.value(objective, found, f"run {run}") for run, found in metrics.items()
    }
    values = {
        mixture: np.array([value_of[plan.run_of[mixture, seed]] for seed in plan.seeds])
        for mixture in plan.mixtures
    }
    gains = {
        other: paired_gain(objective.sign * (values[other] - values["proposed"]))
        for other in plan.mixtures
        if other != "proposed"
    }
    return Verification(
        metric=objective.name,
        lower_is_better=objective.lower_is_better,
        unit=objective.unit,
        level=LEVEL,
        seeds=plan.seeds,
        mixtures={
            name: MeasuredMix(
                plan.proposal.weights(name),
                tuple(values[name].tolist()),
                float(values[name].mean()),
                _std_error(values[name]),
            )
            for name in plan.mixtures
        },
        gains=gains,
        predicted_gain={
            name: gain for name, gain in plan.proposal.gains.items() if name in plan.mixtures
        },
        metrics=_all_metrics(plan, metrics),
        num_runs=len(plan.runs),
        group=plan.group_id,
        statement=statement(named_from(plan.start, gains), objective),
    )


def _finite(found: Mapping[str, float]) -> dict[str, float]:
    """Return what a run measured, NaN where that is no finite number."""
    return {name: value if math.isfinite(value) else math.nan for name, value in found.items()}


def _std_error(values: Array) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def paired_gain(differences: Array) -> MeasuredGain:
    """Summarise paired differences: mean, standard error, interval, t and two-sided p.

    Args:
        differences: (S,) gain of each seed; positive means that the proposal is better.
    """
    with needs("fit", "Comparing mixtures"):
        from scipy import stats
    mean, error = float(differences.mean()), _std_error(differences)
    freedom = len(differences) - 1
    half = float(stats.t.ppf(0.5 + LEVEL / 2, freedom)) * error
    if error == 0:  # the same mixture twice, or differences without any spread
        t, p_value = (0.0, 1.0) if mean == 0 else (math.copysign(1e9, mean), 0.0)
    else:
        t = mean / error
        p_value = float(2 * stats.t.sf(abs(t), freedom))
    return MeasuredGain(mean, error, mean - half, mean + half, t, p_value)


def statement(gains: Mapping[str, MeasuredGain], objective: Objective) -> str:
    """Return in one sentence what the verification shows, and what it does not."""
    parts: list[str] = []
    in_full = True
    for other, gain in gains.items():
        over = mixture_label(other)
        if not math.isfinite(gain.mean):
            parts.append(f"not comparable with {over}, since a run has no finite value")
        elif gain.mean == 0 and gain.std_error == 0:
            parts.append(f"the same as {over}")
        elif gain.low > 0:
            size = with_error(gain.mean, gain.std_error)
            if in_full:
                size = f"a {gain_of(size, objective.unit, objective.better)}"
                in_full = False
            parts.append(f"better than {over} by {size}")
        elif gain.high < 0:
            size = with_error(-gain.mean, gain.std_error)
            parts.append(f"worse than {over} by {size} {objective.unit}".rstrip())
        else:
            size = with_error(gain.mean, gain.std_error, sign=True)
            parts.append(f"not distinguishable from {over} (gain of {size})")
    return "The proposed mixture is " + "; ".join(parts) + "."


def _all_metrics(
    plan: VerificationPlan, metrics: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, MeanAndError]]:
    """Return mean and standard error of every metric that some run measured, for every mixture.

    They are not known where one of the mixture's runs did not measure it.
    """
    names = dict.fromkeys(name for run in plan.runs for name in metrics[run.name])
    found: dict[str, dict[str, MeanAndError]] = {}
    for name in names:
        found[name] = {}
        for mixture in plan.mixtures:
            runs = [metrics[plan.run_of[mixture, seed]] for seed in plan.seeds]
            values = np.array([run.get(name, math.nan) for run in runs])
            found[name][mixture] = MeanAndError(float(values.mean()), _std_error(values))
    return found
