"""Designs of swarms: histograms of weights, and mixtures of three domains on the simplex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from olmix.plotting.canvas import LABEL_SIZE, plain, say_empty, shorten, style_axes
from olmix.plotting.palette import BLUE, GRID, INK, MUTED
from olmix.simplex import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_triangle", "ternary", "weight_histograms"]

_BINS = 24


def weight_histograms(ax: Axes, weights: ArrayLike, names: Sequence[str]) -> Axes:
    """Draw how often each source has which weight: one row of bars per source.

    Args:
        ax: the axes.
        weights: (n, S) weight of each source in each mixture, in [0, 1].
        names: (S,) names of the sources.
    """
    from matplotlib.ticker import PercentFormatter

    style_axes(ax, grid="x")
    array = np.asarray(weights, dtype=np.float64)
    if not array.size:
        return say_empty(ax, "no mixtures")
    edges = np.linspace(0.0, max(float(array.max()), 1e-9), _BINS + 1)
    for row, name in enumerate(names):
        counts, _ = np.histogram(array[:, row], bins=edges)
        height = 0.85 * counts / max(counts.max(), 1)
        base = np.full(_BINS, row + 0.45)
        ax.bar(
            edges[:-1],
            -height,
            width=np.diff(edges),
            bottom=base,
            align="edge",
            color=BLUE,
            linewidth=0,
            label=name,
        )
    ax.set_yticks(np.arange(len(names)), [plain(shorten(name)) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0, labelsize=LABEL_SIZE, labelcolor=INK)
    ax.set_xlim(0, edges[-1])
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_xlabel("weight; bar heights count mixtures, each row scaled to its tallest bar")
    return ax


def draw_triangle(ax: Axes, names: Sequence[str]) -> Array:
    """Draw the outline and the names of its corners; returns the corners, (3, 2).

    Args:
        ax: the axes.
        names: the three domains: left, right and top corner.
    """
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    outline = np.vstack([corners, corners[:1]])
    ax.plot(outline[:, 0], outline[:, 1], color=MUTED, linewidth=1)
    places = (("right", "top"), ("left", "top"), ("center", "bottom"))
    for corner, name, (across, along) in zip(corners, names, places, strict=True):
        words = f" {plain(shorten(name))} "
        ax.text(corner[0], corner[1], words, ha=across, va=along, color=INK, fontsize=LABEL_SIZE)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return corners


def ternary(
    ax: Axes, weights: ArrayLike, names: Sequence[str], caps: ArrayLike | None = None
) -> Axes:
    """Draw mixtures of three domains as points in a triangle, a corner for each domain.

    Args:
        ax: the axes.
        weights: (n, 3) mixtures.
        names: the three domains: left, right and top corner.
        caps: (3,) largest weights, drawn as lines; 1 where there is none.
    """
    corners = draw_triangle(ax, names)
    for domain, cap in enumerate(np.ones(3) if caps is None else np.asarray(caps)):
        if cap >= 1:
            continue
        ends = np.zeros((2, 3))
        ends[:, domain] = cap
        ends[0, (domain + 1) % 3] = ends[1, (domain + 2) % 3] = 1 - cap
        line = ends @ corners
        ax.plot(line[:, 0], line[:, 1], color=GRID, linewidth=1.5)
    points = np.asarray(weights, dtype=np.float64) @ corners
    ax.scatter(points[:, 0], points[:, 1], s=14, color=BLUE, alpha=0.75, linewidth=0)
    return ax
