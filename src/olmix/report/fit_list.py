"""The fits of a folder with their headlines, and what differs between two of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from olmix.errors import DataError
from olmix.records.fit.folder import FitFolder, read_fit_folder
from olmix.records.fit.proposal import Gain
from olmix.records.metric_identity import join_identities
from olmix.report.trust import headline_scores
from olmix.simplex import hellinger
from olmix.text.numbers import (
    UNKNOWN,
    counted,
    fixed,
    percent,
    points,
    with_error,
    with_interval,
)

__all__ = ["Comparison", "FitHeadline", "compare_fits", "list_fits"]

_NOT_SETTINGS = ("hash", "data_hash", "laws_hash", "versions", "packages", "machine")
_LATEST = "latest"


@dataclass(frozen=True)
class FitHeadline:
    """One fit in a line.

    Attributes:
        name: its folder, below the one that was listed.
        day: when it was written.
        runs: how many runs it used.
        objective: what it optimised.
        rank: rank correlation of the objective on held-out runs.
        predicted: gain over natural that its laws promise, ± its standard error.
        measured: the same as it was verified.
        is_latest: whether `latest` points to it.
    """

    name: str
    day: str
    runs: int
    objective: str
    rank: str
    predicted: str
    measured: str
    is_latest: bool


@dataclass(frozen=True)
class Comparison:
    """Differences between two fits, as rows of (what, first, second).

    Attributes:
        inputs: runs, metrics and settings.
        laws: law and held-out rank of each metric where they differ.
        weights: weights of every domain in both proposals, and the change in percentage points.
        gains: predicted and measured gain over natural, with their intervals.
        reading: what changed, in sentences.
    """

    inputs: tuple[tuple[str, str, str], ...]
    laws: tuple[tuple[str, str, str], ...]
    weights: tuple[tuple[str, str, str, str], ...]
    gains: tuple[tuple[str, str, str], ...]
    reading: tuple[str, ...]


def list_fits(folder: Path) -> list[FitHeadline]:
    """Return the fits in a folder, the newest first; what cannot be read is left out.

    Args:
        folder: what `olmix fit -o` names, or any folder above several of them.

    Raises:
        DataError: there is no such folder, or no fit in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    found = []
    for file in folder.rglob("fit.json"):
        place = file.parent
        if place.is_symlink() or _LATEST in place.relative_to(folder).parts:
            continue
        try:
            found.append((file.stat().st_mtime, _headline(folder, place)))
        except DataError:
            continue
    if not found:
        raise DataError(f"{folder}: holds no fit; `olmix fit -o {folder}` makes one")
    return [headline for _, headline in sorted(found, key=lambda one: (-one[0], one[1].name))]


def _headline(folder: Path, place: Path) -> FitHeadline:
    content = read_fit_folder(place)
    latest = place.with_name(_LATEST)
    day = datetime.fromtimestamp((place / "fit.json").stat().st_mtime).astimezone()
    return FitHeadline(
        name=str(place.relative_to(folder)),
        day=f"{day:%Y-%m-%d %H:%M}",
        runs=len(content.runs),
        objective=content.objective.name,
        rank=_rank(content),
        predicted=_brief(_predicted(content)),
        measured=_brief(_measured(content)),
        is_latest=latest.exists() and latest.resolve() == place.resolve(),
    )


def _rank(content: FitFolder) -> str:
    return fixed(headline_scores(content).spearman, 2)


def _predicted(content: FitFolder) -> Gain | None:
    return None if content.proposal is None else content.proposal.gains.get("natural")


def _measured(content: FitFolder) -> Gain | None:
    return None if content.verification is None else content.verification.gains.get("natural")


def _brief(gain: Gain | None) -> str:
    return UNKNOWN if gain is None else with_error(gain.mean, gain.std_error, sign=True)


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
        for name, of in (("predicted", _predicted), ("measured", _measured))
    )
    return Comparison(
        inputs=tuple(_inputs(one, two)),
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


def _proposed(content: FitFolder) -> Mapping[str, float]:
    mixtures = {} if content.proposal is None else content.proposal.mixtures
    return mixtures["proposed"].weights if "proposed" in mixtures else {}


def _weights(one: FitFolder, two: FitFolder) -> Iterator[tuple[str, str, str, str]]:
    left, right = _proposed(one), _proposed(two)
    if not left or not right:
        return
    names = sorted({*left, *right}, key=lambda name: -max(left.get(name, 0), right.get(name, 0)))
    for name in names:
        before, after = left.get(name, 0.0), right.get(name, 0.0)
        yield name, percent(before), percent(after), points(after - before)


def _reading(one: FitFolder, two: FitFolder) -> Iterator[str]:
    """Yield what changed, in sentences."""
    same = set(one.runs) & set(two.runs)
    added, removed = len(two.runs) - len(same), len(one.runs) - len(same)
    if added or removed:
        yield (
            f"The second fit has {counted(added, 'run')} that the first lacks, and lacks "
            f"{removed} of the first."
        )
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
    if one.objective.name != two.objective.name:
        yield "They optimise different objectives, so their gains cannot be compared."
