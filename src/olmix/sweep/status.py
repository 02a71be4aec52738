"""The state of an experiment's runs, from the files that they write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from olmix.errors import DataError
from olmix.records.log_readers import has_diverged
from olmix.sweep.experiment import Experiment, load_experiment
from olmix.sweep.folder import EXPERIMENT, Mapped, read_mapping
from olmix.sweep.framework import Framework, RunFiles, Verdict
from olmix.sweep.frameworks import find_framework
from olmix.text.progress import OnProgress

__all__ = ["Curve", "SweptRun", "experiment_of", "framework_of", "read_states", "validate_folder"]

Curve = Sequence[tuple[int, float]]
"""(step, value) of a metric, by step."""


@dataclass(frozen=True)
class SweptRun:
    """The state of a run.

    Attributes:
        run: its row in the mapping.
        state: finished once its last epoch is saved; started once it has logged a step.
        curves: every metric that it logged.
    """

    run: Mapped
    state: Literal["finished", "started", "not started"]
    curves: Mapping[str, Curve]

    @property
    def steps(self) -> int:
        """The last step that it logged."""
        return max((points[-1][0] for points in self.curves.values() if points), default=0)

    @property
    def loss(self) -> float | None:
        """The last loss that it logged, if any."""
        points = self.curves.get("loss", ())
        return points[-1][1] if points else None

    def diverged(self, metric: str = "loss") -> bool:
        """Whether its loss, or a metric, ends without a number."""
        found = (self.curves[name] for name in {metric, "loss"} if self.curves.get(name))
        return any(has_diverged([value for _, value in points]) for points in found)


def framework_of(folder: Path) -> Framework:
    """Return the framework of an experiment's folder."""
    return find_framework(experiment_of(folder))


def experiment_of(folder: Path) -> Experiment:
    """Return the experiment of a folder."""
    return load_experiment(folder / EXPERIMENT)


def read_states(folder: str | Path) -> list[SweptRun]:
    """Return the state of every run.

    Raises:
        DataError: the folder holds no experiment.
    """
    root = Path(folder)
    rows, _ = read_mapping(root)
    framework = framework_of(root)
    return [_state(root, framework, row) for row in rows]


def _state(root: Path, framework: Framework, row: Mapped) -> SweptRun:
    if row.output_dir is None:
        return SweptRun(row, "not started", {})
    file, output = root / row.config, root / row.output_dir
    config = _config(framework, file)
    # A relative path is relative to the experiment's folder.
    folders = {path: root / folder for path, folder in framework.folders(config).items()}
    folders[framework.output_key] = output
    run = RunFiles(file, config, output, folders, root / "logs" / f"{row.id}.log")
    found = framework.read_curves(run)
    curves = {name: sorted(points.items()) for name, points in found.items()}
    state = SweptRun(row, "started" if curves else "not started", curves)
    is_finished = framework.is_finished(run, state.steps)
    return replace(state, state="finished") if is_finished else state


def _config(framework: Framework, file: Path) -> Mapping[str, Any]:
    try:
        return framework.read_config(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error}") from None


def validate_folder(
    folder: str | Path, method: str, on_progress: OnProgress | None = None
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
    verdicts = framework.validate([root / row.config for row in rows], method, on_progress)
    return dict(zip((row.id for row in rows), verdicts, strict=True))
