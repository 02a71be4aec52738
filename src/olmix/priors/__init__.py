"""Counting tokens: how many each domain has, and so its natural share of the mixture."""

from olmix.priors.count import DomainCount, count_tokens, render_priors

__all__ = ["DomainCount", "count_tokens", "render_priors"]
