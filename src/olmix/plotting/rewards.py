"""Plots of reinforcement learning: rewards over the steps, and runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from olmix.plotting.canvas import add_legend, plain, say_empty, shorten, style_axes
from olmix.plotting.palette import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["objective_dots", "reward_curves"]

_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE)
_DASHES = ("-", "--", ":", "-.")


def reward_curves(ax: Axes, steps: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the mean of each reward against the steps: faint as measured, strong as smoothed.

    Args:
        ax: the axes.
        steps: of the run.
        curves: reward to its mean in each step, unweighted.
    """
    from matplotlib.lines import Line2D

    style_axes(ax, grid="y")
    if not steps or not curves:
        return say_empty(ax, "no step is done")
    handles = []
    for index, (name, values) in enumerate(curves.items()):
        look: dict[str, Any] = {
            "color": _COLOURS[index % len(_COLOURS)],
            "linestyle": _DASHES[index % len(_DASHES)],
        }
        ax.plot(steps, values, linewidth=0.7, alpha=0.3, **look)
        ax.plot(steps, _smooth(np.asarray(values, float)), linewidth=1.6, **look)
        handles.append(Line2D([], [], label=plain(shorten(name, 24)), **look))
    ax.set_xlim(min(steps), max(*steps, min(steps) + 1))
    ax.set_xlabel("steps")
    ax.set_ylabel("mean reward, unweighted")
    add_legend(ax, handles, handle_length=2.4)
    return ax


def _smooth(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """Return the running mean over a tenth of the steps, of those up to each."""
    width = max(1, len(values) // 10)
    return [float(values[max(0, end - width) : end].mean()) for end in range(1, len(values) + 1)]


def objective_dots(ax: Axes, objectives: Mapping[str, float]) -> Axes:
    """Draw the objective of each run as a dot, the best run on top.

    Args:
        ax: the axes.
        objectives: run to its mean reward at the end.
    """
    style_axes(ax, grid="x")
    if not objectives:
        return say_empty(ax, "no run is finished")
    ranked = sorted(objectives.items(), key=lambda item: item[1])
    places = range(len(ranked))
    ax.hlines(places, 0, [value for _, value in ranked], color=MUTED, linewidth=0.8)
    ax.plot([value for _, value in ranked], places, "o", color=INK, markersize=5)
    ax.set_yticks(list(places), [plain(shorten(name, 48)) for name, _ in ranked])
    ax.set_xlabel("objective: mean reward of the last tenth of the steps")
    return ax
