"""How many different mixtures a law needs before it can be fitted."""

from __future__ import annotations

__all__ = ["least_mixtures"]

_LEAST = 16
"""Mixtures from which laws without a parameter for each domain can be fitted and cross-validated,
whatever the number of domains."""
_WITHOUT_SLOPES = frozenset({"auto", "gp", "lightgbm", "search"})


def least_mixtures(num_domains: int, regression: str = "auto") -> int:
    """Return the fewest different mixtures that a regression of `num_domains` domains takes.

    A law with a slope for each domain takes one more than there are domains. Gaussian processes,
    which `auto` has among its laws, and trees need no more than 16.
    """
    full = num_domains + 1
    return min(full, _LEAST) if regression in _WITHOUT_SLOPES else full
