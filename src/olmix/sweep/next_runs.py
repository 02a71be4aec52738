"""The next runs of an experiment, as its fit proposes them: points at the end of its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from olmix.errors import ConfigError, DataError
from olmix.records.fit.next_batch import NextBatch, read_next_batch
from olmix.sweep.design import SEED, Point, variable_names
from olmix.sweep.experiment import Experiment, load_experiment, parse_experiment
from olmix.sweep.folder import EXPERIMENT, Mapped, read_mapping
from olmix.sweep.scalars import kind_of, render_flow

__all__ = ["with_next_runs"]

_HEADER = "\n# Runs that `olmix fit` proposed, added by `olmix sweep generate --after`.\npoints:\n"


def with_next_runs(folder: Path, fit: Path, number: int) -> Experiment:
    """Return the experiment of a folder with the next runs that a fit proposes.

    Args:
        folder: what `olmix sweep generate` wrote.
        fit: a fit of its runs.
        number: of runs to add.

    Raises:
        DataError: the folder holds no experiment, the fit is of another one or proposes fewer
            runs, or the experiment cannot be extended.
    """
    rows, about = read_mapping(folder)
    experiment = load_experiment(folder / EXPERIMENT)
    batch = read_next_batch(fit)
    _check(experiment, rows, batch, fit, number)
    points = list(_points(experiment, rows, batch, number))
    extended = _append(experiment, folder / EXPERIMENT, points)
    section = extended.config.framework_config
    if section.base_config_file is None:
        return extended
    # A relative path was relative to the file that the folder was generated from.
    section = section.model_copy(update={"base_config_file": about["base_config"]})
    return replace(
        extended, config=extended.config.model_copy(update={"framework_config": section})
    )


def _check(
    experiment: Experiment, rows: list[Mapped], batch: NextBatch, fit: Path, number: int
) -> None:
    names, settings = variable_names(experiment.config), set(batch.runs[0].settings)
    known = {row.id for row in rows}
    runs = {batch.best, *(run.repeats for run in batch.runs if run.repeats is not None)}
    strange = [*sorted(settings - set(names)), *sorted(runs - known)]
    if strange:
        raise DataError(
            f"{fit}: it is the fit of another sweep: {', '.join(strange)} is not in "
            f"{experiment.name}. Fit the results of this one"
        )
    if number > len(batch.runs):
        raise DataError(
            f"{fit}: it proposes {len(batch.runs)} runs, fewer than the {number} asked for. Run "
            "these, then fit again"
        )
    for group in experiment.config.paired:
        left = set(group) - settings
        if settings & set(group) and left:
            raise DataError(
                f"{experiment.name}: paired: {', '.join(sorted(left))} moves together with "
                f"{', '.join(sorted(settings & set(group)))}, and the fit does not say how. Write "
                "it into controls as a derived value, such as ${mul:2,${lora_rank}}"
            )


def _points(
    experiment: Experiment, rows: list[Mapped], batch: NextBatch, number: int
) -> Iterator[Point]:
    """Yield the value of every variable of each run, and a new seed where a point is repeated."""
    by_id = {row.id: row.params for row in rows}
    best = by_id[batch.best]
    seeds = [row.params[SEED] for row in rows if isinstance(row.params.get(SEED), int)]
    control = experiment.config.controls.get(SEED)
    last = max([*seeds, control if isinstance(control, int) else 0])
    made: list[Point] = []
    for run in batch.runs[:number]:
        point = {name: best[name] for name in variable_names(experiment.config)}
        for name, value in run.settings.items():
            whole = kind_of(best[name]) == "int" and value == round(value)
            point[name] = round(value) if whole else value
        again = run.repeats is not None or point in made
        made.append(point)
        last += again
        yield point | {SEED: last} if again else point


def _append(experiment: Experiment, file: Path, points: list[Point]) -> Experiment:
    """Return an experiment with points behind those that its file has."""
    lines = "".join(f"  - {render_flow(point)}\n" for point in points)
    start = experiment.text.rstrip() + "\n"
    before = experiment.config.points
    text = start + ("" if before else _HEADER) + lines
    try:
        extended = load_experiment(parse_experiment(text, file))
    except ConfigError:
        extended = experiment
    if extended.config.points != (*before, *points):
        raise DataError(
            f"{file}: the next runs cannot be written to its end; make `points:` its last "
            "section, with a line `  - {...}` for each"
        )
    return extended
