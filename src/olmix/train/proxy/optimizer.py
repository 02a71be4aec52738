"""AdamW with a clipped gradient, warm-up and linear decay.

What a run may vary without another compilation (learning rate, decay, length) is data here, not
part of the program: `Hyper` is an argument of the compiled step, and differs between the runs of a
swarm that are trained side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from olmix.config import ProxyTraining
from olmix.train.proxy.model import Params

__all__ = ["Hyper", "OptimizerState", "init", "learning_rate", "update"]

OptimizerState = Any

EPSILON = 1e-8


class Hyper(NamedTuple):
    """Numbers of the optimizer; float32 scalars, or arrays of them along the swarm axis."""

    peak_rate: Any
    embedding_multiplier: Any
    beta1: Any
    beta2: Any
    weight_decay: Any
    clip_norm: Any
    warmup_steps: Any
    num_steps: Any

    @classmethod
    def of(cls, training: ProxyTraining) -> Hyper:
        """Return the numbers that a training section asks for."""
        values = (
            training.learning_rate,
            training.embedding_lr_multiplier,
            training.beta1,
            training.beta2,
            training.weight_decay,
            training.clip_norm,
            int(training.warmup_fraction * training.num_steps),
            training.num_steps,
        )
        return cls(*(np.float32(value) for value in values))


def learning_rate(hyper: Hyper, step: Any) -> Any:
    """Return the learning rate of a step, from 0: a linear rise to the peak, a linear fall to 0.

    The rise takes `warmup_steps`, the fall the rest; the step after the last would get 0.
    """
    rise = (step + 1) / jnp.maximum(hyper.warmup_steps, 1)
    fall = (hyper.num_steps - step) / (hyper.num_steps - hyper.warmup_steps)
    return hyper.peak_rate * jnp.minimum(jnp.minimum(rise, fall), 1.0)


def _transform(hyper: Hyper, params: Params) -> optax.GradientTransformation:
    """Return clipping, Adam's direction and decoupled decay of the matrices of the blocks."""
    decayed = jax.tree.map(lambda leaf: leaf.ndim == 2, params)
    decayed["embedding"] = False
    return optax.chain(
        optax.clip_by_global_norm(hyper.clip_norm),
        optax.scale_by_adam(hyper.beta1, hyper.beta2, EPSILON),
        optax.add_decayed_weights(hyper.weight_decay, decayed),
    )


def init(params: Params) -> OptimizerState:
    """Return the state of the optimizer before the first step: zeros, on the host."""
    # The numbers of the optimizer do not enter its initial state.
    transform = _transform(Hyper(*[0.0] * len(Hyper._fields)), params)
    state = jax.eval_shape(transform.init, params)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)


def update(
    hyper: Hyper, step: Any, gradient: Params, state: OptimizerState, params: Params
) -> tuple[Params, OptimizerState]:
    """Take one step of AdamW (Loshchilov and Hutter 2019, algorithm 2).

    Args:
        hyper: numbers of the optimizer.
        step: number of the step, from 0.
        gradient: tree of the shape of `params`.
        state: as `init` or this function returned it.
        params: the parameters.

    Returns:
        the new parameters and the new state.
    """
    direction, state = _transform(hyper, params).update(gradient, state, params)
    rate = learning_rate(hyper, step)
    rates = jax.tree.map(lambda _: rate, params)
    rates["embedding"] = rate * hyper.embedding_multiplier
    moved = jax.tree.map(lambda p, d, r: p - r * d, params, direction, rates)
    return moved, state
