"""What a fit found, as plain values: the content of the files of a fit folder (docs/files.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmix.config import FitConfig
from olmix.fit.crossval import SIGNAL_LEVEL, MetricFit, Scores
from olmix.fit.evidence.proposals import JudgedProposal
from olmix.fit.propose.references import nearest_run_distance
from olmix.fit.swarm import Swarm
from olmix.fit.swarm_fit import SwarmFit
from olmix.fit.uncertainty import Estimate, Gain, estimate, gain
from olmix.mixture import repetition_factors
from olmix.simplex import Array

__all__ = [
    "FitResult",
    "fit_summary",
    "launch_mix",
    "law_label",
    "predicted_performance",
    "prediction_columns",
    "proposal_summary",
]


@dataclass(frozen=True)
class FitResult:
    """Where a fit lies and what it found.

    Attributes:
        folder: the fit folder, named by the hash of config and data.
        reused: whether the folder was there, complete, and nothing was fitted.
        fit: content of `fit.json`.
        proposal: content of `proposal.json`; None with `proposer.fit_only`.
        seconds: time that fitting took, 0 if reused.
    """

    folder: Path
    reused: bool
    fit: dict[str, Any]
    proposal: dict[str, Any] | None
    seconds: float


def law_label(swarm: Swarm, fits: Sequence[MetricFit]) -> str:
    """Return the law behind the objective, `auto` where its metrics use several."""
    used = {
        fitted.chosen
        for fitted, weight in zip(fits, swarm.objective_weights, strict=True)
        if weight > 0
    }
    return used.pop() if len(used) == 1 else "auto"


def fit_summary(fit: SwarmFit) -> dict[str, Any]:
    """Return the content of `fit.json`."""
    swarm, fits, objective = fit.swarm, fit.fits, fit.objective
    metrics = {}
    for index, fitted in enumerate(fits):
        measured = swarm.values[:, index]
        metrics[fitted.name] = {
            "lower_is_better": swarm.lower_is_better[index],
            "num_runs": int(np.isfinite(measured).sum()),
            "objective_weight": float(swarm.objective_weights[index]),
            "chosen": fitted.chosen,
            "candidates": {
                name: _scores_of(candidate.cv, candidate.train, candidate.test, candidate.cv_loss)
                for name, candidate in fitted.candidates.items()
            },
            "calibration": fitted.calibration.to_plain(),
            "noise_sd": fitted.noise_sd,
            "signal": fitted.signal,
            "signal_p_value": fitted.signal_p_value,
        }
    return {
        "format": 1,
        "domains": list(swarm.domains),
        "frozen": {} if swarm.frozen is None else swarm.frozen.groups,
        "metrics": metrics,
        "objective": {
            "cv": asdict(objective.cv),
            "train_rmse": float(np.sqrt(objective.train_mse)),
            "calibration": objective.calibration.to_plain(),
            "signal": objective.p_value < SIGNAL_LEVEL,
            "signal_p_value": objective.p_value,
        },
        "runs": {
            "used": list(swarm.runs),
            "held_out": [r for r, out in zip(swarm.runs, swarm.held_out, strict=True) if out],
            "names": dict(zip(swarm.runs, swarm.names, strict=True)),
            "dropped": dict(sorted(swarm.dropped.items())),
        },
        "notes": [*swarm.notes, *_choice_notes(swarm, fits)],
    }


def _scores_of(cv: Scores, train: Scores, test: Scores | None, loss: float) -> dict[str, Any]:
    plain: dict[str, Any] = {"cv": asdict(cv), "train": asdict(train), "cv_loss": loss}
    return plain if test is None else {**plain, "test": asdict(test)}


def _choice_notes(swarm: Swarm, fits: Sequence[MetricFit]) -> list[str]:
    """Say which law was chosen for each metric, and where there is nothing to see."""
    notes = []
    for index, fitted in enumerate(fits):
        best = fitted.best
        others = [name for name in fitted.candidates if name != fitted.chosen]
        compared = "".join(f", {name} {fitted.candidates[name].cv.rmse:.4g}" for name in others)
        notes.append(
            f"{fitted.name}: {fitted.chosen} (held-out RMSE {best.cv.rmse:.4g}{compared}; "
            f"held-out rank correlation {best.cv.spearman:.2f})."
        )
        notes += [
            f"{fitted.name}: {law} was left out: a run that it had not seen is {why}."
            for law, why in fitted.refused.items()
        ]
        if not fitted.signal:
            notes.append(
                f"{fitted.name}: no reliable signal: the held-out rank correlation is not "
                f"distinguishable from 0 (p = {fitted.signal_p_value:.2f})."
            )
        measured = swarm.values[:, index]
        spread = float(np.nanstd(measured))
        if fitted.noise_sd is not None and fitted.noise_sd >= spread:
            notes.append(
                f"{fitted.name}: runs of one mixture differ by {fitted.noise_sd:.3g}, as much as "
                f"different mixtures do ({spread:.3g}): the mixture hardly matters to it."
            )
    return notes


def prediction_columns(
    swarm: Swarm, fits: Sequence[MetricFit], folds: NDArray[np.int64]
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return runs and columns of `predictions.csv`: a row per run and metric that was measured."""
    runs: list[str] = []
    columns: dict[str, list[Any]] = {
        key: [] for key in ("metric", "law", "measured", "fitted", "held_out", "fold")
    }
    for index, fitted in enumerate(fits):
        sign = float(swarm.signs[index])
        own = sign * fitted.best.law.predict(swarm.unique_mixtures)
        for row, run in enumerate(swarm.runs):
            value, group = float(swarm.measured[row, index]), swarm.group[row]
            if not np.isfinite(value):
                continue
            out = bool(swarm.held_out[row])
            held = own[group] if out else sign * fitted.best.cv_predictions[group]
            cells = (fitted.name, fitted.chosen, value, float(own[group]), float(held))
            runs.append(run)
            for key, cell in zip(
                columns, (*cells, "test" if out else int(folds[group])), strict=True
            ):
                columns[key].append(cell)
    return runs, columns


