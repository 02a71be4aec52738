"""Training curves of a swarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from olmix.plotting.canvas import (
    LABEL_SIZE,
    add_legend,
    plain,
    say_empty,
    style_axes,
)
from olmix.plotting.palette import INK, MIXTURE_LINES, MUTED, mixture_colour, mixture_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["best_so_far", "training_curves"]


def training_curves(
    ax: Axes,
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    named: Mapping[str, str] | None = None,
    *,
    label: str = "training loss (nats per token)",
) -> Axes:
    """Draw the loss of every run against its tokens, faint, and some runs in their colours.

    Args:
        ax: the axes.
        curves: ``{run: (tokens, loss)}``.
        named: ``{mixture: run}`` of the runs to bring out.
        label: what the loss is, with its unit.
    """
    from matplotlib.lines import Line2D

    style_axes(ax, grid="y")
    drawn = {
        run: (np.asarray(tokens, float), np.asarray(loss, float))
        for run, (tokens, loss) in curves.items()
        if (np.isfinite(np.asarray(loss, float)) & np.isfinite(np.asarray(tokens, float))).any()
    }
    if not drawn:
        return say_empty(ax, "no losses were logged")
    most = max(float(np.nanmax(tokens)) for tokens, _ in drawn.values())
    scale, word = next(
        (
            (s, w)
            for s, w in ((1e9, "billion "), (1e6, "million "), (1e3, "thousand "))
            if most >= s
        ),
        (1.0, ""),
    )
    for tokens, loss in drawn.values():
        ax.plot(tokens / scale, loss, color=MUTED, linewidth=0.7, alpha=0.35, zorder=1)
    handles = [Line2D([], [], color=MUTED, linewidth=0.9, alpha=0.6, label="other runs")]
    for name, run in (named or {}).items():
        if run not in drawn:
            continue
        tokens, loss = drawn[run]
        look: dict[str, Any] = {
            "color": mixture_colour(name),
            "linestyle": MIXTURE_LINES.get(name, "-"),
            "linewidth": 1.9,
        }
        ax.plot(tokens / scale, loss, zorder=2, **look)
        handles.append(Line2D([], [], label=mixture_label(name), **look))
    ax.set_xlim(0, most / scale if most > 0 else 1)
    ax.set_xlabel(f"{word}tokens trained on", fontsize=LABEL_SIZE, color=INK)
    ax.set_ylabel(label)
    add_legend(ax, handles, handle_length=2.4)
    return ax


def best_so_far(
    ax: Axes,
    values: Sequence[float],
    *,
    lower_is_better: bool,
    label: str,
    costs: Sequence[str] = (),
    marked: Mapping[str, float] | None = None,
    cost_label: str = "cost so far",
) -> Axes:
    """Draw the value of every run in the order of the runs, and the best so far as a line.

    Args:
        ax: the axes.
        values: of the runs, one after the other.
        lower_is_better: direction of the values.
        label: what they are, with their unit.
        costs: what all runs up to each had cost, as text; drawn below the axis.
        marked: ``{mixture: value}`` of lines across, such as the natural mixture.
        cost_label: what the costs are.
    """
    style_axes(ax, grid="y")
    found = np.asarray(values, float)
    if not np.isfinite(found).any():
        return say_empty(ax, "no run was measured")
    best = (np.fmin if lower_is_better else np.fmax).accumulate(found)
    numbers = np.arange(1, len(found) + 1)
    ax.plot(numbers, found, "o", ms=3.5, mfc="none", mec=MUTED, mew=0.8, zorder=2)
    ax.step(numbers, best, where="post", color=mixture_colour("best_seen"), linewidth=1.9, zorder=3)
    handles = []
    for name, value in (marked or {}).items():
        look: dict[str, Any] = {"color": mixture_colour(name), "linestyle": "--", "linewidth": 1.3}
        handles.append(ax.axhline(value, zorder=1, label=mixture_label(name), **look))
    ax.set_xlim(0.5, len(found) + 0.5)
    ticks = np.unique(np.linspace(1, len(found), min(len(found), 4)).round().astype(int))
    below = [f"\n{costs[tick - 1]}" if costs else "" for tick in ticks]
    ax.set_xticks(ticks, [f"{tick}{cost}" for tick, cost in zip(ticks, below, strict=True)])
    words = f"runs, and {cost_label}" if costs else "runs"
    ax.set_xlabel(words, fontsize=LABEL_SIZE, color=INK)
    ax.set_ylabel(f"{plain(label)} ({'lower' if lower_is_better else 'higher'} is better)")
    if handles:
        add_legend(ax, handles, handle_length=2.4)
    return ax
