"""Trackers: where metrics go beside `metrics.jsonl`. Nothing is started that was not asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmix.errors import MissingPackageError
from olmix.grpo.config import RunConfig
from olmix.records.trackers import Trackers
from olmix.text.files import digest

__all__ = ["open_trackers"]


class _TensorBoard:
    """TensorBoard's event files, in ``tensorboard/`` of the run's folder."""

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise MissingPackageError("tensorboardX", "grpo", "logging=[tensorboard]") from None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one scalar per metric."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, summary: Mapping[str, Any], *, ok: bool) -> None:
        """Write what is pending."""
        del summary, ok
        self._writer.close()


class _WandB:
    """A run of Weights & Biases, the same one when it goes on; ``WANDB_MODE=offline`` works."""

    name = "wandb"

    def __init__(self, config: RunConfig, folder: Path) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingPackageError("wandb", "wandb", "logging=[wandb]") from None
        self._run: Any = wandb.init(
            project=config.project_name,
            name=config.experiment_name or folder.name,
            id=digest(str(folder.resolve()), 16),
            resume="allow",
            tags=list(config.tags),
            dir=str(folder),
            config=config.to_plain(),
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send the metrics of a step."""
        self._run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, Any], *, ok: bool) -> None:
        """Send the summary and end the run."""
        self._run.summary.update(dict(summary))
        self._run.finish(exit_code=0 if ok else 1)


def open_trackers(config: RunConfig, folder: Path) -> Trackers:
    """Return the trackers that `logging` names; `jsonl` is written anyway.

    A tracker that fails later is dropped with a warning, and the run goes on.

    Raises:
        MissingPackageError: one of them is not installed.
    """
    sinks: list[_TensorBoard | _WandB] = []
    if "tensorboard" in config.logging:
        sinks.append(_TensorBoard(folder))
    if "wandb" in config.logging:
        sinks.append(_WandB(config, folder))
    return Trackers(sinks)
