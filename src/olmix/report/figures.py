"""Every figure of a fit folder, with its file name, title, caption and alt text.

Each figure becomes a PNG file in the folder; those that the page shows become SVG inside it. The
numbers of a figure are in its alt text, and in the CSV or JSON file that its caption names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np

from olmix import plotting
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.ladder import Ladder
from olmix.records.fit.proposal import MIXTURES, Gain
from olmix.records.fit.scores import LEVEL, FittedMetric, Scores
from olmix.records.fit.tables import Predictions, read_mixture
from olmix.report.draw_cache import draw
from olmix.report.evidence_figures import evidence_plans, response_plans
from olmix.report.figure import Picture, PlannedFigure
from olmix.report.mixture_names import named
from olmix.report.swarm_figures import swarm_plans
from olmix.text.files import write_bytes
from olmix.text.numbers import counted, fixed, per_cent, percent, signed, with_error
from olmix.text.progress import OnProgress, Steps

__all__ = ["Curves", "draw_figures"]

MOST_METRICS = 12
"""Metrics that have figures of their own unless all are asked for: those of the objective first."""
Drawn = Literal["usual", "all", "none"]
"""Which figures are drawn: those of `MOST_METRICS` metrics and of all together, all, or none."""
_SAME_MIXTURE = 0.02
"""Sum of the differences in weight up to which a run counts as a run of a mixture."""

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""``{run: (tokens, loss)}``."""


def _stem(content: FitFolder, metric: FittedMetric) -> str:
    """Return the start of the names of a metric's files."""
    safe = re.sub(r"[^\w.+-]+", "_", content.stems[metric.name]).strip("_.")
    return f"{safe or 'metric'}_{metric.chosen}"


