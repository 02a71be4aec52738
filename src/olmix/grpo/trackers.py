"""Trackers: where metrics go beside `metrics.jsonl`. Nothing is started that was not asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from olmix.errors import MissingPackageError
from olmix.grpo.config import RunConfig

__all__ = ["Tracker", "open_trackers"]


class Tracker(Protocol):
    """Takes metrics."""

    def log(self, step: int, row: Mapping[str, float]) -> None:
        """Take the metrics of a step."""

    def close(self) -> None:
        """Write what is pending."""


class _TensorBoard:
    """TensorBoard's event files, in ``tensorboard/`` of the run's folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise MissingPackageError("tensorboardX", "grpo", "logging=[tensorboard]") from None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, row: Mapping[str, float]) -> None:
        """Write one scalar per metric."""
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the event file."""
        self._writer.close()


class _WandB:
    """A run of Weights & Biases; ``WANDB_MODE=offline`` works."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingPackageError("wandb", "wandb", "logging=[wandb]") from None
        self._run: Any = wandb.init(
            project=config.project_name,
            name=config.experiment_name or folder.name,
            tags=list(config.tags),
            dir=str(folder),
            config=config.to_plain(),
        )

    def log(self, step: int, row: Mapping[str, float]) -> None:
        """Send the metrics of a step."""
        self._run.log({name: value for name, value in row.items() if name != "step"}, step=step)

    def close(self) -> None:
        """End the run."""
        self._run.finish()


def open_trackers(config: RunConfig, folder: Path) -> Sequence[Tracker]:
    """Return the trackers that `logging` names; `jsonl` is written anyway.

    Raises:
        MissingPackageError: one of them is not installed.
    """
    trackers: list[Tracker] = []
    if "tensorboard" in config.logging:
        trackers.append(_TensorBoard(folder))
    if "wandb" in config.logging:
        trackers.append(_WandB(config, folder))
    return trackers
