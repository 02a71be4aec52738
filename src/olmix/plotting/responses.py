"""How the objective responds to the mixture: curves, triangles, fronts, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from olmix.plotting.canvas import (
    LABEL_SIZE,
    SMALL_SIZE,
    add_colour_bar,
    add_legend,
    data_limits,
    plain,
    say_empty,
    shorten,
    style_axes,
)
from olmix.plotting.design import draw_triangle
from olmix.plotting.palette import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MIXTURE_MARKERS,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILLION,
    mixture_colour,
    mixture_label,
    sequential,
)
from olmix.simplex import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["calibration_curve", "pareto_points", "response_curves", "ternary_response"]

_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)
_LINES = ("-", "--", "-.", ":")
_MOST_CURVES = 7
_LEVELS = 12


def response_curves(
    ax: Axes,
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    here: Mapping[str, float],
    *,
    label: str,
) -> Axes:
    """Draw a metric against the weight of each domain, the others in proportion.

    Args:
        ax: the axes.
        curves: ``{domain: (weights, predictions)}``; the seven that change most are drawn.
        here: weight of each domain in the mixture that the curves start from.
        label: what is predicted, with its unit.
    """
    from matplotlib.lines import Line2D

    style_axes(ax, grid="both")
    if not curves:
        return say_empty(ax, "no curves")
    arrays = {
        name: (np.asarray(weights, dtype=np.float64), np.asarray(values, dtype=np.float64))
        for name, (weights, values) in curves.items()
    }
    order = sorted(arrays, key=lambda name: -float(np.ptp(arrays[name][1])))[:_MOST_CURVES]
    handles = []
    for index, name in enumerate(order):
        weights, values = arrays[name]
        look: dict[str, Any] = {
            "color": _COLOURS[index % len(_COLOURS)],
            "linestyle": _LINES[index % len(_LINES)],
        }
        ax.plot(100 * weights, values, linewidth=1.6, **look)
        if name in here:
            at = float(np.interp(here[name], weights, values))
            ax.plot(100 * here[name], at, marker="D", ms=5, color=look["color"], mec=PAPER)
        handles.append(Line2D([], [], linewidth=1.6, label=plain(shorten(name)), **look))
    ax.set_xlim(-1, 101)
    ax.set_ylim(*data_limits(np.concatenate([arrays[name][1] for name in order]), pad=0.05))
    ax.set_xlabel("weight of the domain (%); the others keep their proportions")
    ax.set_ylabel(plain(label))
    add_legend(ax, handles, columns=3)
    return ax


def ternary_response(
    ax: Axes,
    weights: ArrayLike,
    values: ArrayLike,
    names: Sequence[str],
    marked: Mapping[str, ArrayLike],
    *,
    label: str,
) -> Axes:
    """Draw a metric over mixtures of three domains, a corner of the triangle for each.

    Args:
        ax: the axes.
        weights: (n, 3) mixtures of the three domains.
        values: (n,) predictions.
        names: the three domains: left, right and top corner.
        marked: named mixtures of the three, (3,) summing to 1.
        label: what is predicted, with its unit.
    """
    array = np.asarray(weights, dtype=np.float64)
    if not array.size:
        return say_empty(ax, "fewer than three domains")
    corners = draw_triangle(ax, names)
    points = array @ corners
    filled = ax.tricontourf(
        points[:, 0], points[:, 1], np.asarray(values), levels=_LEVELS, cmap=sequential().reversed()
    )
    ax.tricontour(
        points[:, 0], points[:, 1], np.asarray(values), levels=_LEVELS, colors=MUTED, linewidths=0.4
    )
    handles = _draw_marked(
        ax, {name: np.asarray(mixture) @ corners for name, mixture in marked.items()}
    )
    ax.set_ylim(-0.12, 1.05)
    side = ax.inset_axes((1.12, 0.1, 0.05, 0.8))
    bar = add_colour_bar(filled, side, plain(label))
    bar.ax.tick_params(labelsize=SMALL_SIZE)
    if handles:
        add_legend(ax, handles, columns=len(handles))
    return ax


def _draw_marked(ax: Axes, places: Mapping[str, ArrayLike]) -> list[Line2D]:
    """Draw named mixtures at their places (2,), each in its look; returns the legend's entries."""
    from matplotlib.lines import Line2D

    handles = []
    for name, place in places.items():
        look: dict[str, Any] = {
            "marker": MIXTURE_MARKERS.get(name, "o"),
            "color": mixture_colour(name),
            "linestyle": "",
        }
        x, y = np.asarray(place, dtype=np.float64)
        ax.plot(x, y, ms=8, mec=PAPER, mew=1.2, zorder=4, clip_on=False, **look)
        handles.append(Line2D([], [], ms=7, label=mixture_label(name), **look))
    return handles


def pareto_points(
    ax: Axes,
    points: ArrayLike,
    names: tuple[str, str],
    marked: Mapping[str, tuple[float, float]],
    lower_is_better: tuple[bool, bool],
    joined: bool = True,
) -> Axes:
    """Draw a Pareto front over two families.

    Args:
        ax: the axes.
        points: (n, 2) predicted averages of the two families.
        names: the two families.
        marked: the averages at named mixtures.
        lower_is_better: direction of each family.
        joined: whether a line joins the points; with more families than two they lie on no line.
    """
    from matplotlib.lines import Line2D

    style_axes(ax, grid="both")
    array: Array = np.asarray(points, dtype=np.float64)
    if not array.size:
        return say_empty(ax, "no front")
    array = array[np.argsort(array[:, 0])]
    look: dict[str, Any] = {"marker": "o", "color": BLUE, "linewidth": 1 if joined else 0}
    ax.plot(array[:, 0], array[:, 1], ms=4.5, alpha=0.9, **look)
    handles = [Line2D([], [], ms=5, label="front", **look), *_draw_marked(ax, marked)]
    words = [
        f"{plain(shorten(name))} ({'lower' if lower else 'higher'} is better)"
        for name, lower in zip(names, lower_is_better, strict=True)
    ]
    ax.set_xlabel(words[0])
    ax.set_ylabel(words[1])
    add_legend(ax, handles, columns=min(len(handles), 3))
    return ax


def calibration_curve(ax: Axes, coverage: Mapping[str, Mapping[float, float]]) -> Axes:
    """Draw how many held-out runs intervals hold against how many they should hold.

    Args:
        ax: the axes.
        coverage: ``{metric: {level: share inside}}``; the first metric is drawn strong.
    """
    style_axes(ax, grid="both")
    if not coverage:
        return say_empty(ax, "no intervals")
    ax.plot([40, 100], [40, 100], color=MUTED, linestyle="--", linewidth=1)
    for index, levels in reversed(list(enumerate(coverage.values()))):
        places = 100 * np.array([list(levels), list(levels.values())], dtype=np.float64)
        first = index == 0
        ax.plot(
            *places,
            marker="o",
            ms=5 if first else 2.5,
            color=BLUE if first else GREY,
            linewidth=1.8 if first else 0.7,
            alpha=1.0 if first else 0.6,
        )
    ax.set_xlim(45, 100)
    ax.set_ylim(45, 101)
    ax.set_xlabel("runs that should fall inside an interval (%)")
    ax.set_ylabel("held-out runs that do (%)")
    ax.tick_params(labelsize=LABEL_SIZE, labelcolor=INK)
    return ax
