"""A response surface along each of its factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmix.plotting.canvas import add_caption, data_limits, new_figure, plain, style_axes
from olmix.plotting.palette import BLUE, INK
from olmix.simplex import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Profile", "profiles_figure"]

_WIDTH, _HEIGHT, _GAP = 2.6, 2.6, 0.3
_MOST_TICKS = 6


@dataclass(frozen=True)
class Profile:
    """The surface along one factor, the others at the best point.

    Attributes:
        name: the factor.
        is_log: whether its axis is logarithmic.
        values: (n,) places along it.
        mean: (n,) the surface there.
        error: (n,) its standard error.
        tested: (R,) the value of each run, at which the other factors may be anywhere.
    """

    name: str
    is_log: bool
    values: Array
    mean: Array
    error: Array
    tested: Array


def profiles_figure(profiles: Sequence[Profile], measured: Array, metric: str) -> Figure:
    """Draw the surface along each factor, with its standard error, and all runs as points."""
    figure, first = new_figure(_WIDTH, _HEIGHT)
    limits = data_limits(measured)
    for index, profile in enumerate(profiles):
        place = (index * (_WIDTH + _GAP) / _WIDTH, 0.0, 1.0, 1.0)
        ax = first if index == 0 else figure.add_axes(place, sharey=first)
        style_axes(ax, grid="y")
        ax.fill_between(
            profile.values,
            profile.mean - profile.error,
            profile.mean + profile.error,
            color=BLUE,
            alpha=0.18,
            linewidth=0,
        )
        ax.plot(profile.values, profile.mean, color=BLUE, linewidth=1.4)
        ax.plot(profile.tested, measured, "o", color=INK, markersize=3.5, alpha=0.7)
        if profile.is_log:
            ax.set_xscale("log")
        levels = sorted(set(profile.tested.tolist()))
        if len(levels) <= _MOST_TICKS:
            ax.set_xticks(levels, [f"{level:g}" for level in levels])
            ax.set_xticks([], minor=True)
        ax.set_xlabel(plain(profile.name))
        if index:
            ax.tick_params(labelleft=False)
    first.set_ylabel(plain(metric))
    first.set_ylim(*limits)
    caption = (
        "Lines: the surface along each factor, with the others at the best point; bands: one "
        f"standard error. Dots: all {len(measured)} runs, at any value of the other factors."
    )
    add_caption(first, f"Response surface of {metric}", caption)
    return figure
