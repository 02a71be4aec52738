"""A mixture as other trainers read it."""

from olmix.export.mixtures import DomainShare, ExportedMix, read_mixtures
from olmix.export.trainers import TRAINERS, TrainerFormat, export_mix, merged_with

__all__ = [
    "TRAINERS",
    "DomainShare",
    "ExportedMix",
    "TrainerFormat",
    "export_mix",
    "merged_with",
    "read_mixtures",
]
