"""The sentences of the page: the result first, and above each table what to see in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from olmix.plotting import law_label, mixture_label
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.proposal import MIXTURES, Gain
from olmix.records.fit.scales import Scales
from olmix.records.fit.scores import LEVEL
from olmix.report.metric_changes import read_performance
from olmix.report.mixture_names import named
from olmix.report.trust import headline_scores
from olmix.text.numbers import (
    count,
    counted,
    fixed,
    interval,
    listed,
    per_cent,
    points,
    significant,
    with_error,
)

__all__ = [
    "effects_reading",
    "gain_reading",
    "law_reading",
    "missed_laws",
    "mixture_reading",
    "ordered_gains",
    "round_reading",
    "scope",
    "subtitle",
    "verification_reading",
    "warnings",
]


AnyGain = TypeVar("AnyGain", bound=Gain)


def scope(content: FitFolder) -> str:
    """Return the scope of the result, and what was not tested."""
    if content.proposal is None or (content.verification is None and not content.proposal.reliable):
        return ""
    tokens = sorted(content.known_facts("tokens"))
    size = f" ({count(tokens[0])} tokens each)" if tokens else ""
    if tokens and tokens[0] != tokens[-1]:
        size = f" ({count(tokens[0])} to {count(tokens[-1])} tokens each)"
    what = "This is predicted" if content.verification is None else "This holds"
    largest = 1.0 if content.ladder is None else content.ladder.rungs[-1].scale
    if largest > 1:
        return (
            f"{what} for models of the swarm's size{size}. It was tried at up to {largest:g} times "
            "the tokens and parameters (see Larger runs), and not beyond."
        )
    if content.scales is not None and content.verification is None:
        return _scope_of_scales(content.scales)
    return (
        f"{what} for models of the swarm's size{size}. Whether it carries over to larger models "
        "or longer training was not tested."
    )


def round_reading(content: FitFolder) -> str:
    """Return whether another round is worth it, with the numbers behind it."""
    found = None if content.proposal is None else content.proposal.another_round
    if found is None:
        return ""
    unit = f" {content.objective.unit}" if content.objective.unit else ""
    return (
        f"{found.statement} Perfect laws would gain at most {significant(found.most, 2)}"
        f"{unit}. Both cover what the laws are uncertain about, but not that all of them may be "
        "wrong in the same way."
    )


def _scope_of_scales(scales: Scales) -> str:
    """Return the scope of a result that was carried from small models to larger ones."""
    if scales.order_only:
        return (
            f"This is predicted for models of the size of {scales.reached}. No runs place values "
            f"at {scales.target}: there only the ranking of mixtures is predicted, not the gain."
        )
    placed = scales.scales.get(scales.reached)
    if placed is None:
        return (
            f"This is predicted for models of the size of {scales.reached}, by runs of that size."
        )
    return (
        f"This is predicted for models of the size of {scales.reached}: runs of {scales.smallest} "
        f"give the shape of the laws, {counted(placed.num_runs, 'run')} at {scales.reached} place "
        "their values, and the intervals come from held-out runs of that size. Larger models "
        "were not tested."
    )


def ordered_gains(gains: Mapping[str, AnyGain]) -> list[tuple[str, AnyGain]]:
    """Return gains in the order in which the page shows mixtures."""
    known = [name for name in MIXTURES if name in gains]
    return [(name, gains[name]) for name in (*known, *(n for n in gains if n not in known))]


def subtitle(content: FitFolder) -> str:
    """Return what was optimised, and with how much data."""
    objective = content.objective
    direction = f"{'lower' if objective.lower_is_better else 'higher'} is better"
    if objective.mixed:
        direction += ", metrics with the other direction are subtracted"
    unit = f", {objective.unit}" if objective.unit else ""
    return (
        f"Objective: {objective.name} ({direction}{unit}). "
        f"{counted(len(content.runs), 'run')} over {counted(len(content.domains), 'domain')}, "
        f"{counted(len(content.metrics), 'metric')}."
    )


def mixture_reading(content: FitFolder) -> str:
    """Name the largest changes."""
    if content.proposal is None:
        return ""
    mixtures = content.proposal.mixtures
    if not {"natural", "proposed"} <= set(mixtures):
        return ""
    natural, proposed = mixtures["natural"].weights, mixtures["proposed"].weights
    changes = {name: proposed.get(name, 0.0) - weight for name, weight in natural.items()}
    ordered = sorted(changes.items(), key=lambda item: -abs(item[1]))
    more = [f"{name} ({points(value)})" for name, value in ordered if value >= 0.005][:3]
    less = [f"{name} ({points(value)})" for name, value in ordered if value <= -0.005][:3]
    if not more and not less:
        return f"The proposed mixture is practically the {content.settings.start} one."
    parts = [f"more {listed(more)}"] if more else []
    parts += [f"less {listed(less)}"] if less else []
    return (
        f"Against the {content.settings.start} mixture, in percentage points: {'; '.join(parts)}."
    )


def gain_reading(content: FitFolder) -> str:
    """Return the sentence that says whether the prediction held."""
    if content.proposal is None:
        return ""
    predicted = content.proposal.gains.get("natural")
    if content.verification is None or predicted is None:
        return (
            f"Predicted by the fitted laws; the {per_cent(LEVEL)} interval allows for the swarm's "
            "noise and the choice of runs. The proposal itself has not been trained yet."
        )
    measured = content.verification.gains.get("natural")
    if measured is None:
        return ""
    where = "inside"
    if not predicted.low <= measured.mean <= predicted.high:
        where = "above" if measured.mean > predicted.high else "below"
    return (
        f"The measured gain over {content.settings.start} "
        f"({with_error(measured.mean, measured.std_error)}) lies {where} the predicted interval "
        f"({interval(predicted.low, predicted.high)})."
    )


def verification_reading(content: FitFolder) -> str:
    """Count the seeds for which the proposal is better than each other mixture."""
    found = content.verification
    if found is None or "proposed" not in found.values:
        return ""
    others = (name for name in found.values if name != "proposed")
    counts = named(content, {name: found.wins_over(name) for name in others})
    parts = [
        f"{mixture_label(name)} for {wins} of {counted(seeds, 'seed')}"
        for name, (wins, seeds) in counts.items()
    ]
    if not parts:
        return ""
    return f"Trained with the same seed, the proposed mixture is better than {listed(parts)}."


def missed_laws(content: FitFolder) -> str:
    """Return the metrics that the proposal measured outside the interval of its prediction.

    The interval is that of one run there; the mean of several seeds lies outside it only where the
    law itself errs.
    """
    proposal, found = content.proposal, content.verification
    if proposal is None or found is None or proposal.distance is None or content.scales is not None:
        return ""
    predicted, missed = read_performance(content), []
    for metric in content.metrics:
        means = found.metrics.get(metric.name, {})
        if metric.calibration is None or "proposed" not in means or metric.name not in predicted:
            continue
        promised, measured = predicted[metric.name].predicted, means["proposed"].mean
        lows, highs = metric.calibration.interval([promised], [proposal.distance.nearest_run])
        if measured < lows[0] or measured > highs[0]:
            reach = interval(lows[0], highs[0], sign=False)
            missed.append(f"{metric.name} ({fixed(measured, 3)}; predicted {reach})")
    if not missed:
        return ""
    return f"Measured outside the {per_cent(LEVEL)} interval of the prediction: {listed(missed)}."


def law_reading(content: FitFolder) -> str:
    """Return how far the laws can be trusted, for the objective."""
    judged = "" if content.best_tenth is None else f" {content.best_tenth.statement}"
    return f"{_ranks(content)}{judged}".rstrip()


def _ranks(content: FitFolder) -> str:
    """Return how well the laws order and predict held-out runs."""
    metric = content.metrics[0]
    scores = headline_scores(content)
    if len(content.objective.metrics) > 1 and content.objective_scores is not None:
        average_unit = f" {content.objective.unit}" if content.objective.unit else ""
        return (
            f"{content.objective.name}: the laws together rank held-out runs with a "
            f"Spearman correlation of {fixed(scores.spearman, 2)} (1 is perfect), RMSE "
            f"{fixed(scores.rmse, 4)}{average_unit} (lower is better). Split: {content.split}."
        )
    unit = f" {metric.unit}" if metric.unit else ""
    text = (
        f"{metric.name}: the {law_label(metric.chosen)} law ranks held-out runs with a Spearman "
        f"correlation of {fixed(scores.spearman, 2)} (1 is perfect) and errs by "
        f"{fixed(scores.rmse, 4)}{unit} (RMSE, lower is better)"
    )
    if math.isfinite(metric.noise_sd) and metric.noise_sd > 0:
        text += (
            f", {fixed(scores.rmse / metric.noise_sd, 1)} times the noise between replicates "
            f"({fixed(metric.noise_sd, 4)})"
        )
    return (
        f"{text}. The law with the smallest held-out Huber loss is chosen; large errors count less "
        f"in it than in RMSE. Split: {content.split}."
    )


def effects_reading(content: FitFolder) -> str:
    """Name the domain that helps the first metric most, and the one that harms it most."""
    if content.effects is None:
        return ""
    metric = content.metrics[0]
    sign = 1.0 if metric.lower_is_better else -1.0
    known = {
        domain: float(sign * value)
        for domain, value in zip(content.domains, content.effects[0], strict=True)
        if np.isfinite(value)
    }
    if len(known) < 2:
        return ""
    best, worst = min(known, key=lambda d: known[d]), max(known, key=lambda d: known[d])
    if known[best] >= 0:
        return f"For {metric.name}, more {worst} hurts most, and none helps."
    verb = "harms most" if known[worst] > 0 else "helps least"
    return f"For {metric.name}, more {best} helps most and more {worst} {verb}."


def warnings(content: FitFolder) -> tuple[str, ...]:
    """Return what a reader must know before believing the rest."""
    found = list(content.proposal.warnings) if content.proposal is not None else []
    if missed := missed_laws(content):
        found.append(missed)
    silent = [m.name for m in content.metrics if not m.signal]
    if silent:
        shown = silent if len(silent) <= 8 else [*silent[:7], f"{len(silent) - 7} more"]
        found.append(f"Held-out predictions are no better than chance for {listed(shown)}.")
    return tuple(dict.fromkeys([*found, *content.problems]))
