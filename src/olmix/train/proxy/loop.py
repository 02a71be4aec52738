"""Many steps of training in one compiled program.

The host hands over up to `CHUNK` steps of tokens at once, and the program runs as many of them as
it is told to: the cost of a call is paid once a chunk, and one compilation serves runs of every
length and chunks of every size. A step computes the same bits wherever a chunk begins or ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from olmix.train.proxy import model, optimizer
from olmix.train.proxy.model import ModelShape, Params
from olmix.train.proxy.optimizer import Hyper, OptimizerState

__all__ = [
    "CHUNK",
    "EVAL_TOKENS",
    "Geometry",
    "Programs",
    "TrainState",
    "initial_state",
    "programs",
]

CHUNK = 32
"""Steps of one call, at most."""
EVAL_TOKENS = 1024
"""Tokens that one call of the evaluation takes, about."""


class TrainState(NamedTuple):
    """Everything that a step changes.

    Attributes:
        params: parameters of the model.
        optimizer: state of the optimizer.
        step: steps done, int32.
    """

    params: Params
    optimizer: OptimizerState
    step: Any


@dataclass(frozen=True)
class Geometry:
    """The sizes that a compilation depends on.

    Attributes:
        shape: sizes of the model.
        batch_size: sequences of a step.
        context_length: tokens of a sequence.
        lanes: runs side by side, along a leading axis of all arrays; 0 for one run without it.
    """

    shape: ModelShape
    batch_size: int
    context_length: int
    lanes: int = 0

    @property
    def eval_batch(self) -> int:
        """Sequences that one call of the evaluation takes."""
        return max(1, EVAL_TOKENS // self.context_length)


@dataclass(frozen=True)
class Programs:
    """The compiled programs of a geometry.

    Attributes:
        train: (state, hyper, tokens, count) to (state, log): takes `count` steps over the int32
            tokens (CHUNK, batch_size, context_length + 1). The log is (CHUNK, 2), the loss and the
            learning rate of each step, 0 beyond `count`. The state that goes in must not be used
            again.
        nats: (params, tokens) to (eval_batch,): surprise of each sequence of (eval_batch,
            context_length + 1), in nats.
    """

    train: Callable[[TrainState, Hyper, Any, Any], tuple[TrainState, jax.Array]]
    nats: Callable[[Params, Any], jax.Array]


def initial_state(seed: int, shape: ModelShape) -> TrainState:
    """Return the state before the first step, on the host; seed and sizes decide it alone."""
    params = model.init(np.random.default_rng(seed), shape)
    return TrainState(params, optimizer.init(params), np.zeros((), np.int32))


Loss = Callable[[Params, jax.Array, ModelShape], jax.Array]
"""(params, tokens, shape) to the mean surprise, as `model.loss`."""


def train_step(
    state: TrainState, hyper: Hyper, tokens: jax.Array, shape: ModelShape, loss: Loss = model.loss
) -> tuple[TrainState, jax.Array]:
    """Take one step on (batch_size, context_length + 1) tokens.

    Returns:
        the new state; and (2,), the loss before the step and its learning rate.
    """
    nats, gradient = jax.value_and_grad(loss)(state.params, tokens, shape)
    params, moments = optimizer.update(hyper, state.step, gradient, state.optimizer, state.params)
    rate = optimizer.learning_rate(hyper, state.step)
    return TrainState(params, moments, state.step + 1), jnp.stack([nats, rate])


def train_steps(
    state: TrainState,
    hyper: Hyper,
    tokens: jax.Array,
    count: jax.Array,
    shape: ModelShape,
    loss: Loss = model.loss,
) -> tuple[TrainState, jax.Array]:
    """Take `count` steps on (CHUNK, batch_size, context_length + 1) tokens; see `Programs`."""

    def body(index: object, carry: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
        state, log = carry
        state, entry = train_step(state, hyper, tokens[index], shape, loss)
        return state, log.at[index].set(entry)

    log = jnp.zeros((tokens.shape[0], 2), jnp.float32)
    state, log = jax.lax.fori_loop(0, count, body, (state, log))
    return state, log


def sequence_nats(params: Params, tokens: jax.Array, shape: ModelShape) -> jax.Array:
    """Return the surprise of each sequence of (B, T + 1) tokens, in nats, (B,)."""
    return model.token_nats(params, tokens, shape).sum(axis=-1)


@lru_cache(maxsize=8)
def programs(geometry: Geometry) -> Programs:
    """Compile the programs of a geometry, once a process."""
    train = partial(train_steps, shape=geometry.shape)
    nats = partial(sequence_nats, shape=geometry.shape)
    if geometry.lanes:
        train = jax.vmap(train, in_axes=(0, 0, 0, None))
        nats = jax.vmap(nats, in_axes=(0, None))

    def like(leaf: Any) -> jax.ShapeDtypeStruct:
        lanes = (geometry.lanes,) if geometry.lanes else ()
        return _array((*lanes, *leaf.shape), leaf.dtype)

    width = geometry.context_length + 1
    state = jax.tree.map(like, initial_state(0, geometry.shape))
    hyper = Hyper(*[like(np.float32(0))] * len(Hyper._fields))
    tokens = like(_array((CHUNK, geometry.batch_size, width), np.int32))
    count = _array((), np.int32)
    sequences = _array((geometry.eval_batch, width), np.int32)
    return Programs(
        jax.jit(train, donate_argnums=0).lower(state, hyper, tokens, count).compile(),
        jax.jit(nats).lower(state.params, sequences).compile(),
    )


def _array(shape: tuple[int, ...], dtype: object) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]
