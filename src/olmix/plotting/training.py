"""Training curves of a swarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from olmix.plotting.canvas import LABEL_SIZE, add_legend, say_empty, style_axes
from olmix.plotting.palette import INK, MIXTURE_LINES, MUTED, mixture_colour, mixture_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["training_curves"]


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
