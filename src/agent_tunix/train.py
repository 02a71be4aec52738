"""The function that Hydra runs, under its older name."""

from olmix.grpo.app import main, train

__all__ = ["main", "train"]
