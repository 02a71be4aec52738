"""Counting tokens: how many each domain has, and so its natural share of the mixture."""

from olmix.priors.count import Counts, DomainCount, count_domains, render_priors

__all__ = ["Counts", "DomainCount", "count_domains", "render_priors"]
