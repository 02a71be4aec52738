"""The fits of a folder with their headlines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from olmix.errors import DataError
from olmix.records.fit.folder import FitFolder, read_fit_folder
from olmix.records.fit.proposal import Gain
from olmix.report.first_screen import metric_labels
from olmix.report.floors import asked_floors
from olmix.report.trust import headline_scores
from olmix.text.numbers import (
    UNKNOWN,
    fixed,
    shortened,
    with_error,
)

__all__ = ["FitHeadline", "list_fits", "measured_gain", "predicted_gain"]

_LATEST = "latest"


@dataclass(frozen=True)
class FitHeadline:
    """One fit in a line.

    Attributes:
        name: its folder, below the one that was listed.
        day: when it was written.
        runs: how many runs it used.
        objective: what it optimised.
        floors: which metrics were to get no worse than so much, if any.
        rank: rank correlation of the objective on held-out runs.
        predicted: gain over natural that its laws promise, ± its standard error.
        measured: the same as it was verified.
        is_latest: whether `latest` points to it.
    """

    name: str
    day: str
    runs: int
    objective: str
    floors: str
    rank: str
    predicted: str
    measured: str
    is_latest: bool


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
        objective=metric_labels(content).get(content.objective.name, content.objective.name),
        floors=_floors(content),
        rank=_rank(content),
        predicted=_brief(predicted_gain(content)),
        measured=_brief(measured_gain(content)),
        is_latest=latest.exists() and latest.resolve() == place.resolve(),
    )


def _floors(content: FitFolder) -> str:
    labels = metric_labels(content)
    return shortened([" ".join(floor) for floor in asked_floors(content, labels)], 2)


def _rank(content: FitFolder) -> str:
    return fixed(headline_scores(content).spearman, 2)


def predicted_gain(content: FitFolder) -> Gain | None:
    """Return the gain over natural that the laws promise."""
    return None if content.proposal is None else content.proposal.gains.get("natural")


def measured_gain(content: FitFolder) -> Gain | None:
    """Return the same as it was measured."""
    return None if content.trained is None else content.trained.gains.get("natural")


def _brief(gain: Gain | None) -> str:
    return UNKNOWN if gain is None else with_error(gain.mean, gain.std_error, sign=True)
