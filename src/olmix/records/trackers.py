"""W&B, trackio and TensorBoard while training, for whatever trains.

A tracker that fails is dropped with a warning; the run continues. A package not installed is
another matter: it fails the run before its first step, with the command that installs it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from olmix.config.trackers import TrackersConfig, TrackioTracker, WandbTracker
from olmix.errors import require

__all__ = ["TrackedRun", "Trackers", "open_trackers"]

logger = logging.getLogger(__name__)

_WANDB_TIMEOUT_S = 60


@dataclass(frozen=True)
class TrackedRun:
    """The facts about a run that trackers receive.

    Attributes:
        name: its name.
        folder: its folder.
        id: stays the same when a killed run resumes.
        group: the runs that it belongs to.
        config: what it was configured with, as JSON can hold it.
        tags: words to find it by.
    """

    name: str
    folder: Path
    id: str
    group: str | None
    config: Mapping[str, object]
    tags: tuple[str, ...] = ()


class Sink(Protocol):
    """A place that metrics go to."""

    name: str

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send the metrics of one step."""

    def finish(self, summary: Mapping[str, object], *, ok: bool) -> None:
        """Send the summary and end the run."""


class Trackers:
    """The trackers of one run, none of which can fail it.

    Args:
        sinks: where metrics go.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send the metrics of one step everywhere."""
        self._each(lambda sink: sink.log(step, metrics))

    def finish(self, summary: Mapping[str, object], *, ok: bool) -> None:
        """Send the summary everywhere and end the run there."""
        self._each(lambda sink: sink.finish(summary, ok=ok))

    def _each(self, act: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks):
            try:
                act(sink)
            except Exception as error:  # noqa: BLE001  whatever it is, training continues
                logger.warning(
                    "%s failed and is dropped for this run: %s; metrics.jsonl is complete",
                    sink.name,
                    error,
                )
                self._sinks.remove(sink)


def open_trackers(run: TrackedRun, wanted: TrackersConfig | None) -> Trackers | None:
    """Start the trackers that are wanted for a run; `None` where none is.

    Raises:
        MissingPackageError: a tracker's package is not installed.
    """
    starts = _starts(run, wanted) if wanted is not None else {}
    for package in starts:
        name = package.lower().removesuffix("x")
        require([package], name, f"Logging to {name}")
    sinks: list[Sink] = []
    for name, start in starts.items():
        try:
            sinks.append(start())
        except Exception as error:  # noqa: BLE001  a service that is down must not stop a swarm
            logger.warning("%s could not be started and is left out: %s", name, error)
    return Trackers(sinks) if starts else None


def _starts(run: TrackedRun, wanted: TrackersConfig) -> dict[str, Callable[[], Sink]]:
    """Return what starts each tracker that is wanted, by the package that it needs."""
    starts: dict[str, Callable[[], Sink]] = {}
    if (wandb := wanted.wandb) is not None:
        starts["wandb"] = lambda: _Wandb(run, wandb)
    if (trackio := wanted.trackio) is not None:
        starts["trackio"] = lambda: _Trackio(run, trackio)
    if wanted.tensorboard:
        starts["tensorboardX"] = lambda: _TensorBoard(run)
    return starts


class _Wandb:
    """One run of Weights & Biases; ``WANDB_MODE=offline`` works."""

    name = "wandb"

    def __init__(self, run: TrackedRun, tracker: WandbTracker) -> None:
        import wandb

        self._run = wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            mode=tracker.mode,
            group=run.group,
            name=run.name,
            id=run.id,
            resume="allow",
            tags=run.tags or None,
            dir=run.folder,
            config=dict(run.config),
            # A worker trains many runs, one after another or side by side.
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=_WANDB_TIMEOUT_S, disable_git=True
            ),
        )
        if self._run.url:
            logger.info("%s at W&B: %s", run.name, self._run.url)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, object], *, ok: bool) -> None:
        for key in ("token_shares", "epochs"):
            if key in summary:
                self._run.config.update({key: summary[key]}, allow_val_change=True)
        metrics = summary.get("metrics")
        if isinstance(metrics, Mapping):
            self._run.summary.update(dict(metrics))
        self._run.finish(exit_code=0 if ok else 1)


class _Trackio:
    """One run of trackio."""

    name = "trackio"

    def __init__(self, run: TrackedRun, tracker: TrackioTracker) -> None:
        import trackio

        self._run = trackio.init(
            project=tracker.project,
            name=run.name,
            group=run.group,
            config=dict(run.config),
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, object], *, ok: bool) -> None:
        del summary, ok
        self._run.finish()


class _TensorBoard:
    """TensorBoard's event files, in ``tensorboard/`` of the run's folder."""

    name = "tensorboard"

    def __init__(self, run: TrackedRun) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / "tensorboard"))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self, summary: Mapping[str, object], *, ok: bool) -> None:
        del summary, ok
        self._writer.close()
