"""Olmix: choose what to train on, and with which settings, by small experiments."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from olmix.config import FitConfig, GenerationConfig, LaunchConfig, VariantConfig
    from olmix.errors import OlmixError
    from olmix.fit.session import fit_laws, load_swarm, propose
    from olmix.mixture import Mixture

__version__ = "0.1.0"

__all__ = [
    "FitConfig",
    "GenerationConfig",
    "LaunchConfig",
    "Mixture",
    "OlmixError",
    "VariantConfig",
    "fit_laws",
    "load_swarm",
    "propose",
]

_HOME = {
    "FitConfig": "olmix.config",
    "GenerationConfig": "olmix.config",
    "LaunchConfig": "olmix.config",
    "VariantConfig": "olmix.config",
    "Mixture": "olmix.mixture",
    "OlmixError": "olmix.errors",
    "fit_laws": "olmix.fit.session",
    "load_swarm": "olmix.fit.session",
    "propose": "olmix.fit.session",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that `import olmix` costs nothing."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'olmix' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*__all__, "__version__"])
