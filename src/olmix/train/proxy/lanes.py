"""Several runs side by side: the swarm axis leads every array, and `vmap` runs over it.

One run has no such axis, because on a CPU an axis of length 1 already costs speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from olmix.simplex import Array
from olmix.train.proxy.evaluation import Validation
from olmix.train.proxy.loop import CHUNK, Geometry, TrainState, programs
from olmix.train.proxy.optimizer import Hyper

__all__ = ["Lanes"]


class Lanes:
    """Runs of one geometry that are at the same step.

    Args:
        geometry: with `lanes` = number of runs, or 0 for one run without the axis.
        states: state of each run.
        hypers: numbers of each run.
    """

    def __init__(
        self, geometry: Geometry, states: Sequence[TrainState], hypers: Sequence[Hyper]
    ) -> None:
        self._geometry = geometry
        self._programs = programs(geometry)
        self._state: TrainState = self._stack(states)
        self._hyper: Hyper = self._stack(hypers)

    def train(self, tokens: Sequence[np.ndarray[Any, Any]]) -> Array:
        """Take some steps, at most `CHUNK`.

        Args:
            tokens: of each run, (steps, batch_size, context_length + 1).

        Returns:
            (runs, steps, 2), the loss of each step, in nats per token, and its learning rate.
        """
        count = len(tokens[0])
        padding = ((0, CHUNK - count), (0, 0), (0, 0))
        chunk = self._stack([np.pad(part, padding) for part in tokens])
        self._state, log = self._programs.train(self._state, self._hyper, chunk, np.int32(count))
        return np.asarray(log, dtype=np.float64).reshape(len(tokens), CHUNK, 2)[:, :count]

    def evaluate(self, validation: Validation) -> Array:
        """Return the surprise of each run at each window, (runs, windows), in nats."""
        found = [
            np.asarray(self._programs.nats(self._state.params, call)) for call in validation.calls
        ]
        lanes = max(1, self._geometry.lanes)
        return np.concatenate([part.reshape(lanes, -1) for part in found], axis=1)

    def state(self, run: int) -> TrainState:
        """Return the state of one run, on the host."""
        one: TrainState = jax.tree.map(
            lambda leaf: np.asarray(leaf)[run] if self._geometry.lanes else np.asarray(leaf),
            self._state,
        )
        return one

    def _stack(self, trees: Sequence[Any]) -> Any:
        if not self._geometry.lanes:
            return jax.device_put(trees[0])
        return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *trees))
