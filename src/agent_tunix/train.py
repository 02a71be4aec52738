"""The training under its older name: ``python -m agent_tunix.train KEY=VALUE``, or `train()`."""

from __future__ import annotations

from typing import Any

from olmix.cli.grpo import run_training
from olmix.grpo.app import main
from olmix.grpo.app import train as train_config

__all__ = ["main", "train"]


def train(cfg: Any = None) -> float | None:
    """Train as the words of the program say; or as a composed configuration, within Hydra.

    Returns the objective within Hydra, and else nothing; what is wrong ends the program.
    """
    if cfg is not None:
        return train_config(cfg)
    try:
        run_training()
    except SystemExit as end:
        if end.code:
            raise
    return None


if __name__ == "__main__":
    run_training()
