"""Figures as they come out, each drawn once in a process.

A loop writes its report after the fit, after the verification and at its end. Most figures stay as
they were, and drawing them takes longer than all else that a report needs.
"""

from __future__ import annotations

import pickle
import zlib
from dataclasses import dataclass, field
from functools import lru_cache

from olmix import plotting
from olmix.report.figure import PlannedFigure
from olmix.report.svg import Drawing, inline_svg, png_bytes

__all__ = ["DrawnFigure", "draw"]

_REMEMBERED = 128
"""Figures that are kept, about 100 kB each."""


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as it came out.

    Attributes:
        page: as it stands in the page; `None` for one that is only a file.
        png: bytes of its file, with title and caption.
    """

    page: Drawing | None
    png: bytes


def draw(plan: PlannedFigure) -> DrawnFigure:
    """Return a figure as it comes out."""
    return _draw(_Recipe(pickle.dumps(plan), plan))


@dataclass(frozen=True)
class _Recipe:
    """A plan that is the same as another where all that decides its looks is the same."""

    key: bytes
    plan: PlannedFigure = field(compare=False)


@lru_cache(_REMEMBERED)
def _draw(recipe: _Recipe) -> DrawnFigure:
    plan = recipe.plan
    figure, ax = plotting.new_figure(*plan.size)
    plan.draw(ax)
    page = inline_svg(figure, plan.alt, _prefix(plan.stem)) if plan.group else None
    plotting.add_caption(ax, plan.title, plan.caption)
    return DrawnFigure(page, png_bytes(figure))


def _prefix(stem: str) -> str:
    """Return the start of the ids inside a figure: the same wherever it stands in the page."""
    return f"f{zlib.crc32(stem.encode()):08x}"
