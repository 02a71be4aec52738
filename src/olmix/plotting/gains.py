"""Gains of a proposal: as predicted, and as measured over fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from olmix.plotting.canvas import (
    LABEL_SIZE,
    SMALL_SIZE,
    add_legend,
    data_limits,
    note_gain,
    plain,
    say_empty,
    shorten,
    style_axes,
)
from olmix.plotting.palette import (
    INK,
    MIXTURE_MARKERS,
    MUTED,
    PAPER,
    mixture_colour,
    mixture_label,
)
from olmix.simplex import Array
from olmix.text.numbers import per_cent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GainBar", "gain_bars", "ladder_gains", "verification_dots"]


_GAP = "\u00a0\u00a0 "
"""Space that a page does not collapse."""


@dataclass(frozen=True)
class GainBar:
    """One gain with its interval; positive is better.

    Attributes:
        mean: the gain.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    mean: float
    low: float
    high: float


def verification_dots(
    ax: Axes,
    values: Mapping[str, Sequence[float]],
    *,
    metric: str,
    unit: str = "",
    lower_is_better: bool = True,
) -> Axes:
    """Draw every seed of every mixture as a point, pairs joined, and each mean with its error.

    Args:
        ax: the axes.
        values: ``{mixture: values}``, one value per seed, seeds in the same order everywhere.
        metric: name of the metric.
        unit: unit of the metric.
        lower_is_better: direction of the metric.
    """
    style_axes(ax, grid="x")
    names = list(values)
    columns = {name: np.asarray(values[name], dtype=np.float64) for name in names}
    if not names or not any(np.isfinite(column).any() for column in columns.values()):
        return say_empty(ax, "nothing was measured")
    places = np.arange(len(names), dtype=np.float64)
    shortest = min(len(column) for column in columns.values())
    for seed in range(shortest):
        path = [columns[name][seed] for name in names]
        ax.plot(path, places, color=MUTED, alpha=0.35, linewidth=0.8, zorder=1)
    for place, name in zip(places, names, strict=True):
        _draw_mixture(ax, float(place), name, columns[name])
    limits = data_limits(np.concatenate(list(columns.values())), pad=0.08)
    ax.set_xlim(*limits)
    ax.set_ylim(len(names) - 0.35, -0.6)
    ax.set_yticks(places, [plain(mixture_label(name)) for name in names])
    ax.tick_params(axis="y", length=0, labelsize=LABEL_SIZE, labelcolor=INK)
    ax.ticklabel_format(axis="x", useOffset=False)
    better = "← lower is better" if lower_is_better else "higher is better →"
    suffix = f" in {unit}" if unit else ""
    ax.set_xlabel(f"{plain(shorten(metric, 40))}{suffix}{_GAP}{better}")
    return ax


def _draw_mixture(ax: Axes, place: float, name: str, column: Array) -> None:
    """Draw the seeds of one mixture, and below them their mean with its standard error."""
    colour, marker = mixture_colour(name), MIXTURE_MARKERS.get(name, "o")
    ax.plot(
        column,
        np.full(len(column), place),
        ls="",
        marker=marker,
        ms=6.5,
        mfc=colour,
        mec=PAPER,
        mew=0.7,
        zorder=3,
    )
    finite = column[np.isfinite(column)]
    if not finite.size:
        return
    mean = float(finite.mean())
    error = float(finite.std(ddof=1) / math.sqrt(len(finite))) if len(finite) > 1 else 0.0
    below = place + 0.27
    ax.plot(
        [mean - error, mean + error],
        [below, below],
        color=colour,
        linewidth=3.2,
        zorder=2,
        solid_capstyle="butt",
    )
    ax.plot([mean, mean], [below - 0.1, below + 0.1], color=INK, linewidth=1.4, zorder=4)
    ax.annotate(
        f"{mean:.4f} ± {error:.4f}" if len(finite) > 1 else f"{mean:.4f}",
        (1.0, below),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        ha="left",
        fontsize=SMALL_SIZE,
        color=INK,
        annotation_clip=False,
    )


