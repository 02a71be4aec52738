"""The numeric variables of a sweep, as `olmix fit` reads them for a response surface."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.sweep.design import SEED
from olmix.sweep.folder import Mapped
from olmix.sweep.scalars import kind_of, render_flow
from olmix.sweep.variable_checks import is_range
from olmix.text.csv import write_table
from olmix.text.numbers import counted
from olmix.text.yaml import write_yaml

__all__ = ["Factors", "choose_factors", "write_factors"]

_FEWEST_RUNS = 3
_LOG_RATIO = 2.0
SURFACE = "surface.yaml"


@dataclass(frozen=True)
class Factors:
    """The factors that a surface can be fitted to.

    Attributes:
        scales: for each factor, whether it acts evenly on a ``linear`` or a ``log`` scale, as its
            levels suggest.
        runs: the runs that differ by factors and seed alone.
        note: what was left out, or why there is no factor; empty where nothing is to be said.
    """

    scales: Mapping[str, str]
    runs: tuple[Mapped, ...]
    note: str


def choose_factors(ranking: Sequence[Mapped], design: Mapping[str, Any] = {}) -> Factors:
    """Return the numeric variables, and the runs that share the best run's other values.

    Args:
        ranking: runs that have the metric, best first.
        design: the values of variables as the experiment lists them, which say on which scale
            each acts.
    """
    best = ranking[0].params
    names = [name for name in best if name != SEED]
    numeric = [name for name in names if all(_is_number(run.params.get(name)) for run in ranking)]
    fixed = {name: best[name] for name in names if name not in numeric}
    runs = tuple(
        run for run in ranking if all(run.params.get(name) == v for name, v in fixed.items())
    )
    varied = [name for name in numeric if len(_levels(runs, name)) > 1]
    factors: list[str] = []
    for name in varied:
        if not any(_move_together(runs, name, other) for other in factors):
            factors.append(name)
    notes = []
    if len(runs) < len(ranking):
        shown = ", ".join(f"{name}={render_flow(value)}" for name, value in fixed.items())
        notes.append(
            f"left out: {counted(len(ranking) - len(runs), 'run')}; only {shown}, of the best run"
        )
    if len(factors) < len(varied):
        gone = ", ".join(name for name in varied if name not in factors)
        notes.append(f"{gone}: left out, because it always moves together with another one")
    if not factors or len(runs) < _FEWEST_RUNS:
        return Factors({}, (), "no numeric variable has several values in three or more runs")
    scales = {name: _scale(design.get(name), _levels(runs, name)) for name in factors}
    return Factors(scales, runs, "; ".join(notes))


def write_factors(
    folder: Path,
    factors: Factors,
    final: Mapping[str, Mapping[str, float]],
    metric: str,
    *,
    lower_is_better: bool,
) -> None:
    """Write `factors.csv`, `metrics.csv` and the config of their surface, where there is one."""
    config = folder / SURFACE
    if not factors.scales:
        config.unlink(missing_ok=True)
        return
    runs = sorted(factors.runs, key=lambda run: run.id)
    ids = [run.id for run in runs]
    settings = {name: [run.params[name] for run in runs] for name in factors.scales}
    write_table(folder / "factors.csv", ids, settings)
    metrics = dict.fromkeys(name for run in runs for name in final[run.id])
    values = {name: [_finite(final[run.id].get(name)) for run in runs] for name in metrics}
    write_table(folder / "metrics.csv", ids, values)
    content = {
        "tables": {"factors": "factors.csv", "metrics": "metrics.csv"},
        "factors": dict(factors.scales),
        "metric": metric,
        "lower_is_better": lower_is_better,
    }
    header = "Fit with: olmix fit -c surface.yaml -o fit"
    write_yaml(config, content, f"{header}\n{factors.note}".rstrip())


def _finite(value: float | None) -> float | None:
    """Return a number, and nothing in place of what diverged."""
    return value if value is not None and math.isfinite(value) else None


def _is_number(value: Any) -> bool:
    return kind_of(value) in ("int", "float") and math.isfinite(value)


def _levels(runs: Sequence[Mapped], name: str) -> list[float]:
    return sorted({run.params[name] for run in runs})


def _move_together(runs: Sequence[Mapped], one: str, other: str) -> bool:
    """Whether one variable always rises, or always falls, where the other one rises."""
    pairs = sorted({(run.params[one], run.params[other]) for run in runs})
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(pairs)]
    return all(x > 0 < y for x, y in steps) or all(x > 0 > y for x, y in steps)


def _scale(designed: Any, found: Sequence[float]) -> str:
    """Return the scale of a variable: that of its range, or on which its levels are more even.

    The levels of the design count where it lists them, since single points lie anywhere; two levels
    are judged by their ratio.
    """
    if is_range(designed):
        return str(designed.get("scale", "linear"))
    listed = designed if isinstance(designed, list) else []
    numbers = [value for value in listed if _is_number(value)]
    levels = sorted(numbers) if len(numbers) > 1 else found
    if levels[0] <= 0:
        return "linear"
    if len(levels) == 2:
        return "log" if levels[1] / levels[0] >= _LOG_RATIO else "linear"
    return "log" if _unevenness([math.log(x) for x in levels]) < _unevenness(levels) else "linear"


def _unevenness(levels: Sequence[float]) -> float:
    """Return the largest step between neighbours over the smallest."""
    steps = [after - before for before, after in itertools.pairwise(levels)]
    return max(steps) / min(steps)
