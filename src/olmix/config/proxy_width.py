"""The embedded model at another width, with learning rates that follow.

The learning rate of the matrices falls with the width and that of the embeddings stays (G. Yang et
al., "Tensor Programs V", 2022).
"""

from __future__ import annotations

from olmix.config.training import ProxyTraining

__all__ = ["at_width"]


def at_width(training: ProxyTraining, width: int) -> dict[str, int | float | str]:
    """Return the keys of a training section that change with the width of the model."""
    growth = width / training.d_model
    changes: dict[str, int | float | str] = {
        "d_model": width,
        "learning_rate": training.learning_rate / growth,
        "embedding_lr_multiplier": training.embedding_lr_multiplier * growth,
    }
    if training.d_hidden is not None:
        changes["d_hidden"] = max(1, round(training.d_hidden * growth))
    return changes