def gain_bars(
    ax: Axes,
    predicted: Mapping[str, GainBar],
    measured: Mapping[str, GainBar] | None = None,
    *,
    unit: str = "",
    levels: tuple[float, float] = (0.9, 0.9),
) -> Axes:
    """Draw the gain of the proposal over other mixtures: predicted, and measured beside it.

    Args:
        ax: the axes.
        predicted: ``{mixture: gain}`` with its interval.
        measured: the same, where the proposal was verified.
        unit: unit of the gains.
        levels: of the intervals, predicted and measured.
    """
    from matplotlib.patches import Patch

    style_axes(ax, grid="x")
    found = measured or {}
    names = list(dict.fromkeys([*predicted, *found]))
    if not names:
        return say_empty(ax, "no gains")
    two = bool(found) and bool(predicted)
    series = [(predicted, False, -0.19 if two else 0.0), (found, True, 0.19 if two else 0.0)]
    ends = [0.0]
    for bars, is_measured, offset in series:
        for row, name in enumerate(names):
            if name in bars:
                ends += _draw_gain(ax, row + offset, bars[name], is_measured, 0.34 if two else 0.5)
    low, high = data_limits(np.array(ends), pad=0.04)
    ax.set_xlim(low if min(ends) < 0 else 0.0, high)
    ax.axvline(0.0, color=INK, linewidth=1.0, zorder=4)
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.set_yticks(range(len(names)), [f"over {plain(mixture_label(name))}" for name in names])
    ax.tick_params(axis="y", length=0, labelsize=LABEL_SIZE, labelcolor=INK)
    ax.set_xlabel(f"gain of the proposed mixture{f' in {unit}' if unit else ''}{_GAP}better →")
    handles = []
    if predicted:
        handles.append(
            Patch(label=f"predicted, {per_cent(levels[0])} interval", **_gain_look(False))
        )
    if found:
        handles.append(Patch(label=f"measured, {per_cent(levels[1])} interval", **_gain_look(True)))
    add_legend(ax, handles, columns=1)
    return ax


def ladder_gains(
    ax: Axes,
    scales: Sequence[float],
    gains: Sequence[GainBar],
    *,
    target: tuple[float, GainBar] | None = None,
    unit: str = "",
) -> Axes:
    """Draw the gain over natural at each size with its interval, and what is expected beyond.

    Args:
        ax: the axes.
        scales: tokens of the sizes, as multiples of the base's, rising.
        gains: measured at them.
        target: a larger size, and the gain that is expected there.
        unit: unit of the gains.
    """
    style_axes(ax, grid="y")
    colour = mixture_colour("proposed")
    marks = list(zip(scales, gains, strict=True))
    ax.plot(scales, [gain.mean for gain in gains], color=colour, linewidth=1.4, zorder=2)
    if target is not None and marks:
        scale, gain = target
        last, start = marks[-1]
        ax.plot([last, scale], [start.mean, gain.mean], color=colour, lw=1.2, ls="--", zorder=2)
        ends = ([start.mean, gain.low], [start.mean, gain.high])
        ax.fill_between([last, scale], *ends, color=colour, alpha=0.15, linewidth=0, zorder=1)
        marks.append(target)
    for index, (scale, gain) in enumerate(marks):
        known = index < len(gains)
        ax.plot([scale, scale], [gain.low, gain.high], color=INK, linewidth=1.3, zorder=3)
        face = colour if known else PAPER
        ax.plot([scale], [gain.mean], "o", ms=6.5, mfc=face, mec=colour, mew=1.2, zorder=4)
    ax.axhline(0.0, color=INK, linewidth=1.0, zorder=1)
    ax.set_xscale("log")
    ax.set_xticks([scale for scale, _ in marks], [f"{scale:g}×" for scale, _ in marks])
    ax.minorticks_off()
    ax.set_xlabel("tokens and parameters, as multiples of the swarm's")
    ax.set_ylabel(f"gain over natural{f' in {unit}' if unit else ''} (better ↑)")
    return ax


def _gain_look(is_measured: bool) -> dict[str, Any]:
    """Return a filled bar for what was measured, an outlined one for what was predicted."""
    colour = mixture_colour("proposed")
    return {
        "facecolor": colour if is_measured else "none",
        "edgecolor": colour,
        "linewidth": 1.2,
    }


def _draw_gain(
    ax: Axes, place: float, gain: GainBar, is_measured: bool, height: float
) -> list[float]:
    """Draw one bar with its interval and its number; return the finite ends of what is drawn."""
    if not math.isfinite(gain.mean):
        return []
    ax.barh(place, gain.mean, height=height, zorder=2, **_gain_look(is_measured))
    low, high = (v if math.isfinite(v) else gain.mean for v in (gain.low, gain.high))
    ax.plot([low, high], [place, place], color=INK, linewidth=1.3, zorder=5)
    for end in (low, high):
        ax.plot([end, end], [place - 0.08, place + 0.08], color=INK, linewidth=1.3, zorder=5)
    note_gain(ax, gain.mean, place, INK if is_measured else MUTED)
    return [gain.mean, low, high]
