"""The results of an experiment: final metrics, curves, main effects, the best run."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from olmix.errors import DataError
from olmix.laws.replicates import pooled_sd
from olmix.records.log_readers import has_diverged, tail_mean
from olmix.records.metric import lower_is_better as direction_of
from olmix.sweep.design import SEED
from olmix.sweep.factors import Factors, choose_factors, write_factors
from olmix.sweep.folder import Mapped
from olmix.sweep.scalars import render_flow
from olmix.sweep.status import Curve, SweptRun, experiment_of, framework_of, read_states
from olmix.sweep.swarm_tables import write_swarm
from olmix.text.csv import write_rows, write_table

__all__ = ["Effect", "Results", "main_effects", "noise_sd", "write_results"]


@dataclass(frozen=True)
class Effect:
    """A metric over all runs that share one value of a variable.

    Attributes:
        level: the value.
        num_runs: how many runs have it.
        mean: mean of the metric.
        spread: its standard deviation over these runs (divisor n - 1); `None` for one run.
        num_unfinished: how many of these runs have not ended.
    """

    level: str
    num_runs: int
    mean: float
    spread: float | None
    num_unfinished: int = 0


@dataclass(frozen=True)
class Results:
    """The results of an experiment.

    Attributes:
        folder: where the tables and plots are.
        lower_is_better: the direction of the metric.
        ranking: runs and their final value, best first; those that diverged are not among them.
        effects: for each variable, the metric by value, over the runs of `ranking`.
        diverged: runs whose loss or metric ended without a number, with the value that it had.
        unfinished: runs that have not ended, with their last step; in `ranking` only if asked for.
        incomplete: ids of runs without the metric.
        factors: what `olmix fit` can fit a response surface to.
        noise: standard deviation between replicates; `None` without replicates.
        swarm: config of the fit of mixtures; `None` where none varies.
    """

    folder: Path
    lower_is_better: bool
    ranking: tuple[tuple[Mapped, float], ...]
    effects: Mapping[str, tuple[Effect, ...]]
    diverged: tuple[tuple[Mapped, float], ...]
    unfinished: tuple[tuple[Mapped, int], ...]
    incomplete: tuple[str, ...]
    factors: Factors
    noise: float | None
    swarm: Path | None = None


def noise_sd(runs: Sequence[tuple[Mapped, float]]) -> float | None:
    """Return the standard deviation between runs that differ only in their seed, pooled.

    `None` where no point has several seeds.
    """
    points: dict[str, list[float]] = {}
    for run, value in runs:
        point = {name: entry for name, entry in run.params.items() if name != SEED}
        points.setdefault(render_flow(point), []).append(value)
    return pooled_sd(points.values())[0]


def main_effects(
    runs: Sequence[tuple[Mapped, float]], unfinished: Collection[str] = ()
) -> dict[str, tuple[Effect, ...]]:
    """Return the mean of the metric for each value of each variable, over all other variables.

    A seed is no variable: what it changes is noise.

    Args:
        runs: runs and their final value.
        unfinished: ids of those that have not ended.
    """
    names = dict.fromkeys(name for run, _ in runs for name in run.params if name != SEED)
    effects: dict[str, tuple[Effect, ...]] = {}
    for name in names:
        levels: dict[str, list[tuple[Mapped, float]]] = {}
        for run, value in runs:
            if name in run.params:
                levels.setdefault(render_flow(run.params[name]), []).append((run, value))
        effects[name] = tuple(
            _effect(level, entries, unfinished) for level, entries in levels.items()
        )
    return effects


def _effect(
    level: str, runs: Sequence[tuple[Mapped, float]], unfinished: Collection[str]
) -> Effect:
    values = [value for _, value in runs]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    open_ = sum(run.id in unfinished for run, _ in runs)
    return Effect(level, len(values), float(np.mean(values)), spread, open_)


def write_results(
    folder: str | Path,
    output: str | Path | None = None,
    metric: str = "loss",
    *,
    lower_is_better: bool | None = None,
    unfinished: bool = False,
) -> Results:
    """Read the logs of all runs, and write tables and plots.

    Args:
        folder: the experiment's folder.
        output: where to write; ``results/`` in the folder if left out.
        metric: what runs are compared by.
        lower_is_better: the direction of the metric; as its name says (`olmix.records.metric`) if
            left out.
        unfinished: whether runs that have not ended are compared too, as far as they are.

    Raises:
        DataError: no run that could be compared has logged the metric.
        MissingPackageError: matplotlib is not installed.
    """
    root = Path(folder)
    states = read_states(root)
    final = {
        state.run.id: {name: _final([v for _, v in c]) for name, c in state.curves.items() if c}
        for state in states
    }
    logged = [state for state in states if metric in final[state.run.id]]
    diverged = [state for state in logged if state.diverged(metric)]
    open_ = [state for state in logged if state.state != "finished" and state not in diverged]
    left_out = [*diverged, *(() if unfinished else open_)]
    measured = [(s.run, final[s.run.id][metric]) for s in logged if s not in left_out]
    if not measured:
        why = _why_none(metric, states, diverged, open_)
        logs = framework_of(root).logs
        raise DataError(
            f"{root}: {why or f'no run has logged {metric}; logs that are read: {logs}'}"
        )
    target = root / "results" if output is None else Path(output)
    _write_results(target / "results.csv", states, final, metric)
    curves = {state.run.id: state.curves for state in states}
    _write_curves(target / "curves.csv", curves)
    effects = main_effects(measured, [state.run.id for state in open_])
    _write_effects(target / "main_effects.csv", effects)
    _draw(target, states, effects, metric)
    lower = direction_of([metric], {} if lower_is_better is None else {metric: lower_is_better})
    ranking = sorted(measured, key=lambda entry: entry[1] if lower else -entry[1])
    config = experiment_of(root).config
    design = {name: v for group in (config.variables, *config.paired) for name, v in group.items()}
    factors = choose_factors([run for run, _ in ranking], design)
    notes = [factors.note, *_marks(diverged, open_, unfinished=unfinished)]
    factors = replace(factors, note="; ".join(filter(None, notes)))
    write_factors(target, factors, final, metric, lower_is_better=lower)
    values = {run.id: value for run, value in ranking}
    runs = [run for run, _ in ranking]
    swarm = write_swarm(target, config, runs, values, metric, lower_is_better=lower)
    return Results(
        target,
        lower,
        tuple(ranking),
        effects,
        tuple((state.run, final[state.run.id][metric]) for state in diverged),
        tuple((state.run, state.steps) for state in open_),
        tuple(state.run.id for state in states if state not in logged),
        factors,
        noise_sd(measured),
        swarm,
    )


def _final(values: Sequence[float]) -> float:
    """Return the mean of a curve's tail, or what it ended with where that is no number."""
    if has_diverged(values):
        return next(value for value in reversed(values) if not math.isfinite(value))
    return tail_mean(values)


