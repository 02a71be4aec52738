"""W&B and trackio while training. A tracker that fails is dropped with a warning; the run goes on.

A package that is not installed is another matter: it fails the run before its first step, with the
command that installs it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from olmix.config import LaunchConfig, TrackioTracker, WandbTracker
from olmix.errors import MissingPackageError
from olmix.records.run import RunFolder
from olmix.text.files import digest

__all__ = ["Trackers", "open_trackers"]

logger = logging.getLogger(__name__)

_WANDB_TIMEOUT_S = 60


class Sink(Protocol):
    """A place that metrics go to."""

    name: str

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send the metrics of one step."""

    def finish(self, summary: Mapping[str, Any], *, ok: bool) -> None:
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

    def finish(self, summary: Mapping[str, Any], *, ok: bool) -> None:
        """Send the summary everywhere and end the run there."""
        self._each(lambda sink: sink.finish(summary, ok=ok))

    def _each(self, act: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks):
            try:
                act(sink)
            except Exception as error:  # noqa: BLE001  whatever it is, training goes on
                logger.warning(
                    "%s failed and is left out from here on: %s; metrics.jsonl has everything",
                    sink.name,
                    error,
                )
                self._sinks.remove(sink)


def open_trackers(folder: RunFolder, config: LaunchConfig | None = None) -> Trackers | None:
    """Start the trackers that a run's config asks for; `None` where it asks for none.

    Args:
        folder: the run folder.
        config: the run's config; that of the folder if left out.

    Raises:
        MissingPackageError: a tracker's package is not installed.
        ConfigError: the config is not valid.
    """
    config = config if config is not None else LaunchConfig.from_yaml(folder.config)
    if config.trackers is None:
        return None
    wanted: list[tuple[str, Callable[[], Sink]]] = []
    if (wandb := config.trackers.wandb) is not None:
        _require("wandb")
        wanted.append(("wandb", lambda: _Wandb(folder, config, wandb)))
    if (trackio := config.trackers.trackio) is not None:
        _require("trackio")
        wanted.append(("trackio", lambda: _Trackio(folder, config, trackio)))
    sinks: list[Sink] = []
    for name, start in wanted:
        try:
            sinks.append(start())
        except Exception as error:  # noqa: BLE001  a service that is down must not stop a swarm
            logger.warning("%s does not start and is left out: %s", name, error)
    return Trackers(sinks) if wanted else None


def _require(package: str) -> None:
    """Raise a `MissingPackageError` where a tracker's package is not installed."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingPackageError(package, package, f"trackers.{package}")


def _run_id(folder: RunFolder, config: LaunchConfig) -> str:
    """Return an id that stays the same when a run goes on after it was killed."""
    plain = config.to_plain()
    meant = [plain.get(key) for key in ("training", "data", "eval", "mix", "group_id")]
    return digest([folder.name, str(folder.path.resolve()), meant], 16)


class _Wandb:
    """One run of Weights & Biases."""

    name = "wandb"

    def __init__(self, folder: RunFolder, config: LaunchConfig, tracker: WandbTracker) -> None:
        import wandb

        self._run = wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            mode=tracker.mode,
            group=config.group_id,
            name=folder.name,
            id=_run_id(folder, config),
            resume="allow",
            dir=folder.path,
            config=config.to_plain(),
            # A worker trains many runs, one after another or side by side.
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", init_timeout=_WANDB_TIMEOUT_S, disable_git=True
            ),
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, Any], *, ok: bool) -> None:
        for key in ("token_shares", "epochs"):
            if key in summary:
                self._run.config.update({key: summary[key]}, allow_val_change=True)
        self._run.summary.update(dict(summary.get("metrics", {})))
        self._run.finish(exit_code=0 if ok else 1)


class _Trackio:
    """One run of trackio."""

    name = "trackio"

    def __init__(self, folder: RunFolder, config: LaunchConfig, tracker: TrackioTracker) -> None:
        import trackio

        self._run = trackio.init(
            project=tracker.project,
            name=folder.name,
            group=config.group_id,
            config=config.to_plain(),
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self, summary: Mapping[str, Any], *, ok: bool) -> None:
        del summary, ok
        self._run.finish()
