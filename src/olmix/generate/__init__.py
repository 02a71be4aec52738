"""Sampling the mixtures of a swarm, from a generation config to one file per variant."""

from olmix.generate.diagnostics import Diagnostics, diagnose, inspect_folder
from olmix.generate.larger_runs import NUM_LARGER
from olmix.generate.next_round import EarlierFit
from olmix.generate.swarm import Variant, group_of, sample_swarm
from olmix.generate.write import Generated, generate

__all__ = [
    "NUM_LARGER",
    "Diagnostics",
    "EarlierFit",
    "Generated",
    "Variant",
    "diagnose",
    "generate",
    "group_of",
    "inspect_folder",
    "sample_swarm",
]
