"""Figures of the swarm as a whole: which domains matter, and how far its runs came at what cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from olmix import plotting
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.scores import LEVEL, NORMAL_QUANTILE
from olmix.report.figure import PlannedFigure
from olmix.report.mixture_names import named
from olmix.simplex import Array
from olmix.text.numbers import counted, duration, fixed, per_cent, readable_count, signed

__all__ = ["swarm_plans"]

_POINTS = 0.1
"""Share of the tokens that moves to a domain in the bar chart: 10 percentage points."""
_MOST_BARS = 20


def swarm_plans(content: FitFolder, objective: Mapping[str, float]) -> Iterator[PlannedFigure]:
    """Plan both figures, as far as there is something to draw.

    Args:
        content: the fit folder.
        objective: the measured objective by run.
    """
    if content.effects is not None:
        yield _domains_plan(content, content.effects)
    if len(objective) > 1:
        yield _best_plan(content, objective)


def _domains_plan(content: FitFolder, effects: Array) -> PlannedFigure:
    """Plan the bars of what each domain does to the objective, the largest first."""
    objective = content.objective
    rows = {m.name: row for m, row in zip(content.metrics, effects, strict=True)}
    change = -objective.sign * _POINTS * objective.average(rows)
    sure = np.ones(len(change), dtype=bool)
    if len(objective.metrics) == 1 and content.evidence is not None:
        names = [metric.name for metric in content.metrics]
        evidence = content.evidence[names.index(objective.metrics[0].name)]
        sure = np.abs(np.nan_to_num(evidence)) >= NORMAL_QUANTILE
    order = np.argsort(-np.abs(np.nan_to_num(change)))[:_MOST_BARS]
    bars = {content.domains[i]: (float(change[i]), bool(sure[i])) for i in order if change[i] != 0}
    unit = f" in {objective.unit}" if objective.unit else ""
    caption = (
        f"Predicted at the {content.settings.start} mixture: 10 percentage points of the tokens "
        "move to the domain, taken from the others in proportion. Outlined bars may be noise "
        f"({per_cent(LEVEL)} interval includes 0)"
    )
    if len(bars) < len(content.domains):
        caption += f". The {len(bars)} of {len(content.domains)} domains with the largest effect"
    return PlannedFigure(
        "domains",
        "domains",
        f"Which domains matter for {objective.in_words}",
        f"{caption}. Data:\u00a0interaction_matrix.csv",
        "Bar chart; positive is better. "
        + ", ".join(f"{domain} {signed(gain)}" for domain, (gain, _) in bars.items()),
        (2.6, max(0.24 * len(bars), 0.8)),
        partial(plotting.effect_bars, bars=bars, label=f"gain{unit} of 10 points more"),
    )


def _best_plan(content: FitFolder, objective: Mapping[str, float]) -> PlannedFigure:
    """Plan the best value so far over the runs, and what they had cost by then."""
    runs = [run for run in content.runs if math.isfinite(objective.get(run, math.nan))]
    values = [objective[run] for run in runs]
    cost, words = _cost_so_far(content, runs)
    found = content.objective
    best = (min if found.lower_is_better else max)(values)
    first = values.index(best)
    marked: dict[str, float] = {}
    if content.verification is not None and content.verification.metric == found.name:
        means = named(content, content.verification.means)
        pair = (content.settings.start, "proposed")
        marked = {str(name): means[name][0] for name in pair if name in means}
    caption = f"{counted(len(runs), 'run')} in the order of the tables; the line is the best so far"
    caption += ", below the axis their cost so far" if cost else ""
    caption += ", dashed: measured with fresh seeds" if marked else ""
    return PlannedFigure(
        "best_so_far",
        "progress",
        f"{found.name}: the best so far",
        f"{caption}. Data:\u00a0predictions.csv, runs.csv",
        f"Line chart. The best run is number {first + 1} of {len(runs)}, with {fixed(best, 4)}"
        + (f" ({words}: {cost[first]})." if cost else "."),
        (3.3, 2.3),
        partial(
            plotting.best_so_far,
            values=values,
            lower_is_better=found.lower_is_better,
            costs=cost,
            marked=marked,
            label=found.unit or found.name,
            cost_label=words,
        ),
    )


def _cost_so_far(content: FitFolder, runs: list[str]) -> tuple[list[str], str]:
    """Return what the runs up to each had cost, and what that is: training time, else tokens."""
    for column, show, words in (
        ("seconds", duration, "training time so far"),
        ("tokens", readable_count, "tokens so far"),
    ):
        cells = [content.run_facts.get(run, {}).get(column) or "" for run in runs]
        try:
            spent = np.cumsum([float(cell) for cell in cells])
        except ValueError:
            continue
        if np.isfinite(spent).all():
            return [show(float(total)) for total in spent], words
    return [], ""