def _turn(value: float, sign: float) -> float:
    """Return a value in the direction of the table; adding 0 keeps -0 out of files."""
    return sign * value + 0.0


def _estimate_to_plain(found: Estimate, sign: float) -> dict[str, float]:
    ends = sorted((_turn(found.low, sign), _turn(found.high, sign)))
    return {"mean": _turn(found.mean, sign), "low": ends[0], "high": ends[1]}


def objective_name(swarm: Swarm) -> str:
    """Return what the objective is called: the metric, or the average of several."""
    used = [name for name, w in zip(swarm.metrics, swarm.objective_weights, strict=True) if w > 0]
    if len(used) == 1:
        return used[0]
    if len(used) == len(swarm.metrics):
        return "average of all metrics"
    return f"average of {len(used)} metrics"


def proposal_summary(fit: SwarmFit, judged: JudgedProposal) -> dict[str, Any]:
    """Return the content of `proposal.json`."""
    config, swarm, fits = fit.asked, fit.swarm, fit.fits
    proposal, boot = judged.found, judged.boot
    used = swarm.objective_weights > 0
    sign = swarm.objective_sign
    names = list(judged.mixtures)
    gains = {
        name: gain(boot, len(names) - 1, index)
        for index, name in enumerate(names)
        if name != "proposed"
    }
    reliable = boot.fit.p_value < SIGNAL_LEVEL
    distance, usual = nearest_run_distance(swarm, proposal.mixture)
    return {
        "objective": {
            "name": objective_name(swarm),
            "lower_is_better": sign > 0,
            "metrics": {
                name: float(weight)
                for name, weight in zip(swarm.metrics, swarm.objective_weights, strict=True)
                if weight > 0
            },
            "signs": {
                name: int(sign * own)
                for name, own, use in zip(swarm.metrics, swarm.signs, used, strict=True)
                if use
            },
            "law": law_label(swarm, fits),
            "cv": asdict(boot.fit.cv),
            "signal_p_value": boot.fit.p_value,
        },
        "proposer": proposal.proposer,
        "kl_reg": proposal.kl_reg,
        "optimality_gap": proposal.gap,
        "caps": swarm.named(judged.feasible.caps),
        "fixed_weight": dict(config.filtering.fixed_weight),
        "floors": {
            floor.name: floor.bound * float(swarm.signs[swarm.metrics.index(floor.name)])
            for floor in proposal.objective.floors
        },
        "mixtures": _mixtures_to_plain(swarm, judged, sign),
        "gains": {name: asdict(found) for name, found in gains.items()},
        "repetition": _repetition(config, swarm, proposal.mixture),
        "distance": {"nearest_run": distance, "usual": usual},
        "worst": config.proposer.make_worst_mix,
        "reliable": reliable,
        "warnings": [*_signal_warnings(swarm, fits, reliable), *proposal.warnings],
        "statement": statement(config, swarm, gains, reliable),
    }


