"""The learning rate over the updates, and the optimizer, in optax."""

from __future__ import annotations

from typing import Any

from olmix.grpo.config import RunConfig

__all__ = ["build_optimizer", "learning_rate"]


def learning_rate(config: RunConfig, update: Any) -> Any:
    """Return the learning rate of an update, counted from 0; a number or an array of JAX.

    It rises in equal parts over W warm-up updates, (update + 1) / (W + 1) of the peak, so that no
    update is wasted on a rate of 0; then it stays, or falls by a line or a cosine towards
    ``scheduler.end_value`` times the peak, which the update after the last would have: the last one
    counts too.
    """
    import jax.numpy as jnp

    peak, warmup = config.optimizer.learning_rate, config.warmup_updates
    rising = (update + 1) / (warmup + 1)
    done = jnp.clip((update - warmup) / max(config.num_updates - warmup, 1), 0.0, 1.0)
    end = config.scheduler.end_value or 0.0
    left = {
        "constant": jnp.ones_like(done),
        "linear": 1.0 - done,
        "warmup_cosine": 0.5 * (1.0 + jnp.cos(jnp.pi * done)),
    }[config.schedule]
    falling = end + (1.0 - end) * left
    return peak * jnp.where(update < warmup, rising, falling)


def build_optimizer(config: RunConfig) -> object:
    """Return the gradient transformation of a run: clip, then AdamW or SGD."""
    import optax

    given = config.optimizer

    def rate(update: Any) -> Any:
        return learning_rate(config, update)

    if given.kind == "adamw":
        optimizer = optax.adamw(
            rate,
            b1=0.9 if given.b1 is None else given.b1,
            b2=0.99 if given.b2 is None else given.b2,
            eps=1e-8 if given.eps is None else given.eps,
            weight_decay=given.weight_decay or 0.0,
        )
    else:
        optimizer = optax.sgd(rate, momentum=given.momentum, nesterov=bool(given.nesterov))
    clip = config.training.gradient_clip
    return optimizer if clip is None else optax.chain(optax.clip_by_global_norm(clip), optimizer)
