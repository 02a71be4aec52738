"""What differs between two fits, metric by metric, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from olmix.records.fit.folder import FitFolder, read_fit_folder
from olmix.records.fit.proposal import Gain
from olmix.records.metric_identity import join_identities
from olmix.report.first_screen import metric_labels
from olmix.report.fit_list import measured_gain, predicted_gain
from olmix.report.floors import asked_floors, has_floor
from olmix.report.metric_changes import metric_changes
from olmix.report.short_names import short_names
from olmix.simplex import hellinger
from olmix.text.numbers import (
    UNKNOWN,
    counted,
    fixed,
    listed,
    percent,
    points,
    signed,
    with_interval,
)

__all__ = ["Comparison", "compare_fits"]

_NOT_SETTINGS = ("hash", "data_hash", "laws_hash", "versions", "packages", "machine")
_SAME = 1e-6
"""Difference of two weights below which they are the same."""


@dataclass(frozen=True)
class Comparison:
    """Differences between two fits, as rows of (what, first, second).

    Attributes:
        inputs: runs, metrics and settings.
        metrics: gain of every metric over natural in both, the gain of the second over the first,
            and why they differ.
        measured: whether the gains of the metrics were measured, in each; else they are predicted.
        laws: law and held-out rank of each metric where they differ.
        weights: weights of every domain in both proposals, and the change in percentage points.
        gains: predicted and measured gain over natural, with their intervals.
        reading: what changed, in sentences.
    """

    inputs: tuple[tuple[str, str, str], ...]
    metrics: tuple[tuple[str, str, str, str, str], ...]
    measured: tuple[bool, bool]
    laws: tuple[tuple[str, str, str], ...]
    weights: tuple[tuple[str, str, str, str], ...]
    gains: tuple[tuple[str, str, str], ...]
    reading: tuple[str, ...]


def _shown(gain: Gain | None) -> str:
    """Return a gain with its interval: ``+0.141 (+0.000 to +0.282)``."""
    if gain is None or not math.isfinite(gain.mean):
        return UNKNOWN
    return with_interval(gain.mean, gain.low, gain.high)


def compare_fits(first: Path, second: Path) -> Comparison:
    """Return what differs between two fits, of one study or of two.

    Raises:
        DataError: one of the folders holds no fit, or they hold different metrics under one name.
    """
    one, two = read_fit_folder(first), read_fit_folder(second)
    join_identities(((str(first), one.measured_with), (str(second), two.measured_with)))
    weights = tuple(_weights(one, two))
    gains = tuple(
        (f"{name} (interval)", _shown(of(one)), _shown(of(two)))
        for name, of in (("predicted", predicted_gain), ("measured", measured_gain))
    )
    return Comparison(
        inputs=tuple(_inputs(one, two)),
        metrics=tuple(_metrics(one, two)),
        measured=(metric_changes(one).measured, metric_changes(two).measured),
        laws=tuple(_laws(one, two)),
        weights=weights,
        gains=gains,
        reading=tuple(_reading(one, two)),
    )


def _inputs(one: FitFolder, two: FitFolder) -> Iterator[tuple[str, str, str]]:
    """Yield what the fits were given and differs."""
    rows = [
        ("runs", str(len(one.runs)), str(len(two.runs))),
        ("domains", str(len(one.leaves)), str(len(two.leaves))),
        ("metrics", str(len(one.metrics)), str(len(two.metrics))),
        ("objective", one.objective.name, two.objective.name),
    ]
    yield from (row for row in rows if row[1] != row[2])
    left, right = dict(_flat(one.settings.plain)), dict(_flat(two.settings.plain))
    for key in sorted({*left, *right}):
        if left.get(key) != right.get(key):
            yield key, left.get(key, UNKNOWN), right.get(key, UNKNOWN)


def _flat(config: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of a config by their dotted keys; paths and hashes are none."""
    for key, value in config.items():
        name = f"{above}{key}"
        if not above and (key in _NOT_SETTINGS or key == "swarm"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, str(value)


def _laws(one: FitFolder, two: FitFolder) -> Iterator[tuple[str, str, str]]:
    """Yield law and held-out rank of each metric that both have, where they differ."""
    others = {metric.name: metric for metric in two.metrics}
    for metric in one.metrics:
        if (other := others.get(metric.name)) is None:
            continue
        left, right = (
            f"{each.chosen} {fixed(each.law.cv.spearman, 2)}" for each in (metric, other)
        )
        if left != right:
            yield metric.name, left, right


def _metrics(one: FitFolder, two: FitFolder) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the gain of each metric over natural in both, its change, and why; the worst first."""
    before, after = (metric_changes(each, whole=True) for each in (one, two))
    first, labels = {row.metric: row for row in before.rows}, metric_labels(one)
    pairs = [(first[row.metric], row) for row in after.rows if row.metric in first]
    for left, right in sorted(pairs, key=lambda pair: pair[1].gain - pair[0].gain):
        change = right.gain - left.gain
        change = 0.0 if abs(change) < _SAME else change
        why = "" if change == 0 else "; ".join(_reasons(one, two, left.metric)) or "the mixture"
        label = labels.get(left.metric, left.metric)
        yield label, signed(left.gain), signed(right.gain), signed(change), why


def _reasons(one: FitFolder, two: FitFolder, metric: str) -> Iterator[str]:
    """Yield what the fits have otherwise about a metric."""
    weights = [each.objective.weights.get(metric, 0.0) for each in (one, two)]
    if weights[0] != weights[1]:
        yield f"weight {weights[0]:.3g} → {weights[1]:.3g}"
    floors = [has_floor(each, metric) for each in (one, two)]
    if floors[0] != floors[1]:
        yield "with a floor" if floors[1] else "without its floor"
    laws = [found.chosen for each in (one, two) for found in each.metrics if found.name == metric]
    if len(set(laws)) > 1:
        yield f"law {laws[0]} → {laws[1]}"


def _proposed(content: FitFolder) -> Mapping[str, float]:
    mixtures = {} if content.proposal is None else content.proposal.mixtures
    return mixtures["proposed"].weights if "proposed" in mixtures else {}


def _weights(one: FitFolder, two: FitFolder) -> Iterator[tuple[str, str, str, str]]:
    left, right = _proposed(one), _proposed(two)
    if not left or not right:
        return
    names = sorted({*left, *right}, key=lambda name: -max(left.get(name, 0), right.get(name, 0)))
    labels = short_names(names)
    for name in names:
        before, after = left.get(name, 0.0), right.get(name, 0.0)
        yield labels[name], percent(before), percent(after), points(after - before)


def _reading(one: FitFolder, two: FitFolder) -> Iterator[str]:
    """Yield what changed, in sentences."""
    same = set(one.runs) & set(two.runs)
    added, removed = len(two.runs) - len(same), len(one.runs) - len(same)
    if added or removed:
        yield (
            f"The second fit has {counted(added, 'run')} that the first lacks, and lacks "
            f"{removed} of the first."
        )
    yield from _other_terms(one, two)
    left, right = _proposed(one), _proposed(two)
    if left and right:
        names = sorted({*left, *right})
        rows = np.array([[side.get(name, 0.0) for name in names] for side in (left, right)])
        apart = float(hellinger(rows[:1], rows[1:])[0, 0])
        usual = (
            None
            if two.proposal is None or two.proposal.distance is None
            else (two.proposal.distance.usual)
        )
        if apart == 0:
            yield "Both propose the same mixture."
            return
        text = f"The proposals lie {fixed(apart, 2)} apart (Hellinger distance)"
        if usual is not None and math.isfinite(usual):
            near = "closer together" if apart <= usual else "farther apart"
            text += f", {near} than most neighbouring runs ({fixed(usual, 2)})"
        yield f"{text}."
    elif left or right:
        yield f"Only the {'first' if left else 'second'} fit has a proposal."


def _other_terms(one: FitFolder, two: FitFolder) -> Iterator[str]:
    """Yield what was asked for otherwise: the objective, floors, limits, the natural mixture."""
    names = one.objective.name, two.objective.name
    if names[0] != names[1]:
        yield (
            f"The first optimises {names[0]}, the second {names[1]}, so their gains cannot be "
            "compared."
        )
    floors = [
        listed([f"{metric} at most {size} worse" for metric, size in asked_floors(each, {})])
        for each in (one, two)
    ]
    if floors[0] != floors[1]:
        yield f"Floors of the first: {floors[0] or 'none'}; of the second: {floors[1] or 'none'}."
    starts = [each.proposal.mixtures.get("natural") for each in (one, two) if each.proposal]
    known = [mix.weights for mix in starts if mix is not None]
    if len(known) > 1 and not _same(*known):
        yield "Their natural mixtures differ, so gains over natural start from different values."
    limits = [each.settings.plain.get("constraints") for each in (one, two)]
    if limits[0] != limits[1]:
        yield "Their limits on tokens (constraints) differ."


def _same(one: Mapping[str, float], two: Mapping[str, float]) -> bool:
    names = {*one, *two}
    return all(abs(one.get(name, 0.0) - two.get(name, 0.0)) < _SAME for name in names)
