"""What the runs of an experiment measured: final metrics, curves, main effects, the best run."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from olmix.errors import DataError
from olmix.records.logs import tail_mean
from olmix.records.metric import lower_is_better as direction_of
from olmix.sweep.design import SEED
from olmix.sweep.factors import Factors, choose_factors, write_factors
from olmix.sweep.folder import Mapped, read_mapping
from olmix.sweep.scalars import render_flow
from olmix.sweep.status import Curve, curves_of, framework_of
from olmix.text.csv import write_table
from olmix.text.files import write_text

__all__ = ["Effect", "Results", "main_effects", "noise_sd", "write_results"]


@dataclass(frozen=True)
class Effect:
    """A metric over all runs that share one value of a variable.

    Attributes:
        level: the value.
        num_runs: how many runs have it.
        mean: mean of the metric.
        spread: its standard deviation over these runs (divisor n - 1; 0 for one run).
    """

    level: str
    num_runs: int
    mean: float
    spread: float


@dataclass(frozen=True)
class Results:
    """What was measured.

    Attributes:
        folder: where the tables and plots are.
        lower_is_better: the direction of the metric.
        ranking: runs and their final value, best first.
        effects: for each variable, the metric by value.
        incomplete: ids of runs without the metric.
        factors: what `olmix fit` can fit a response surface to.
        noise: standard deviation between replicates; `None` without replicates.
    """

    folder: Path
    lower_is_better: bool
    ranking: tuple[tuple[Mapped, float], ...]
    effects: Mapping[str, tuple[Effect, ...]]
    incomplete: tuple[str, ...]
    factors: Factors
    noise: float | None


def noise_sd(runs: Sequence[tuple[Mapped, float]]) -> float | None:
    """Return the standard deviation between runs that differ by their seed alone, pooled.

    `None` where no point has several seeds.
    """
    points: dict[str, list[float]] = {}
    for run, value in runs:
        point = {name: entry for name, entry in run.params.items() if name != SEED}
        points.setdefault(render_flow(point), []).append(value)
    degrees = sum(len(values) - 1 for values in points.values())
    if degrees == 0:
        return None
    squares = sum(float(np.var(values)) * len(values) for values in points.values())
    return math.sqrt(squares / degrees)


def main_effects(runs: Sequence[tuple[Mapped, float]]) -> dict[str, tuple[Effect, ...]]:
    """Return the mean of the metric for each value of each variable, over all other variables.

    A seed is no variable: what it changes is noise.
    """
    names = dict.fromkeys(name for run, _ in runs for name in run.params if name != SEED)
    effects: dict[str, tuple[Effect, ...]] = {}
    for name in names:
        levels: dict[str, list[float]] = {}
        for run, value in runs:
            if name in run.params:
                levels.setdefault(render_flow(run.params[name]), []).append(value)
        effects[name] = tuple(
            Effect(
                level,
                len(values),
                float(np.mean(values)),
                float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            )
            for level, values in levels.items()
        )
    return effects


def write_results(
    folder: str | Path,
    output: str | Path | None = None,
    metric: str = "loss",
    *,
    lower_is_better: bool | None = None,
) -> Results:
    """Read the logs of all runs, and write tables and plots.

    Args:
        folder: the experiment's folder.
        output: where to write; ``results/`` in the folder if left out.
        metric: what runs are compared by.
        lower_is_better: the direction of the metric; as its name says (`olmix.records.metric`) if
            left out.

    Raises:
        DataError: no run has logged the metric.
        MissingPackageError: matplotlib is not installed.
    """
    root = Path(folder)
    rows, _ = read_mapping(root)
    framework = framework_of(root)
    curves = {row.id: curves_of(root, framework, row) for row in rows}
    final = {
        run: {name: tail_mean([value for _, value in c]) for name, c in found.items()}
        for run, found in curves.items()
    }
    measured = [
        (row, final[row.id][metric])
        for row in rows
        if math.isfinite(final[row.id].get(metric, math.nan))
    ]
    if not measured:
        known = sorted({name for values in final.values() for name in values})
        there = (
            f"there are: {', '.join(known)}" if known else f"logs that are read: {framework.logs}"
        )
        raise DataError(f"{root}: no run has logged {metric}; {there}")
    target = root / "results" if output is None else Path(output)
    _write_results(target / "results.csv", rows, final)
    _write_curves(target / "curves.csv", curves)
    effects = main_effects(measured)
    _write_effects(target / "main_effects.csv", effects)
    _draw(target, rows, curves, effects, metric)
    lower = direction_of([metric], {} if lower_is_better is None else {metric: lower_is_better})
    ranking = sorted(measured, key=lambda entry: entry[1] if lower else -entry[1])
    factors = choose_factors([run for run, _ in ranking])
    write_factors(target, factors, final, metric, lower_is_better=lower)
    done = {row.id for row, _ in measured}
    incomplete = tuple(row.id for row in rows if row.id not in done)
    return Results(target, lower, tuple(ranking), effects, incomplete, factors, noise_sd(measured))


def _write_results(
    path: Path, rows: Sequence[Mapped], final: Mapping[str, Mapping[str, float]]
) -> None:
    """Write a row for each run: its parameters, then the final value of every metric."""
    columns: dict[str, list[float | str | None]] = {}
    for name in dict.fromkeys(name for row in rows for name in row.params):
        columns[name] = [_cell(row.params.get(name)) for row in rows]
    for name in dict.fromkeys(name for values in final.values() for name in values):
        # A metric may have the name of a variable: the logged learning rate is `lr`.
        label = f"final_{name}" if name in columns else name
        columns[label] = [final[row.id].get(name) for row in rows]
    write_table(path, [row.id for row in rows], columns)


def _cell(value: object) -> float | str | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return render_flow(value)


def _write_curves(path: Path, curves: Mapping[str, Mapping[str, Curve]]) -> None:
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["run", "metric", "step", "value"])
    for run, found in curves.items():
        for name, points in found.items():
            writer.writerows([run, name, step, repr(value)] for step, value in points)
    write_text(path, stream.getvalue())


def _write_effects(path: Path, effects: Mapping[str, Sequence[Effect]]) -> None:
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["variable", "value", "runs", "mean", "std"])
    for name, levels in effects.items():
        for effect in levels:
            row = [name, effect.level, effect.num_runs, repr(effect.mean), repr(effect.spread)]
            writer.writerow(row)
    write_text(path, stream.getvalue())


def _draw(
    target: Path,
    rows: Sequence[Mapped],
    curves: Mapping[str, Mapping[str, Curve]],
    effects: Mapping[str, Sequence[Effect]],
    metric: str,
) -> None:
    from olmix.plotting.canvas import style
    from olmix.plotting.sweeps import curves_figure, effects_figure

    logged = {row.id: curves[row.id][metric] for row in rows if metric in curves[row.id]}
    points = {
        name: [(effect.level, effect.mean, effect.spread) for effect in levels]
        for name, levels in effects.items()
    }
    with style():
        figures = {"curves.png": curves_figure(logged, metric)}
        if points:
            figures["main_effects.png"] = effects_figure(points, metric)
        for name, figure in figures.items():
            figure.savefig(target / name, bbox_inches="tight", pad_inches=0.15)
