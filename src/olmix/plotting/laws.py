"""Fitted laws: predictions beside measurements, scores, and what each domain does."""

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
from olmix.plotting.palette import (
    CELL_DARK,
    CELL_LIGHT,
    GRID,
    INK,
    MIXTURE_MARKERS,
    MUTED,
    PAPER,
    diverging,
    law_colour,
    law_label,
    law_marker,
    mixture_colour,
    mixture_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_NUMBERS", "interaction_heat", "law_scores", "predicted_against_measured"]

MOST_NUMBERS = 170
"""Cells up to which a heat map of effects shows its numbers."""
_MOST_CELLS = 2_000
_SCORES = {
    "spearman": "Spearman correlation on held-out runs",
    "pearson": "Pearson correlation on held-out runs",
    "r2": "R² on held-out runs",
    "rmse": "RMSE on held-out runs",
}


def predicted_against_measured(
    ax: Axes,
    measured: ArrayLike,
    fitted: ArrayLike,
    held_out: ArrayLike,
    *,
    unit: str = "",
    named: Mapping[str, int] | None = None,
) -> Axes:
    """Draw predictions against measurements on one scale, with the diagonal.

    Predictions of runs that the law had not seen are what counts: they are drawn strong, the fit
    to runs that it had seen is drawn faint.

    Args:
        ax: the axes.
        measured: (R,) measured values; NaN where there is none.
        fitted: (R,) values of the law fitted on all runs.
        held_out: (R,) predictions of each run by a law fitted without it.
        unit: unit of the values.
        named: position of some runs, such as ``{"natural": 0}``, drawn in their colours.
    """
    from matplotlib.lines import Line2D

    style_axes(ax, grid="both")
    x, seen, unseen = (np.asarray(v, dtype=np.float64) for v in (measured, fitted, held_out))
    if not (np.isfinite(x) & (np.isfinite(seen) | np.isfinite(unseen))).any():
        return say_empty(ax, "no run has both a measurement and a prediction")
    limits = data_limits(np.concatenate([x, seen, unseen]))
    ax.plot(limits, limits, color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
    ax.plot(x, seen, "o", ms=4.5, mfc="none", mec=MUTED, mew=0.8, alpha=0.6, zorder=2)
    ax.plot(x, unseen, "o", ms=5.5, mfc=INK, mec=PAPER, mew=0.6, zorder=3)
    handles = [
        Line2D([], [], marker="o", ls="", ms=5.5, mfc=INK, mec=PAPER, label="held out"),
        Line2D([], [], marker="o", ls="", ms=4.5, mfc="none", mec=MUTED, label="fitted"),
    ]
    for name, index in (named or {}).items():
        if not np.isfinite(x[index]) or not np.isfinite(unseen[index]):
            continue
        look: dict[str, Any] = {
            "marker": MIXTURE_MARKERS.get(name, "o"),
            "ms": 7.0,
            "mfc": mixture_colour(name),
            "mec": INK,
            "mew": 0.9,
        }
        ax.plot(x[[index]], unseen[[index]], ls="", zorder=4, **look)
        handles.append(Line2D([], [], ls="", label=mixture_label(name), **look))
    ax.set(xlim=limits, ylim=limits)
    ax.set_aspect("equal", adjustable="box")
    _few_ticks(ax)
    suffix = f" ({unit})" if unit else ""
    ax.set_xlabel(f"measured{suffix}")
    ax.set_ylabel(f"predicted{suffix}")
    add_legend(ax, handles, columns=min(len(handles), 3))
    return ax


def _few_ticks(ax: Axes) -> None:
    """Give both axes the same few ticks."""
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.ticklabel_format(useOffset=False)


def law_scores(
    ax: Axes,
    scores: Mapping[str, Mapping[str, float]],
    chosen: Mapping[str, str],
    *,
    score: str = "spearman",
    unit: str = "",
) -> Axes:
    """Draw the cross-validated score of every law for every metric; the chosen one is filled.

    Args:
        ax: the axes.
        scores: ``{metric: {law: score}}``; NaN where a law could not be scored.
        chosen: law used for each metric.
        score: which score this is: `spearman`, `pearson`, `r2` or `rmse`.
        unit: unit of the RMSE.
    """
    from matplotlib.lines import Line2D

    style_axes(ax, grid="x")
    metrics = list(scores)
    laws = list(dict.fromkeys(law for row in scores.values() for law in row))
    if not laws:
        return say_empty(ax, "no law was fitted")
    table = np.array([[scores[m].get(law, np.nan) for law in laws] for m in metrics], dtype=float)
    spread = 0.26 if len(laws) > 1 else 0.0
    offsets = np.linspace(-spread, spread, len(laws)) if len(laws) > 1 else np.zeros(1)
    for row, metric in enumerate(metrics):
        for column, law in enumerate(laws):
            colour = law_colour(law, column)
            is_chosen = chosen.get(metric) == law
            ax.plot(
                table[row, column],
                row + offsets[column],
                marker=law_marker(law, column),
                ms=7.5 if is_chosen else 6.0,
                mfc=colour if is_chosen else "none",
                mec=colour,
                mew=1.4,
                ls="",
                zorder=3,
            )
    limits = data_limits(table, pad=0.08, include=(0.0,) if score == "rmse" else ())
    if score in ("spearman", "pearson", "r2"):
        limits[1] = min(limits[1], 1.02)
    if score == "rmse":
        limits[0] = 0.0
    ax.set_xlim(*limits)
    ax.set_ylim(len(metrics) - 0.45, -0.55)
    ax.set_yticks(range(len(metrics)), [plain(shorten(metric)) for metric in metrics])
    ax.tick_params(axis="y", length=0, labelsize=LABEL_SIZE, labelcolor=INK)
    for row in range(len(metrics) - 1):
        ax.axhline(row + 0.5, color=GRID, linewidth=0.5, zorder=0)
    better = "lower is better" if score == "rmse" else "1 is perfect"
    suffix = f" in {unit}" if unit and score == "rmse" else ""
    ax.set_xlabel(f"{_SCORES.get(score, score)}{suffix} ({better})")
    handles = []
    for column, law in enumerate(laws):
        colour = law_colour(law, column)
        handles.append(
            Line2D(
                [],
                [],
                marker=law_marker(law, column),
                ls="",
                ms=6.5,
                mfc="none",
                mec=colour,
                mew=1.4,
                label=law_label(law),
            )
        )
    handles.append(Line2D([], [], marker="o", ls="", ms=7, color=MUTED, label="filled: chosen"))
    add_legend(ax, handles, columns=min(len(handles), 4))
    return ax


def interaction_heat(
    ax: Axes,
    matrix: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    lower_is_better: Sequence[bool] | None = None,
    label: str = "effect",
    limit: float | None = None,
) -> Axes:
    """Draw what each domain does to each metric, centred on 0: blue helps, vermillion harms.

    Args:
        ax: the axes.
        matrix: (M, D) effects; NaN where unknown. Numbers are shown as they are.
        rows: (M,) metrics.
        columns: (D,) domains.
        lower_is_better: (M,) direction of each metric, all True where left out.
        label: what the numbers are, with their unit.
        limit: effect from which the colour is the darkest; the largest one if left out.
    """
    style_axes(ax)
    array = np.asarray(matrix, dtype=np.float64).reshape(len(rows), len(columns))
    if not array.size:
        return say_empty(ax, "no effects")
    lower = np.ones(len(rows), bool) if lower_is_better is None else np.asarray(lower_is_better)
    harm = np.where(lower[:, None], array, -array)
    finite = np.abs(harm[np.isfinite(harm)])
    found = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    largest = found if limit is None else limit
    mesh = ax.pcolormesh(
        np.ma.masked_invalid(harm),
        cmap=diverging(),
        vmin=-largest,
        vmax=largest,
        edgecolors=PAPER if array.size <= _MOST_CELLS else "none",
        linewidth=1.0 if array.size <= _MOST_CELLS else 0.0,
        rasterized=array.size > _MOST_CELLS,
    )
    if array.size <= MOST_NUMBERS:
        digits = min(max(0, 2 - int(np.floor(np.log10(found)))), 5)
        for row, column in np.argwhere(np.isfinite(array)):
            value = array[row, column]
            ax.text(
                column + 0.5,
                row + 0.5,
                f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−"),
                ha="center",
                va="center",
                fontsize=SMALL_SIZE,
                color=CELL_LIGHT if abs(value) > 0.52 * largest else CELL_DARK,
            )
    ax.set_ylim(len(rows), 0)
    ax.set_xticks(np.arange(len(columns)) + 0.5, [plain(shorten(name)) for name in columns])
    ax.set_yticks(np.arange(len(rows)) + 0.5, [plain(shorten(name)) for name in rows])
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelsize=LABEL_SIZE, labelcolor=INK)
    for tick in ax.get_xticklabels():
        tick.set(rotation=40, ha="left", rotation_mode="anchor")
    for spine in ax.spines.values():
        spine.set_visible(False)
    side = ax.inset_axes((0.0, -0.09 - 0.02 * (len(rows) < 4), 1.0, 0.035))
    bar = add_colour_bar(mesh, side, plain(label), orientation="horizontal")
    bar.set_ticks([-largest, 0.0, largest], labels=["helps", "0", "harms"])
    return ax
