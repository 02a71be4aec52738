"""What the runs of an experiment's folder are doing, from the files that they write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from olmix.errors import DataError
from olmix.sweep.document import Document
from olmix.sweep.experiment import Experiment, load_experiment
from olmix.sweep.folder import EXPERIMENT, Mapped, read_mapping
from olmix.sweep.framework import Framework, Verdict, find_framework

__all__ = ["Curve", "RunState", "curves_of", "framework_of", "read_states", "validate_folder"]


Curve = Sequence[tuple[int, float]]
"""(step, value) of a metric, by step."""


@dataclass(frozen=True)
class RunState:
    """What a run is doing.

    Attributes:
        run: its row in the mapping.
        state: finished once its last epoch is saved; started once it has logged a step.
        steps: last step that it logged.
        loss: the last loss that it logged, if any.
    """

    run: Mapped
    state: Literal["finished", "started", "not started"]
    steps: int
    loss: float | None


def framework_of(folder: Path) -> Framework:
    """Return the framework of an experiment's folder."""
    return find_framework(_experiment(folder))


def _experiment(folder: Path) -> Experiment:
    return load_experiment(folder / EXPERIMENT)


def _results(folder: Path, run: Mapped) -> Path | None:
    """Return where a run writes; a relative path is relative to the experiment's folder."""
    return None if run.output_dir is None else folder / run.output_dir


def curves_of(folder: Path, framework: Framework, run: Mapped) -> dict[str, Curve]:
    """Return (step, value) of every metric that a run has logged, by step; it may be none."""
    place = _results(folder, run)
    if place is None:
        return {}
    curves = framework.read_curves(place, folder / "logs" / f"{run.id}.log")
    return {name: sorted(points.items()) for name, points in curves.items()}


def read_states(folder: str | Path) -> list[RunState]:
    """Return the state of every run.

    Raises:
        DataError: the folder holds no experiment.
    """
    root = Path(folder)
    rows, _ = read_mapping(root)
    framework = framework_of(root)
    return [_state(root, framework, row) for row in rows]


def _state(root: Path, framework: Framework, row: Mapped) -> RunState:
    place = _results(root, row)
    curves = curves_of(root, framework, row)
    steps = max((points[-1][0] for points in curves.values() if points), default=0)
    losses = curves.get("loss", ())
    loss = losses[-1][1] if losses else None
    if place is not None and framework.is_finished(_config(root, row), place):
        return RunState(row, "finished", steps, loss)
    return RunState(row, "started" if curves else "not started", steps, loss)


def _config(root: Path, row: Mapped) -> Mapping[str, Any]:
    file = root / row.config
    try:
        return Document(file.read_text(encoding="utf-8"), str(file)).data
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error}") from None


def validate_folder(
    folder: str | Path, method: str, on_step: Callable[[int, int], None] | None = None
) -> dict[str, Verdict]:
    """Run the framework's own check on every config of a folder, by id of the run.

    Raises:
        DataError: the folder holds no experiment.
        MissingPackageError: the framework is not installed.
    """
    root = Path(folder)
    rows, _ = read_mapping(root)
    framework = framework_of(root)
    framework.require()
    verdicts = framework.validate([root / row.config for row in rows], method, on_step)
    return dict(zip((row.id for row in rows), verdicts, strict=True))