def _why_none(
    metric: str,
    states: Sequence[SweptRun],
    diverged: Sequence[SweptRun],
    unfinished: Sequence[SweptRun],
) -> str:
    """Return why there is no run to compare; nothing where none has logged anything."""
    if diverged or unfinished:
        reasons = []
        if diverged:
            reasons.append(f"{_ids(diverged)} diverged")
        if unfinished:
            reasons.append(f"{_ids(unfinished)} not finished (--unfinished compares them)")
        return f"no run has a final {metric}: {'; '.join(reasons)}"
    known = sorted({name for state in states for name in state.curves})
    return f"no run has logged {metric}; there are: {', '.join(known)}" if known else ""


def _marks(
    diverged: Sequence[SweptRun], open_: Sequence[SweptRun], *, unfinished: bool
) -> Iterator[str]:
    """Yield which runs a table does not hold, or holds though they have not ended."""
    if diverged:
        yield f"left out, because they diverged: {_ids(diverged)}"
    if open_:
        what = "used as far as they got" if unfinished else "left out"
        yield f"{what}, because they have not finished: {_ids(open_)}"


def _ids(states: Sequence[SweptRun]) -> str:
    return ", ".join(state.run.id for state in states)


def _state(state: SweptRun, metric: str) -> str:
    return "diverged" if state.diverged(metric) else state.state


def _write_results(
    path: Path,
    states: Sequence[SweptRun],
    final: Mapping[str, Mapping[str, float]],
    metric: str,
) -> None:
    """Write a row for each run: its parameters, the final value of every metric, its state."""
    rows = [state.run for state in states]
    columns: dict[str, list[float | str | None]] = {}
    for name in dict.fromkeys(name for row in rows for name in row.params):
        columns[name] = [_cell(row.params.get(name)) for row in rows]
    for name in dict.fromkeys(name for values in final.values() for name in values):
        # A metric may have the name of a variable: the logged learning rate is `lr`.
        label = f"final_{name}" if name in columns else name
        columns[label] = [_number(final[row.id].get(name)) for row in rows]
    label = "run_state" if "state" in columns else "state"
    columns[label] = [_state(state, metric) for state in states]
    write_table(path, [row.id for row in rows], columns)


def _cell(value: object) -> float | str | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return render_flow(value)


def _number(value: float | None) -> float | str | None:
    """Return a number, or the word for one that is not finite."""
    return value if value is None or math.isfinite(value) else str(value)


def _write_curves(path: Path, curves: Mapping[str, Mapping[str, Curve]]) -> None:
    rows = (
        (run, name, *point)
        for run, found in curves.items()
        for name, points in found.items()
        for point in points
    )
    write_rows(path, ("run", "metric", "step", "value"), rows)


def _write_effects(path: Path, effects: Mapping[str, Sequence[Effect]]) -> None:
    rows = (
        (name, e.level, e.num_runs, e.num_unfinished, e.mean, e.spread)
        for name, levels in effects.items()
        for e in levels
    )
    write_rows(path, ("variable", "value", "runs", "unfinished", "mean", "std"), rows)


def _tick(effect: Effect) -> str:
    return f"{effect.level} *" if effect.num_unfinished else effect.level


def _draw(
    target: Path,
    states: Sequence[SweptRun],
    effects: Mapping[str, Sequence[Effect]],
    metric: str,
) -> None:
    from olmix.plotting.canvas import save_figure, style
    from olmix.plotting.sweeps import curves_figure, effects_figure

    logged: dict[str, Curve] = {}
    for state in states:
        curve = [point for point in state.curves.get(metric, ()) if math.isfinite(point[1])]
        if curve:
            mark = "" if _state(state, metric) == "finished" else f" ({_state(state, metric)})"
            logged[f"{state.run.id}{mark}"] = curve
    points = {
        name: [(_tick(effect), effect.mean, effect.spread or 0.0) for effect in levels]
        for name, levels in effects.items()
    }
    with style():
        figures = {"curves.png": curves_figure(logged, metric)}
        if points:
            is_open = any(e.num_unfinished for levels in effects.values() for e in levels)
            note = "Values with * have runs that have not ended." if is_open else ""
            figures["main_effects.png"] = effects_figure(points, metric, note)
        for name, figure in figures.items():
            save_figure(figure, target / name, pad_inches=0.15)
