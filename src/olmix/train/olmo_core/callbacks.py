"""What OLMo-core's trainer tells a run folder: metrics, progress, and bits per byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from olmo_core.distributed.utils import get_rank
from olmo_core.train.callbacks import Callback

from olmix.runlog import Run
from olmix.train.evaluation import Validation

__all__ = ["RunFolderCallback", "ValidationCallback"]


@dataclass
class RunFolderCallback(Callback):  # type: ignore[misc]  # OLMo-core is not followed
    """Writes every metric of every step, under OLMo-core's names, from rank 0."""

    run: Run | None = None
    """The run; none on other ranks."""
    tokens_per_step: int = 0
    """Tokens of one step on all devices."""
    logged: dict[str, float] = field(default_factory=dict)
    """Last value of each metric."""

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Write the metrics of one step."""
        plain = {name: float(value) for name, value in metrics.items()}
        self.logged |= plain
        if self.run is not None:
            self.run.log(step, plain, tokens=step * self.tokens_per_step)

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
    """What is measured."""
    interval: int = 1000
    """Steps between two evaluations."""
    tokens_per_step: int = 0
    """Tokens of one step on all devices."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What the last evaluation found."""
    measured_at: int = -1
    """Step of the last evaluation in this process."""

    def post_step(self) -> None:
        """Measure where it is due; the last step is measured after training."""
        if self.step % self.interval == 0:
            self._measure()

    def post_train(self) -> None:
        """Measure at the end of a run that was not stopped, unless its last step was measured.

        A run that was killed between its last checkpoint and its summary is measured again.
        """
        if not self.trainer.is_canceled and self.measured_at != self.step:
            self._measure()

    def _measure(self) -> None:
        if self.validation is None:
            return
        self.measured_at = self.step
        self.metrics = self.validation.bits_per_byte(self._nats(self.validation))
        if self.run is not None and get_rank() == 0:
            tokens = self.step * self.tokens_per_step
            self.run.log(self.step, {"eval": self.metrics}, tokens=tokens)

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