def _mixtures_to_plain(swarm: Swarm, judged: JudgedProposal, sign: float) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: {
            "weights": swarm.named(mixture),
            "predicted": _estimate_to_plain(estimate(judged.boot, index), sign),
        }
        for index, (name, mixture) in enumerate(judged.mixtures.items())
    }
    measured = judged.references.best_measured
    plain["best_seen"]["run"] = judged.references.best_run
    plain["best_seen"]["measured"] = None if measured is None else _turn(measured, sign)
    return plain


def _repetition(config: FitConfig, swarm: Swarm, mixture: Array) -> dict[str, float] | None:
    """Return the passes over each leaf's tokens in the large run.

    Args:
        config: the config as it was given, with the token counts of the leaves.
        swarm: the runs.
        mixture: (D,) weights.
    """
    tokens = config.constraints.target_tokens
    if tokens is None:
        return None
    passes = swarm.expand(mixture) * tokens / config.priors.counts(swarm.leaves)
    return dict(zip(swarm.leaves, passes.tolist(), strict=True))


def _signal_warnings(swarm: Swarm, fits: Sequence[MetricFit], reliable: bool) -> list[str]:
    if not reliable:
        return []
    silent = [
        fitted.name
        for fitted, weight in zip(fits, swarm.objective_weights, strict=True)
        if weight > 0 and not fitted.signal
    ]
    if not silent:
        return []
    return [
        f"The swarm holds no reliable signal about {', '.join(silent)}, which the average counts."
    ]


def statement(config: FitConfig, swarm: Swarm, gains: Mapping[str, Gain], reliable: bool) -> str:
    """Say the result in one sentence, and no more than is known."""
    name = objective_name(swarm)
    if not reliable:
        safe = 3 * (int(swarm.live.sum()) + 1)
        runs = f"more runs (at least {max(safe, 2 * swarm.num_groups)} mixtures)"
        return (
            f"No reliable signal in this swarm: predictions of {name} for runs left out do not "
            f"rank them better than chance, so this mixture is a guess. What would help: {runs}, "
            "replicates to measure the noise, longer runs, or another metric."
        )
    if config.proposer.make_worst_mix:
        return f"This is the mixture predicted to be worst for {name}, as make_worst_mix asks."
    found = gains["natural"]
    size = f"{found.mean:+.3g} ({found.low:+.3g} to {found.high:+.3g}, 90 % interval)"
    chance = probability_text(found.probability)
    if found.low > 0:
        return (
            f"The proposed mixture is predicted to improve {name} over the natural one by {size}; "
            f"the probability that it is better is {chance}."
        )
    return (
        f"The proposed mixture is predicted to change {name} against the natural one by {size}: "
        f"the probability that it is better is {chance}, which is not certain. Verify it "
        "before use."
    )


def probability_text(probability: float) -> str:
    """Return a probability in per cent; what is not certain is never said to be."""
    if probability > 0.999:
        return "more than 99.9 %"
    if probability < 0.001:
        return "less than 0.1 %"
    digits = 1 if probability > 0.99 or probability < 0.01 else 0
    return f"{100 * probability:.{digits}f} %"


def predicted_performance(fit: SwarmFit, judged: JudgedProposal) -> dict[str, Any]:
    """Return the content of `predicted_performance.json`: every metric at each mixture."""
    rows = np.stack(list(judged.mixtures.values()))
    metrics = {}
    for index, fitted in enumerate(fit.fits):
        predicted = fit.swarm.signs[index] * fitted.best.law.predict(rows)
        metrics[fitted.name] = {
            "predicted": float(predicted[-1]),
            "cv_rmse": fitted.best.cv.rmse,
            "law": fitted.chosen,
            "mixtures": {
                name: float(value) for name, value in zip(judged.mixtures, predicted, strict=True)
            },
        }
    return {"objective": objective_name(fit.swarm), "metrics": metrics}


def launch_mix(config: FitConfig, swarm: Swarm, mixture: Array) -> dict[str, Any]:
    """Return the `mix:` section of a launch config, with the passes that the target run takes.

    Args:
        config: the config as it was given, with the token counts of the leaves.
        swarm: the runs.
        mixture: (D,) weights.
    """
    tokens, weights = config.constraints.target_tokens, swarm.expand(mixture)
    factors = np.ones(len(weights))
    if tokens is not None:
        factors = repetition_factors(weights, tokens, config.priors.counts(swarm.leaves))
    return {
        name: {"weight": float(weight), "repetition_factor": float(factor)}
        for name, weight, factor in zip(swarm.leaves, weights, factors, strict=True)
        if weight > 0
    }
