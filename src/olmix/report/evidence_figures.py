"""Figures of how sure a fit is, and of how the objective responds to the mixture."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations

import numpy as np

from olmix import plotting
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.scores import NORMAL_QUANTILE, TAILS
from olmix.report.figure import PlannedFigure
from olmix.report.mixture_names import named
from olmix.text.numbers import counted, fixed, per_cent, percent

__all__ = ["evidence_plans", "response_plans"]

_MOST_FRONTS = 3


def response_plans(content: FitFolder) -> Iterator[PlannedFigure]:
    """Plan how the objective responds around the proposal, and the Pareto fronts."""
    proposal, objective = content.proposal, content.objective
    if proposal is None or "proposed" not in proposal.mixtures:
        return
    label = f"{objective.name}{f' ({objective.unit})' if objective.unit else ''}"
    proposed = content.weights_of(proposal.mixtures["proposed"].weights)
    if content.responses:
        yield PlannedFigure(
            "responses",
            "responses",
            f"{objective.name} against the weight of each domain",
            "Predicted, starting from the proposed mixture (diamonds). The domains that change it "
            "most. Data:\u00a0responses.csv",
            "Line chart. "
            + " ".join(
                f"{domain}: {fixed(float(values[0]), 4)} without it, "
                f"{fixed(float(values[-1]), 4)} with nothing else."
                for domain, (_, values) in content.responses.items()
            ),
            (3.4, 2.4),
            partial(plotting.response_curves, curves=content.responses, here=proposed, label=label),
        )
    if content.ternary is not None:
        yield _ternary_plan(content, label)
    yield from _front_plans(content)


def _ternary_plan(content: FitFolder, label: str) -> PlannedFigure:
    found, proposal = content.ternary, content.proposal
    if found is None or proposal is None:
        raise ValueError("there is no triangle to draw")
    mixtures = named(content, proposal.mixtures)
    marked = {}
    words = []
    for name in (content.settings.start, "best_seen", "proposed"):
        mix = mixtures.get(name)
        weights = {} if mix is None else content.weights_of(mix.weights)
        three = np.array([weights.get(domain, 0.0) for domain in found.domains])
        if three.sum() > 0:
            marked[name] = three / three.sum()
            words.append(
                f"{plotting.mixture_label(name)} has {percent(float(three.sum()))} in them"
            )
    return PlannedFigure(
        "ternary",
        "responses",
        f"{content.objective.name} over mixtures of three domains",
        "Predicted for mixtures of the three largest domains of the proposal and no others; dark "
        f"is {'low' if content.objective.lower_is_better else 'low, which is worse'}. Named "
        f"mixtures are placed by their shares of these three: {'; '.join(words)}. "
        "Data:\u00a0ternary.csv",
        f"Triangle of {', '.join(found.domains)}.",
        (2.6, 2.3),
        partial(
            plotting.ternary_response,
            weights=found.weights,
            values=found.values,
            names=found.domains,
            marked=marked,
            label=label,
        ),
    )


def _front_plans(content: FitFolder) -> Iterator[PlannedFigure]:
    """Plan one figure for each of the first pairs of families."""
    front = content.front
    if front is None:
        return
    for left, right in list(combinations(range(len(front.families)), 2))[:_MOST_FRONTS]:
        names = (front.families[left], front.families[right])
        yield PlannedFigure(
            f"pareto_{left + 1}_{right + 1}",
            "responses",
            f"Pareto front of {names[0]} and {names[1]}",
            f"{counted(len(front.values), 'mixture')} none of them predicted to be better than "
            "another in every family. Data:\u00a0pareto.csv",
            f"{counted(len(front.values), 'point')} from "
            f"{fixed(float(front.values[:, left].min()), 4)} to "
            f"{fixed(float(front.values[:, left].max()), 4)} of {names[0]}.",
            (2.7, 2.5),
            partial(
                plotting.pareto_points,
                points=front.values[:, [left, right]],
                names=names,
                marked={
                    name: (values[names[0]], values[names[1]])
                    for name, values in front.marked.items()
                },
                lower_is_better=(front.lower_is_better[left], front.lower_is_better[right]),
                joined=len(front.families) == 2,
            ),
        )


def evidence_plans(content: FitFolder) -> Iterator[PlannedFigure]:
    """Plan the evidence for every effect, and how honest the intervals are."""
    if content.evidence is not None:
        size = content.evidence.size
        width, height = (0.56, 0.36) if size <= plotting.MOST_NUMBERS else (0.3, 0.24)
        clear = int((np.abs(np.nan_to_num(content.evidence)) > NORMAL_QUANTILE).sum())
        sure, tail = f"{NORMAL_QUANTILE:.2f}", per_cent(TAILS[0])
        yield PlannedFigure(
            "interaction_matrix_signed_evidence",
            "effects",
            "How sure each effect is",
            "Effect over its standard deviation among refits and posterior draws; beyond "
            f"±{sure} at most {tail} of the draws have the other sign: {clear} of {size} effects. "
            "Data:\u00a0interaction_matrix_signed_evidence.csv",
            f"Heat map of signed evidence; {clear} of {size} effects are beyond {sure}.",
            (
                max(width * len(content.domains), 2.2),
                max(height * len(content.metrics), 0.8),
            ),
            partial(
                plotting.interaction_heat,
                matrix=content.evidence,
                rows=[metric.name for metric in content.metrics],
                columns=content.domains,
                lower_is_better=[metric.lower_is_better for metric in content.metrics],
                label="effect in standard deviations, darkest from 4",
                limit=4.0,
            ),
        )
    coverage = {metric.name: metric.coverage for metric in content.metrics if metric.coverage}
    if coverage:
        name, levels = next(iter(coverage.items()))
        yield PlannedFigure(
            "calibration",
            "cross-validation",
            "How many held-out runs fall inside the intervals",
            f"{name} in blue, other metrics in grey; each fold is judged by intervals from the "
            "other folds. Below the dashed line they are too narrow. Data:\u00a0fit.json",
            f"{name}: "
            + ", ".join(
                f"{percent(inside)} of runs in {percent(at)}" for at, inside in levels.items()
            ),
            (2.7, 2.4),
            partial(plotting.calibration_curve, coverage=coverage),
        )
