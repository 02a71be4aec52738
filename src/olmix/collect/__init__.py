"""From run folders to the two tables that a fit reads."""

from olmix.collect.tables import Collected, collect

__all__ = ["Collected", "collect"]
