"""How a training grows with the rungs of a ladder: more tokens, and a model to match.

A run of scale ``s`` has ``s`` times the tokens and parameters, so that every rung has as many
tokens per parameter. The embedded trainer grows in width, and its learning rates follow
(`config/proxy_width.py`). OLMo-core chooses one by the size of the model where none is given, else
it falls by ``s ** (-1/3)`` as there.
"""

from __future__ import annotations

import math

from olmix.config import LaunchConfig, OlmoCoreTraining, ProxyTraining
from olmix.config.olmo_sizes import MODEL_PARAMETERS
from olmix.config.proxy_width import at_width
from olmix.errors import ConfigError, Problem

__all__ = ["at_scale"]

_NEAR = 1.5
"""Largest factor by which a model may miss the size that was asked for."""


def at_scale(base: LaunchConfig, scale: float) -> LaunchConfig:
    """Return a base config with `scale` times the tokens and parameters; 1 changes nothing.

    A command of your own gets more tokens alone: its model is its own.

    Raises:
        ConfigError: OLMo-core has no model of about that size, or the numbers do not fit together.
    """
    if scale == 1:
        return base
    training = base.training
    if isinstance(training, ProxyTraining):
        changes = _wider(training, scale)
    elif isinstance(training, OlmoCoreTraining):
        changes = _larger(training, scale, base.name)
    else:
        changes = {"max_tokens": round(training.num_tokens * scale)}
    return base.resized(f"{base.name}, {scale:g} times", changes)


def _wider(training: ProxyTraining, scale: float) -> dict[str, int | float | str]:
    step = 2 * training.num_heads
    width = max(step, step * round(training.d_model * math.sqrt(scale) / step))
    return {"max_tokens": round(training.num_tokens * scale), **at_width(training, width)}


def _larger(training: OlmoCoreTraining, scale: float, name: str) -> dict[str, int | float | str]:
    own, family = training.num_parameters, training.proxy_model_id.partition("_")[0]
    sizes = {model: n for model, n in MODEL_PARAMETERS.items() if model.startswith(f"{family}_")}
    if training.model_parameters is not None or own is None or not sizes:
        raise ConfigError(
            [
                Problem(
                    "training.proxy_model_id",
                    "a ladder knows only the sizes of OLMo's own models; "
                    f"{training.proxy_model_id} is not one. Launch the sizes as variants with "
                    "their own `training` section",
                )
            ],
            name,
        )
    wanted = own * scale
    model = min(sizes, key=lambda one: abs(math.log(sizes[one] / wanted)))
    grown = sizes[model] / own
    if max(grown / scale, scale / grown) > _NEAR:
        raise ConfigError(
            [
                Problem(
                    "--scales",
                    f"no {family} model has about {wanted:,.0f} parameters, {scale:g} times "
                    f"{training.proxy_model_id}; "
                    + ", ".join(f"{n / own:.3g} is {m}" for m, n in sizes.items() if n > own),
                )
            ],
            name,
        )
    changes: dict[str, int | float | str] = {
        "proxy_model_id": model,
        "max_tokens": round(training.num_tokens * grown),
    }
    if training.learning_rate is not None:
        changes["learning_rate"] = training.learning_rate * grown ** (-1 / 3)
    return changes
