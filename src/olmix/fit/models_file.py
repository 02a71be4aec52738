"""Fitted laws in a file that a person can read: `models.json`, and how they are read back.

The file holds every parameter with all its digits, so loaded laws predict exactly the
numbers that the fitted ones did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from olmix.errors import DataError
from olmix.fit.crossval import HeldOut, MetricFit
from olmix.fit.evidence.best_tenth import LeftOut
from olmix.fit.scales.models import law_at_scale
from olmix.fit.swarm import Swarm
from olmix.laws.best_run import FittedSearch
from olmix.laws.components import Basis, FittedComponents
from olmix.laws.epochs import FittedEpochs
from olmix.laws.gp import FittedGpLog, FittedGpSqrt
from olmix.laws.law import FittedLaw
from olmix.laws.lightgbm import FittedLightGbm
from olmix.laws.log_linear import FittedLogLinear
from olmix.laws.log_weight import FittedLogWeight
from olmix.laws.power_sum import FittedAutoScale, FittedBiMix
from olmix.laws.stack import AVERAGED, STACKED, FittedAverage, FittedStack
from olmix.records.fit.models import (
    BEST_TENTH,
    MODELS_FILE,
    MODELS_FORMAT,
    OUTERMOST_TENTH,
    read_models,
)
from olmix.records.fit.scores import Calibration
from olmix.records.metric import Metric, Objective
from olmix.simplex import Array, hellinger
from olmix.text.numbers import counted

__all__ = ["LoadedFit", "load_fit", "models_to_plain", "restore_laws", "restore_left_out"]

_DAMAGE = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
"""What reading a damaged file of laws may raise."""

_LAWS: dict[str, type[FittedLaw]] = {
    law.name: law
    for law in (
        FittedLogLinear,
        FittedLogWeight,
        FittedGpSqrt,
        FittedGpLog,
        FittedLightGbm,
        FittedAutoScale,
        FittedBiMix,
        FittedEpochs,
        FittedSearch,
        FittedComponents,
    )
}


@dataclass(frozen=True)
class LoadedFit:
    """The laws of a fit folder.

    Attributes:
        folder: where they came from.
        domains: (D,) names; columns of the mixtures that are predicted.
        frozen: domains that are the sum of several columns of the swarm's table, with the share of
            each.
        lower_is_better: direction of each metric.
        objective_weights: weight of each metric in the objective, summing to 1.
        laws: the chosen law of each metric, for the metric with its sign turned where more is
            better.
        mixtures: (U, D) mixtures that were fitted.
        calibrations: half widths of the intervals of each metric.
        errors: half widths of those of the objective.
        scale: the model size that they predict, where the fit has several.
        scales: the model sizes that the fit has, from small to large; empty for one.
    """

    folder: Path
    domains: tuple[str, ...]
    frozen: Mapping[str, Mapping[str, float]]
    lower_is_better: Mapping[str, bool]
    objective_weights: Mapping[str, float]
    laws: Mapping[str, FittedLaw]
    mixtures: Array
    calibrations: Mapping[str, Calibration]
    errors: Calibration
    scale: str = ""
    scales: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self.laws)

    @property
    def objective(self) -> Objective:
        """The objective of the fit."""
        return Objective.build(
            [
                Metric(name, self.lower_is_better[name], w)
                for name, w in self.objective_weights.items()
            ]
        )

    def predict(self, mixtures: ArrayLike) -> dict[str, Array]:
        """Return every metric, as it stands in the table, at mixtures (n, D): (n,) each.

        Raises:
            DataError: the mixtures have another number of domains.
        """
        array = self._check(mixtures)
        return {
            name: law.predict(array) * (1.0 if self.lower_is_better[name] else -1.0)
            for name, law in self.laws.items()
        }

    def intervals(self, mixtures: ArrayLike) -> dict[str, tuple[Array, Array]]:
        """Return the ends of the 90% interval of one run at mixtures (n, D): (n,) each.

        Raises:
            DataError: the mixtures have another number of domains.
        """
        distances = hellinger(self._check(mixtures), self.mixtures).min(axis=1)
        means = self.predict(mixtures)
        ahead = self.errors.ahead(self.objective.average(means), distances)
        return {
            name: one.interval(means[name], distances, ahead)
            for name, one in self.calibrations.items()
        }

    def _check(self, mixtures: ArrayLike) -> Array:
        array = np.atleast_2d(np.asarray(mixtures, dtype=np.float64))
        if array.shape[1] != len(self.domains):
            raise DataError(
                f"found mixtures of {counted(array.shape[1], 'domain')}; this fit has "
                f"{len(self.domains)}: "
                f"{', '.join(self.domains)}"
            )
        return array


def models_to_plain(
    swarm: Swarm,
    fits: Sequence[MetricFit],
    objective: Calibration,
    left_out: Mapping[str, LeftOut | None] = MappingProxyType({}),
) -> dict[str, object]:
    """Return all fitted laws as the content of `models.json`.

    Args:
        swarm: the runs.
        fits: one per metric.
        objective: half widths of the intervals of the weighted average.
        left_out: ends of the swarm as laws without them predict them, by name.
    """
    mixtures = swarm.fitted_mixtures
    writer = _Writer(mixtures)
    plain = {
        "format": MODELS_FORMAT,
        "domains": list(swarm.domains),
        "frozen": {} if swarm.frozen is None else swarm.frozen.groups,
        "pinned": dict(swarm.pinned),
        "mixtures": mixtures.tolist(),
        "objective_calibration": objective.to_plain(),
        "metrics": {
            fitted.name: {
                "lower_is_better": swarm.lower_is_better[index],
                "objective_weight": float(swarm.objective_weights[index]),
                "chosen": fitted.chosen,
                "calibration": fitted.calibration.to_plain(),
                "laws": {
                    name: writer.plain(candidate.law)
                    for name, candidate in fitted.candidates.items()
                },
                "held_out": {
                    name: candidate.cv_predictions.tolist()
                    for name, candidate in fitted.candidates.items()
                    if name != STACKED
                },
            }
            for index, fitted in enumerate(fits)
        },
    }
    for name, end in left_out.items():
        if end is not None:
            plain[name] = {
                "rows": end.rows.tolist(),
                "predictions": {
                    metric: {law: predicted.tolist() for law, predicted in laws.items()}
                    for metric, laws in end.predictions.items()
                },
            }
    return {**plain, "bases": writer.bases}


class _Writer:
    """Writes laws; what many of them share is written once.

    Args:
        mixtures: (U, D) mixtures of the file, which laws refer to by their rows.
    """

    def __init__(self, mixtures: Array) -> None:
        self._rows = {mixture.tobytes(): row for row, mixture in enumerate(mixtures)}
        self._bases: dict[int, list[dict[str, Any]]] = {}

    @property
    def bases(self) -> list[list[dict[str, Any]]]:
        """The bases of components that were met, in the order of their numbers."""
        return list(self._bases.values())

    def plain(self, law: FittedLaw) -> dict[str, Any]:
        """Return a law as the file holds it."""
        if isinstance(law, FittedAverage):
            members = [self.plain(member) for member in law.members]
            return {"law": law.name, "shares": law.law_weights.tolist(), "members": members}
        if isinstance(law, FittedComponents):
            if id(law.basis) not in self._bases:
                found = [self.plain(member) for member in law.basis.members]
                self._bases[id(law.basis)] = found
            number = list(self._bases).index(id(law.basis))
            own = {"intercept": law.intercept, "loadings": law.loadings.tolist()}
            return {"law": law.name, **own, "basis": number}
        plain = law.to_plain()
        if "points" in plain:
            points = np.asarray(plain.pop("points"), dtype=np.float64)
            plain["rows"] = [self._rows[point.tobytes()] for point in points]
        return plain


class _Reader:
    """Reads laws as `_Writer` wrote them.

    Args:
        plain: the content of `models.json`.
    """

    def __init__(self, plain: Mapping[str, Any]) -> None:
        self.mixtures = np.asarray(plain["mixtures"], dtype=np.float64)
        bases: Sequence[Sequence[Mapping[str, Any]]] = plain.get("bases", [])
        self._bases = [Basis.from_plain([self._whole(one) for one in basis]) for basis in bases]

    def laws(self, entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the plain laws of a metric, by name."""
        return {name: self._whole(plain) for name, plain in entry["laws"].items()}

    def _whole(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Return a law as `to_plain` gives it."""
        law = dict(plain)
        if "rows" in law:
            law["points"] = self.mixtures[np.asarray(law.pop("rows"), dtype=np.intp)]
        if "members" in law:
            law["members"] = [self._whole(member) for member in law["members"]]
        if "basis" in law:
            law["basis"] = self._bases[law["basis"]]
        return law


def _build(chosen: str, laws: Mapping[str, Mapping[str, Any]]) -> FittedLaw:
    """Build a law from the plain laws of its metric."""
    if chosen == AVERAGED:
        plain = laws[chosen]
        members = tuple(_LAWS[one["law"]].from_plain(one) for one in plain["members"])
        return FittedAverage(members, np.asarray(plain["shares"], dtype=np.float64))
    if chosen != STACKED:
        return _LAWS[chosen].from_plain(laws[chosen])
    law_weights = laws[chosen]["weights"]
    return FittedStack.from_members(law_weights, {name: _build(name, laws) for name in law_weights})


def restore_laws(file: Path, metrics: Sequence[str]) -> list[dict[str, HeldOut]]:
    """Return the laws of every metric with their held-out predictions, from a `models.json`.

    Raises:
        DataError: the file cannot be read, or holds other metrics.
    """
    plain = read_models(file)
    try:
        reader = _Reader(plain)
        entries = [plain["metrics"][metric] for metric in metrics]
        return [
            {
                name: HeldOut(_build(name, laws), np.asarray(held, dtype=np.float64))
                for name, held in entry["held_out"].items()
            }
            for entry in entries
            for laws in [reader.laws(entry)]
        ]
    except _DAMAGE as error:
        raise DataError(f"{file}: cannot be read as fitted laws: {error!r}. Fit again") from error


def restore_left_out(file: Path) -> dict[str, LeftOut]:
    """Return what laws predict of the ends of the swarm without them; older files hold less.

    Raises:
        DataError: the file cannot be read.
    """
    models = read_models(file)
    found = {}
    try:
        for name in {BEST_TENTH, OUTERMOST_TENTH} & set(models):
            predictions = {
                metric: {law: np.asarray(held, dtype=np.float64) for law, held in laws.items()}
                for metric, laws in models[name]["predictions"].items()
            }
            rows = np.asarray(models[name]["rows"], dtype=np.intp)
            found[name] = LeftOut(rows, predictions)
        return found
    except _DAMAGE as error:
        raise DataError(f"{file}: cannot be read as fitted laws: {error!r}. Fit again") from error


def _names(plain: list[str]) -> tuple[str, ...]:
    """Return names as they were written.

    Raises:
        TypeError: one of them is no text.
    """
    if not all(isinstance(name, str) for name in plain):
        raise TypeError(f"domains = {plain!r}: names are needed")
    return tuple(plain)


def load_fit(folder: str | Path, scale: str | None = None) -> LoadedFit:
    """Load the laws of a fit folder, such as `fit/latest`.

    Args:
        folder: the fit folder.
        scale: model size to predict, where the fit has several; the largest that runs reach, up to
            its target, if left out.

    Raises:
        DataError: `models.json` is missing, damaged, or of a format that this release does not
            read; or the fit has no such scale.
    """
    file = Path(folder) / MODELS_FILE
    plain = read_models(file)
    try:
        entries = plain["metrics"]
        reader = _Reader(plain)
        smallest = LoadedFit(
            folder=Path(folder),
            domains=_names(plain["domains"]),
            frozen=plain["frozen"],
            lower_is_better={name: entry["lower_is_better"] for name, entry in entries.items()},
            objective_weights={
                name: float(entry["objective_weight"]) for name, entry in entries.items()
            },
            laws={
                name: _build(entry["chosen"], reader.laws(entry)) for name, entry in entries.items()
            },
            mixtures=reader.mixtures,
            calibrations={
                name: Calibration.from_plain(entry["calibration"])
                for name, entry in entries.items()
            },
            errors=Calibration.from_plain(plain["objective_calibration"]),
        )
        return _at_scale(smallest, plain, scale)
    except _DAMAGE as error:
        raise DataError(f"{file}: cannot be read as fitted laws: {error!r}. Fit again") from error


def _at_scale(fit: LoadedFit, plain: Mapping[str, Any], wanted: str | None) -> LoadedFit:
    """Return the laws at a scale, each built upon those of the scale below it.

    Raises:
        DataError: there is no such scale.
    """
    larger = plain.get("scales", [])
    names = (plain["smallest"], *(one["name"] for one in larger)) if "smallest" in plain else ()
    if wanted is not None and wanted not in names:
        known = f"its scales are {', '.join(names)}" if names else "it was fitted to one scale"
        raise DataError(f"{fit.folder}: the fit has no scale {wanted}; {known}")
    if not names:
        return fit
    here = replace(fit, scale=names[0], scales=names)
    for one in larger[: names.index(wanted if wanted is not None else plain["reached"])]:
        found = {name: law_at_scale(law, one["metrics"][name]) for name, law in here.laws.items()}
        here = replace(
            here,
            scale=one["name"],
            mixtures=np.vstack([here.mixtures, one["mixtures"]]),
            laws={name: law for name, (law, _) in found.items()},
            calibrations={name: widths for name, (_, widths) in found.items()},
            errors=replace(here.errors, good=math.nan, best=math.nan),
        )
    return here
