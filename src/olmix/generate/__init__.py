"""Sampling the mixtures of a swarm."""

from olmix.generate.swarm import Generated, Variant, generate, group_of, sample_swarm

__all__ = ["Generated", "Variant", "generate", "group_of", "sample_swarm"]
