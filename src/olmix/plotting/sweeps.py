"""Plots of factorial sweeps: curves of all runs, and main effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olmix.plotting.canvas import add_caption, new_figure, plain, say_empty, shorten, style_axes
from olmix.plotting.palette import INK, MUTED
from olmix.text.numbers import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curves_figure", "effects_figure"]

_MOST_NAMED = 8


def curves_figure(curves: Mapping[str, Sequence[tuple[int, float]]], metric: str) -> Figure:
    """Draw a metric of every run against its steps; the ends of a few runs are named."""
    figure, ax = new_figure(6.0, 3.2)
    style_axes(ax, grid="y")
    if not curves:
        say_empty(ax, "no run has logged anything")
        return figure
    for run, points in curves.items():
        steps, values = zip(*points, strict=True)
        ax.plot(steps, values, color=INK, linewidth=0.9, alpha=max(0.15, 1 / len(curves) ** 0.5))
        if len(curves) <= _MOST_NAMED:
            ax.annotate(
                plain(run),
                (steps[-1], values[-1]),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=7,
                color=MUTED,
                va="center",
            )
    ax.set_xlabel("optimizer steps")
    ax.set_ylabel(plain(metric))
    add_caption(
        ax, f"{metric} during training", f"n = {counted(len(curves), 'run')}, one line each."
    )
    return figure


def effects_figure(
    effects: Mapping[str, Sequence[tuple[str, float, float]]], metric: str, note: str = ""
) -> Figure:
    """Draw the mean of a metric for each value of each variable.

    Args:
        effects: for each variable, (value, mean, standard deviation) in the order of the values.
        metric: what was measured.
        note: a sentence for the caption.
    """
    figure, ax = new_figure(max(3.0, 0.5 * sum(len(v) + 1 for v in effects.values())), 3.0)
    style_axes(ax, grid="y")
    position = 0
    ticks: list[int] = []
    labels: list[str] = []
    for name, levels in effects.items():
        places = list(range(position, position + len(levels)))
        ax.errorbar(
            places,
            [mean for _, mean, _ in levels],
            yerr=[spread for _, _, spread in levels],
            color=INK,
            ecolor=MUTED,
            linewidth=1.2,
            elinewidth=0.8,
            marker="o",
            markersize=4,
        )
        middle = (places[0] + places[-1]) / 2
        ax.annotate(
            plain(shorten(name, 24)),
            (middle, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=INK,
        )
        ticks += places
        labels += [plain(shorten(level, 16)) for level, _, _ in levels]
        position += len(levels) + 1
    ax.set_xticks(ticks, labels, rotation=45 if len(ticks) > 6 else 0)
    ax.set_ylabel(f"mean {plain(metric)}")
    caption = "Mean over all runs with a value; bars are one standard deviation over these runs."
    add_caption(ax, f"Main effects on {metric}", f"{caption} {note}".rstrip())
    return figure