def draw_figures(
    content: FitFolder,
    curves: Curves,
    on_progress: OnProgress | None = None,
    drawn: Drawn = "usual",
) -> list[Picture]:
    """Draw every figure, write the PNG files, and return those that the page shows.

    Args:
        content: what they show.
        curves: training loss by run.
        on_progress: called after each figure.
        drawn: which figures.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    if drawn == "none":
        return []
    pictures = []
    with plotting.style():
        number = len(content.metrics) if drawn == "all" else MOST_METRICS
        plans = list(_plans(content, curves, number))
        steps = Steps(on_progress, len(plans))
        for plan in plans:
            out = draw(plan)
            file = f"{plan.stem}.png"
            if out.page is not None:
                svg, width = out.page.svg, out.page.width
                pictures.append(Picture(file, plan.group, plan.title, plan.caption, svg, width))
            write_bytes(content.folder / file, out.png)
            steps(plan.stem)
    return pictures


def _plans(content: FitFolder, curves: Curves, number: int) -> Iterator[PlannedFigure]:
    if content.proposal is not None:
        yield from _proposal_plans(content, number)
        yield from _gain_plans(content)
        yield from response_plans(content)
    if content.verification is not None:
        yield _verification_plan(content)
    if content.ladder is not None:
        yield _ladder_plan(content.ladder)
    yield _scores_plan(content)
    yield from _fit_plans(content, number)
    yield from swarm_plans(content, dict(zip(*_objective_values(content), strict=True)))
    if content.effects is not None:
        yield _effects_plan(content)
    yield from evidence_plans(content)
    if content.ratios is not None:
        yield _swarm_plan(content)
    if curves:
        yield _curves_plan(content, curves)


def _bars(mixtures: Mapping[str, Mapping[str, float]]) -> tuple[float, float]:
    """Return the size of a figure of bars, inches."""
    rows = len({domain for mixture in mixtures.values() for domain in mixture})
    gap, bar = (0.13, 0.155) if rows <= 15 else (0.05, 0.12)
    return 3.0, max(rows * (gap + bar * len(mixtures)), 0.8)


def _shares(mixture: Mapping[str, float]) -> str:
    ordered = sorted(mixture.items(), key=lambda item: -np.nan_to_num(item[1]))
    return ", ".join(f"{domain} {percent(weight)}" for domain, weight in ordered)


def _proposal_plans(content: FitFolder, number: int) -> Iterator[PlannedFigure]:
    """Plan the bars of the proposal, of all mixtures, and of the best for each metric alone.

    Args:
        content: what they show.
        number: metrics that get a figure.
    """
    proposal = content.proposal
    if proposal is None:
        return
    start, mixtures = content.settings.start, named(content, proposal.mixtures)
    weights = {n: mixtures[n].weights for n in MIXTURES if n in mixtures}
    pair = {n: weights[n] for n in (start, "proposed") if n in weights}
    which = "worst" if proposal.worst else "proposed"
    path = next(iter(sorted(content.folder.glob("opt_avg_all_metrics_*_optimal.json"))), None)
    caption = (
        f"Fitted to {counted(len(content.runs), 'run')}, {content.split}. Data:\u00a0proposal.json"
    )
    yield PlannedFigure(
        path.stem if path is not None else "opt_avg_all_metrics_optimal",
        "mixture",
        f"{start.capitalize()} and {which} mixture",
        caption,
        f"Bar chart. Proposed: {_shares(pair.get('proposed', {}))}. "
        f"{start.capitalize()}: {_shares(pair.get(start, {}))}.",
        _bars(pair),
        partial(plotting.mixture_bars, mixtures=pair),
    )
    yield PlannedFigure(
        "mixtures",
        "",
        "All mixtures",
        caption,
        "",
        _bars(weights),
        partial(plotting.mixture_bars, mixtures=weights),
    )
    natural = pair.get(start, {})
    for metric in content.metrics[:number]:
        file = content.folder / f"{_stem(content, metric)}_optimal.json"
        best = read_mixture(file)
        if best is not None:
            both = {start: natural, "best_for_this_metric": best}
            yield PlannedFigure(
                file.stem,
                "",
                f"The best mixture for {metric.name} alone",
                f"{counted(metric.num_runs, 'run')}, {plotting.law_label(metric.chosen)} law, "
                f"{content.split}. Data:\u00a0{file.name}",
                "",
                _bars(both),
                partial(plotting.mixture_bars, mixtures=both),
            )


def _bar(gain: Gain) -> plotting.GainBar:
    return plotting.GainBar(gain.mean, gain.low, gain.high)


def _gain_plans(content: FitFolder) -> Iterator[PlannedFigure]:
    proposal, verification = content.proposal, content.verification
    if proposal is None or not proposal.gains:
        return
    gains = named(content, proposal.gains)
    predicted = {name: _bar(gain) for name, gain in gains.items()}
    measured = {} if verification is None else named(content, verification.gains)
    caption = f"Predicted from {counted(len(content.runs), 'run')}, {content.split}"
    if verification is not None:
        caption += f"; measured with {len(verification.seeds)} fresh paired seeds"
    files = "proposal.json" if verification is None else "proposal.json, verification.json"
    alt = "Gain of the proposed mixture. " + " ".join(
        f"Over {plotting.mixture_label(name)}: predicted {signed(gain.mean)}"
        + (f", measured {signed(measured[name].mean)}." if name in measured else ".")
        for name, gain in gains.items()
    )
    yield PlannedFigure(
        "gains",
        "gains",
        f"Gain on {content.objective.in_words}",
        f"{caption}. Data:\u00a0{files}",
        alt,
        (2.5, max(len(predicted) * (0.62 if measured else 0.4), 0.8)),
        partial(
            plotting.gain_bars,
            predicted=predicted,
            measured={name: _bar(gain) for name, gain in measured.items()},
            levels=(LEVEL, LEVEL if verification is None else verification.level),
            unit=content.objective.unit,
        ),
    )


def _verification_plan(content: FitFolder) -> PlannedFigure:
    found = content.verification
    if found is None:
        raise ValueError("there is no verification to draw")
    means = ", ".join(
        f"{plotting.mixture_label(name)} {with_error(*mean)}"
        for name, mean in named(content, found.means).items()
    )
    better = "Lower is better." if found.lower_is_better else "Higher is better."
    return PlannedFigure(
        "verification",
        "verification",
        f"{found.metric}, measured with fresh seeds",
        f"{counted(len(found.seeds), 'seed')} ({found.seeds[0]} to {found.seeds[-1]}) that the "
        "swarm never used; a thin line joins the runs of a seed. Below each: mean and standard "
        "error. Data:\u00a0verification.csv"
        if found.seeds
        else "Data:\u00a0verification.csv",
        f"Every seed of every mixture. Means with standard errors: {means}. {better}",
        (2.5, max(len(found.values) * 0.62, 0.8)),
        partial(
            plotting.verification_dots,
            values=named(content, found.values),
            metric=found.metric,
            unit=found.unit,
            lower_is_better=found.lower_is_better,
        ),
    )


def _ladder_plan(ladder: Ladder) -> PlannedFigure:
    found = ladder.rungs[0].verification
    bars = [plotting.GainBar(r.gain.mean, r.gain.low, r.gain.high) for r in ladder.rungs]
    target = ladder.target
    aim = None
    words = ""
    if target is not None:
        gain = target.gain
        aim = (target.scale, plotting.GainBar(gain.mean, gain.low, gain.high))
        words = (
            f" The open circle is expected at {target.num_tokens:,} tokens; its interval allows "
            "for the noise of the seeds, and for the trend to stop or double after the last size."
        )
    told = "; ".join(
        f"{r.scale:g} times: {with_error(r.gain.mean, r.gain.std_error)}" for r in ladder.rungs
    )
    return PlannedFigure(
        "ladder",
        "ladder",
        f"{found.metric}: the gain at several sizes",
        f"{counted(len(found.seeds), 'paired seed')} at each size, {per_cent(ladder.level)} "
        f"intervals.{words} Data:\u00a0ladder.csv",
        f"Line chart of gains. {told}.",
        (3.0, 2.2),
        partial(
            plotting.ladder_gains,
            scales=[rung.scale for rung in ladder.rungs],
            gains=bars,
            target=aim,
            unit=found.unit,
        ),
    )


def _scores_plan(content: FitFolder) -> PlannedFigure:
    scores = {
        m.name: {name: law.cv.spearman for name, law in m.candidates.items()}
        for m in content.metrics
    }
    chosen = {metric.name: metric.chosen for metric in content.metrics}
    most_laws = max(len(metric.candidates) for metric in content.metrics)
    alt = "Rank correlation on held-out runs. " + " ".join(
        f"{m.name}: {plotting.law_label(m.chosen)} {fixed(m.law.cv.spearman, 2)}."
        for m in content.metrics
    )
    return PlannedFigure(
        "cross_validation",
        "cross-validation",
        "How well each law ranks runs that it has not seen",
        f"{counted(len(content.runs), 'run')}, {content.split}. The law with the smallest "
        "held-out Huber loss is chosen; it need not rank best. Data:\u00a0fit.json",
        alt,
        (2.7, max(len(scores) * max(0.34, 0.13 * most_laws), 0.7)),
        partial(plotting.law_scores, scores=scores, chosen=chosen),
    )


def _fit_plans(content: FitFolder, number: int) -> Iterator[PlannedFigure]:
    """Plan predicted against measured: of the objective, where it is an average, then by metric.

    Args:
        content: what they show.
        number: metrics that get a figure.
    """
    average = _objective_predictions(content)
    if average is not None:
        title, scores = f"Objective: {content.objective.name}", content.objective_scores
        yield _fit_plan(
            content, "objective_fit", title, average, content.objective.unit, "", scores
        )
    for index, metric in enumerate(content.metrics[:number]):
        found = content.predictions.get(metric.name)
        if found is None:
            continue
        stem = f"{_stem(content, metric)}_fit"
        law = f", {plotting.law_label(metric.chosen)} law"
        plan = _fit_plan(content, stem, metric.name, found, metric.unit, law, metric.law.cv)
        if index < MOST_METRICS:
            yield plan
        else:
            yield PlannedFigure(plan.stem, "", plan.title, plan.caption, "", plan.size, plan.draw)


def _objective_predictions(content: FitFolder) -> Predictions | None:
    """Return the objective of every run that has all of its metrics; `None` for one metric."""
    names = [metric.name for metric in content.objective.metrics]
    if len(names) < 2 or not set(names) <= set(content.predictions):
        return None
    tables = []
    for name in names:
        found = content.predictions[name]
        columns = np.stack([found.measured, found.fitted, found.held_out], axis=1)
        tables.append(dict(zip(found.runs, columns, strict=True)))
    runs = tuple(run for run in tables[0] if all(run in table for table in tables))
    if not runs:
        return None
    stacked = [np.stack([table[run] for run in runs]) for table in tables]
    average = content.objective.average(dict(zip(names, stacked, strict=True)))
    return Predictions(runs, average[:, 0], average[:, 1], average[:, 2])


def _fit_plan(
    content: FitFolder,
    stem: str,
    title: str,
    found: Predictions,
    unit: str,
    law: str,
    scores: Scores | None,
) -> PlannedFigure:
    """Plan one scatter of predictions against measurements."""
    known = np.isfinite(found.measured) & np.isfinite(found.held_out)
    words = f"{counted(int(known.sum()), 'run')} held out in turn ({content.split})"
    if scores is not None:
        suffix = f" {unit}" if unit else ""
        words += (
            f". Spearman {fixed(scores.spearman, 2)}, RMSE {fixed(scores.rmse, 4)}{suffix}{law}"
        )
    positions = {run: index for index, run in enumerate(found.runs)}
    marked = {mix: positions[run] for mix, run in _named_runs(content).items() if run in positions}
    return PlannedFigure(
        stem,
        "fits",
        title,
        f"{words}. Data:\u00a0predictions.csv",
        f"Scatter of predicted against measured {title}. {words}.",
        (2.7, 2.7),
        partial(
            plotting.predicted_against_measured,
            measured=found.measured,
            fitted=found.fitted,
            held_out=found.held_out,
            unit=unit,
            named=marked,
        ),
    )


def _named_runs(content: FitFolder) -> dict[str, str]:
    """Return which run of the swarm had the natural, the uniform and the best mixture."""
    if content.proposal is None:
        return {}
    mixtures = named(content, content.proposal.mixtures)
    found: dict[str, str] = {}
    if content.ratios is not None and set(content.leaves) <= set(content.ratios.columns):
        rows = content.ratios.select(content.leaves)
        for name in ("natural", "uniform"):
            if name in mixtures:
                weights = mixtures[name].weights
                target = np.array([weights.get(domain, 0.0) for domain in content.leaves])
                distance = np.abs(rows - target).sum(axis=1)
                if distance.size and distance.min() < _SAME_MIXTURE:
                    found[name] = content.ratios.runs[int(distance.argmin())]
    found |= {name: mix.run for name, mix in mixtures.items() if mix.run is not None}
    return found


def _effects_plan(content: FitFolder) -> PlannedFigure:
    effects = content.effects
    if effects is None:
        raise ValueError("there are no effects to draw")
    objective = content.metrics[0]
    strongest = sorted(
        zip(content.domains, effects[0], strict=True), key=lambda item: -abs(np.nan_to_num(item[1]))
    )
    numbers = ", ".join(f"{domain} {signed(float(value))}" for domain, value in strongest)
    width, height = (0.56, 0.36) if effects.size <= plotting.MOST_NUMBERS else (0.3, 0.24)
    return PlannedFigure(
        "interaction_matrix",
        "effects",
        "Effect of each domain on each metric",
        f"{counted(len(content.runs), 'run')}, {content.split}. Blue helps, orange harms. "
        "Data:\u00a0interaction_matrix.csv",
        f"Heat map of {counted(len(content.metrics), 'metric')} by "
        f"{counted(len(content.domains), 'domain')}. "
        f"{objective.name}: {numbers}.",
        (max(width * len(content.domains), 2.2), max(height * len(content.metrics), 0.8)),
        partial(
            plotting.interaction_heat,
            matrix=effects,
            rows=[metric.name for metric in content.metrics],
            columns=content.domains,
            lower_is_better=[metric.lower_is_better for metric in content.metrics],
            label="change of the metric per unit of weight",
        ),
    )


def _swarm_plan(content: FitFolder) -> PlannedFigure:
    """Plan the heat map of all mixtures, the best run on top."""
    table = content.ratios
    if table is None:
        raise ValueError("there is no table of mixtures to draw")
    domains = [domain for domain in content.leaves if domain in table.columns]
    values = dict.fromkeys(table.runs, math.nan)
    values |= dict(zip(*_objective_values(content), strict=True))
    sign = content.objective.sign
    known = [run for run in content.runs if run in values]
    order = sorted(known, key=lambda run: np.nan_to_num(sign * values[run], nan=np.inf))
    row_height = 0.17 if len(order) <= 60 else max(4.2 / len(order), 0.012)
    return PlannedFigure(
        "swarm",
        "swarm",
        f"All mixtures of the swarm, best {content.objective.name} on top",
        f"{counted(len(order), 'run')}. Data:\u00a0ratios.csv",
        f"Heat map of the weights of {counted(len(order), 'run')} over "
        f"{counted(len(domains), 'domain')}.",
        (max(0.42 * len(domains), 2.0), max(row_height * len(order), 0.8)),
        partial(
            plotting.weights_heat,
            weights=table.rows(order)[:, [table.columns.index(domain) for domain in domains]],
            runs=[content.names[run] for run in order],
            domains=domains,
        ),
    )


def _objective_values(content: FitFolder) -> tuple[tuple[str, ...], list[float]]:
    """Return the measured objective of every run that the predictions know."""
    average = _objective_predictions(content)
    found = average or content.predictions.get(content.metrics[0].name)
    if found is None:
        return (), []
    return found.runs, found.measured.tolist()


def _curves_plan(content: FitFolder, curves: Curves) -> PlannedFigure:
    return PlannedFigure(
        "training",
        "training",
        "Training loss of every run",
        f"{counted(len(curves), 'run')}, each on its own mixture: a low loss may only mean that "
        "the mixture is easy. Data:\u00a0metrics.jsonl of each run",
        f"Training loss against tokens of {counted(len(curves), 'run')}.",
        (3.3, 2.3),
        partial(plotting.training_curves, curves=curves, named=_named_runs(content)),
    )
