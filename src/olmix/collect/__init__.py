"""From runs, wherever they were logged, to the tables and the config that a fit reads."""

from olmix.collect.tables import Collected, Options, collect, collect_wandb

__all__ = ["Collected", "Options", "collect", "collect_wandb"]
