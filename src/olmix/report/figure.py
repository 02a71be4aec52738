"""A figure of the report: what is planned, and what was drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Picture", "PlannedFigure"]


@dataclass(frozen=True)
class Picture:
    """A figure in the page.

    Attributes:
        file: name of the PNG file beside the page.
        group: part of the page that shows it.
        title: what it shows.
        caption: number of runs, split and seed.
        svg: the figure, as an element of the page.
        width: its natural width, CSS pixels.
    """

    file: str
    group: str
    title: str
    caption: str
    svg: str
    width: int


@dataclass(frozen=True)
class PlannedFigure:
    """A figure that is still to be drawn; without a `group` it is only a file."""

    stem: str
    group: str
    title: str
    caption: str
    alt: str
    size: tuple[float, float]
    draw: Callable[[Axes], Axes]
