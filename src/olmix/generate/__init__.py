"""Sampling the mixtures of a swarm, from a generation config to one file per variant."""

from olmix.generate.changed_files import changes_since
from olmix.generate.config_of_fit import generation_of
from olmix.generate.constraints import build_constraints
from olmix.generate.diagnostics import Diagnostics, diagnose, inspect_folder
from olmix.generate.larger_runs import NUM_LARGER
from olmix.generate.next_round import EarlierFit
from olmix.generate.swarm import Variant, group_of, sample_swarm
from olmix.generate.write import Generated, for_target, generate

__all__ = [
    "NUM_LARGER",
    "Diagnostics",
    "EarlierFit",
    "Generated",
    "Variant",
    "build_constraints",
    "changes_since",
    "diagnose",
    "for_target",
    "generate",
    "generation_of",
    "group_of",
    "inspect_folder",
    "sample_swarm",
]
