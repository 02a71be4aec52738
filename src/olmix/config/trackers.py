"""`TrackersConfig`: where metrics go besides the `metrics.jsonl` of each run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from olmix.config.base import Section

__all__ = ["TrackersConfig", "TrackioTracker", "WandbTracker"]

_Name = Annotated[str, Field(min_length=1)]


class WandbTracker(Section):
    """Weights & Biases. The group of the swarm becomes the W&B group."""

    project: _Name
    """Project of the runs."""
    entity: _Name | None = None
    """User or team that owns the project; your default if left out."""
    mode: Literal["online", "offline"] | None = None
    """`offline` writes `.wandb` files into the run folder, which `olmix collect` reads. If left
    out, the environment's `WANDB_MODE` decides, or else it is `online`."""


class TrackioTracker(Section):
    """trackio: a local database with a page of its own (`trackio show`); no account."""

    project: _Name
    """Project of the runs."""


class TrackersConfig(Section):
    """Trackers that follow the runs. `metrics.jsonl` is always written."""

    wandb: WandbTracker | None = None
    """Log to Weights & Biases."""
    trackio: TrackioTracker | None = None
    """Log to trackio."""
    tensorboard: bool = False
    """Write TensorBoard's event files into `tensorboard/` of each run folder."""
