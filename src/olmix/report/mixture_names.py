"""How mixtures are called: the natural one is the uniform one where no token counts were given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from olmix.plotting import mixture_label
from olmix.records.fit.folder import FitFolder
from olmix.records.fit.settings import named_from

__all__ = ["label_of", "named"]

Value = TypeVar("Value")


def label_of(content: FitFolder, name: str) -> str:
    """Return a mixture's name for readers."""
    return mixture_label(content.settings.start if name == "natural" else name)


def named(content: FitFolder, by_mixture: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by mixture with the natural one under its own name, and none of them twice."""
    return named_from(content.settings.start, by_mixture)
