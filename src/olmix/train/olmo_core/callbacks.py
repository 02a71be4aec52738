"""Callbacks of OLMo-core's trainer: metrics, progress and bits per byte for the run folder."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from olmo_core.distributed.utils import get_rank
from olmo_core.train.callbacks import Callback, EvaluatorCallback
from olmo_core.train.common import TRAIN_CE_LOSS_METRIC

from olmix.runlog import Run
from olmix.train.outcome import RunProgress
from olmix.train.proxy.evaluation import Validation

__all__ = ["RunFolderCallback", "ValidationCallback"]


@dataclass
class RunFolderCallback(Callback):  # type: ignore[misc]  # OLMo-core is not followed
    """Writes every metric of every step, under OLMo-core's names, from rank 0.

    After each step it asks whether to stop. OLMo-core would stop by itself on SIGTERM, but not on
    one that comes while it loads, nor when the launcher is gone.
    """

    run: Run | None = None
    """The run; none on other ranks."""
    tokens_per_step: int = 0
    """Tokens of one step on all devices."""
    num_steps: int = 0
    """Steps of the run."""
    on_progress: Callable[[RunProgress], None] = lambda _: None
    """Called when metrics were logged."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked after every step."""
    signals: dict[int, Any] = field(default_factory=dict)
    """The caller's handlers of signals, which OLMo-core's must not replace."""
    logged: dict[str, float] = field(default_factory=dict)
    """Last value of each metric."""
    started: tuple[int, float] = (0, 0.0)
    """Step and time at which this process began to train."""

    def pre_train(self) -> None:
        """Give signals back to the caller; the trainer has just taken them."""
        for number, handler in self.signals.items():
            signal.signal(number, handler)
        self.started = (self.step, time.monotonic())

    def post_step(self) -> None:
        """Stop where that is asked for; the trainer saves a checkpoint when it ends.

        A run that has done its last step is through, and is measured like any other.
        """
        if self.step < self.num_steps and self.should_stop():
            self.trainer.cancel_run("asked to stop")

    def post_train(self) -> None:
        """Leave out the last evaluations of a run that stops on its way: they are not needed."""
        if self.step >= self.num_steps:
            return
        for callback in self.trainer.callbacks.values():
            if isinstance(callback, EvaluatorCallback):
                callback.eval_on_finish = False

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Write the metrics of one step."""
        plain = {name: float(value) for name, value in metrics.items()}
        self.logged |= plain
        if self.run is not None:
            self.run.log(step, plain, tokens=step * self.tokens_per_step)
            self.on_progress(self._progress(self.run, step))

    def _progress(self, run: Run, step: int) -> RunProgress:
        first, since = self.started
        rate = (step - first) * self.tokens_per_step / max(time.monotonic() - since, 1e-9)
        loss = self.logged.get(TRAIN_CE_LOSS_METRIC)
        return RunProgress(run.folder.path, step, self.num_steps, max(rate, 0.0), loss)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: a resumed run keeps the metrics of its past."""
        return {"logged": self.logged}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what a checkpoint holds."""
        self.logged = dict(state_dict["logged"])


@dataclass
class ValidationCallback(Callback):  # type: ignore[misc]
    """Measures bits per byte as the embedded trainer does, every so often and at the end."""

    run: Run | None = None
    """The run; none on other ranks."""
    validation: Validation | None = None
    """The validation windows."""
    interval: int = 1000
    """Steps between evaluations."""
    tokens_per_step: int = 0
    """Tokens of one step on all devices."""
    num_steps: int = 0
    """Steps of the run."""
    metrics: dict[str, float] = field(default_factory=dict)
    """The metrics of the last evaluation."""
    measured_at: int = -1
    """Step of the last evaluation in this process."""
    waits: bool = False
    """Whether the last evaluation is still to be written down."""

    def pre_train(self) -> None:
        """Measure what is due at the step of the checkpoint, which was saved before measuring."""
        if self.step > 0 and self.step % self.interval == 0:
            self._measure()
            self._write()

    def post_step(self) -> None:
        """Measure where it is due; the last step is measured after training."""
        if self.step % self.interval == 0:
            self._measure()

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Write what was measured when the losses before it are written.

        They come some steps later, and trackers take no step that is before their last one.
        """
        del metrics
        if self.waits and step >= self.measured_at:
            self._write()

    def post_train(self) -> None:
        """Measure at the end of the run, unless its last step was measured.

        A run that was killed between its last checkpoint and its summary is measured again.
        """
        if self.step >= self.num_steps and self.measured_at != self.step:
            self._measure()
        self._write()

    def _measure(self) -> None:
        if self.validation is not None:
            self.metrics = self.validation.bits_per_byte(self._nats(self.validation))
            self.measured_at, self.waits = self.step, True

    def _write(self) -> None:
        if self.waits and self.run is not None and get_rank() == 0:
            tokens = self.measured_at * self.tokens_per_step
            self.run.log(self.measured_at, {"eval": self.metrics}, tokens=tokens)
        self.waits = False

    def _nats(self, validation: Validation) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the surprise of each window, (windows,)."""
        import torch

        found = []
        for windows in validation.calls:
            tokens = torch.from_numpy(windows.astype(np.int64))
            with torch.no_grad():
                output = self.trainer.train_module.eval_batch(
                    {"input_ids": tokens[:, :-1].contiguous()}, labels=tokens[:, 1:].contiguous()
                )
            losses = output.ce_loss.view(len(windows), -1).double().sum(dim=1)
            found.append(losses.cpu().numpy())
        return np.concatenate(found)
