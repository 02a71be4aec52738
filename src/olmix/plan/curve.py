"""How the error of a proposal falls with the number of runs.

The table is of public swarms (`benchmarks/plan.py`, 20 draws): RegMix (17 domains) from 16 to 256
runs, and DCLM (24 domains) up to 64, which agrees from 32 on. A given fit states its own
held-out error, and how that fell with its runs where it has a learning curve; the table then says
which regret goes with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from olmix.errors import DataError
from olmix.records.fit.scores import read_fit
from olmix.records.fit.tables import read_rows

__all__ = ["PUBLIC", "Curve", "curve_of_fit"]

_RUNS = (16, 32, 64, 128, 256)
_ERRORS = (0.82, 0.59, 0.40, 0.28, 0.21)
_REGRETS = (0.63, 0.21, 0.098, 0.071, 0.051)
"""RegMix: held-out error and regret of the proposal, in spreads of the objective."""
_TWO_ROUNDS = 0.53
"""Regret in two rounds as a multiple of that in one, on an oracle of RegMix with 128 runs and the
noise of RegMix: 0.019 ± 0.003 against 0.035 ± 0.006, 7 worlds (`benchmarks/rounds.py`). With five
times that noise near the best mixture rounds did not help."""
_DOMAINS = 24
"""Domains up to which the table is taken as it stands; with more, runs count in proportion."""


@dataclass(frozen=True)
class Curve:
    """The held-out error as a power of the number of runs.

    Attributes:
        source: where it comes from, in words.
        runs: number of runs at which the error is known; 0 for the table of public swarms.
        error: held-out error there, in spreads of the objective.
        power: how it falls: ``error (runs / n) ** power``.
    """

    source: str
    runs: int = 0
    error: float = math.nan
    power: float = math.nan

    def regret(self, runs: int, num_domains: int, *, in_rounds: bool = False) -> float:
        """Return the expected regret of the proposal of so many runs, in spreads.

        Args:
            runs: of the swarm.
            num_domains: D.
            in_rounds: whether the second half of the runs is placed by a fit to the first.
        """
        factor = _TWO_ROUNDS if in_rounds else 1.0
        if self.runs:
            error = self.error * (self.runs / runs) ** self.power
            return factor * _log_line(error, _ERRORS[::-1], _REGRETS[::-1])
        return factor * _log_line(runs * min(1.0, _DOMAINS / num_domains), _RUNS, _REGRETS)


PUBLIC = Curve("public swarms (RegMix, DCLM: benchmarks/plan.py)")


def _log_line(at: float, x: tuple[float, ...], y: tuple[float, ...]) -> float:
    """Return `y` between its points on logarithmic axes, along the last two beyond an end."""
    log_x, log_y = np.log(x), np.log(y)
    place = int(np.clip(np.searchsorted(log_x, math.log(at)), 1, len(x) - 1))
    slope = (log_y[place] - log_y[place - 1]) / (log_x[place] - log_x[place - 1])
    return float(np.exp(log_y[place] + slope * (math.log(at) - log_x[place])))


def curve_of_fit(folder: Path) -> Curve:
    """Return the curve of a fit, its power from `learning_curve.csv` where there is one.

    Raises:
        DataError: the folder holds no fit, or one without held-out scores.
    """
    fit = read_fit(folder)
    scores = None if fit.objective is None else fit.objective.cv
    if scores is None or not math.isfinite(scores.r2):
        raise DataError(f"{folder}: the fit has no held-out scores; run `olmix fit` again")
    error = math.sqrt(max(1 - scores.r2, 1e-4))
    file = folder / "learning_curve.csv"
    counted = {one.name for one in fit.ordered if one.objective_weight > 0}
    found: dict[str, list[tuple[float, float]]] = {}
    for row in read_rows(file) if file.is_file() else ():
        if row["metric"] in counted:
            point = (
                math.log(float(row["num_mixtures"])),
                math.log(max(float(row["cv_rmse"]), 1e-12)),
            )
            found.setdefault(row["metric"], []).append(point)
    slopes = [_falls(points) for points in found.values() if len(points) > 1]
    public = math.log(_ERRORS[0] / _ERRORS[-1]) / math.log(_RUNS[-1] / _RUNS[0])
    power = float(np.clip(np.mean(slopes), 0.05, 1.0)) if slopes else public
    said = "its learning curve" if slopes else "the slope of public swarms"
    return Curve(f"the fit {folder} and {said}", len(fit.runs.used), error, power)


def _falls(points: list[tuple[float, float]]) -> float:
    """Return by which power of the runs an error falls; points are (log runs, log error)."""
    runs, errors = np.array(points).T
    return -float(np.polyfit(runs, errors, 1)[0])
