"""Mixtures as bars, and all mixtures of a swarm as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from olmix.plotting.canvas import (
    LABEL_SIZE,
    SMALL_SIZE,
    add_colour_bar,
    add_legend,
    data_limits,
    note_gain,
    plain,
    say_empty,
    shorten,
    style_axes,
)
from olmix.plotting.palette import (
    BLUE,
    INK,
    MUTED,
    VERMILLION,
    mixture_colour,
    mixture_label,
    sequential,
)
from olmix.simplex import Array
from olmix.text.numbers import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["by_share", "effect_bars", "mixture_bars", "weights_heat"]

_MOST_LABELS = 80
_MOST_ROW_LABELS = 60
_MOST_CELLS = 2_000


def by_share(mixtures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the domains of some mixtures by their share in the first, the largest first."""
    first: Mapping[str, float] = next(iter(mixtures.values()), {})
    domains = list(dict.fromkeys(name for mixture in mixtures.values() for name in mixture))
    return sorted(domains, key=lambda name: -np.nan_to_num(first.get(name, 0.0)))


def mixture_bars(ax: Axes, mixtures: Mapping[str, Mapping[str, float]]) -> Axes:
    """Draw mixtures as grouped horizontal bars, in per cent.

    Args:
        ax: the axes.
        mixtures: ``{name: {domain: weight}}``; domains are sorted by their share in the first.
            The last one is the one to look at.
    """
    from matplotlib.patches import Patch

    style_axes(ax, grid="x")
    domains = by_share(mixtures)
    if not domains:
        return say_empty(ax, "no mixtures")
    names = list(mixtures)
    thickness = 0.8 / len(names)
    centres = np.arange(len(domains), dtype=np.float64)
    percent: Array = 100.0 * np.array(
        [[float(mixtures[name].get(d, 0.0)) for d in domains] for name in names], dtype=np.float64
    )
    largest = float(np.nanmax(np.append(percent[np.isfinite(percent)], 0.1)))
    labelled = percent.size <= _MOST_LABELS
    for row, name in enumerate(names):
        offset = (row - (len(names) - 1) / 2) * thickness
        ax.barh(
            centres + offset,
            np.nan_to_num(percent[row]),
            height=thickness * 0.92,
            color=mixture_colour(name),
            linewidth=0,
        )
        if labelled:
            _label_bars(ax, percent[row], centres + offset, 0.008 * largest, row == len(names) - 1)
    ax.set_yticks(centres, [plain(shorten(domain)) for domain in domains])
    ax.set_ylim(len(domains) - 0.45, -0.55)
    ax.set_xlim(0, largest * (1.13 if labelled else 1.03))
    ax.tick_params(axis="y", length=0, labelsize=LABEL_SIZE, labelcolor=INK)
    ax.set_xlabel("share of the training tokens (%)")
    handles = [Patch(color=mixture_colour(n), label=mixture_label(n)) for n in names]
    add_legend(ax, handles, columns=min(len(handles), 4))
    return ax


def _label_bars(ax: Axes, percent: Array, places: Array, gap: float, strong: bool) -> None:
    """Write each weight at the end of its bar."""
    for value, place in zip(percent, places, strict=True):
        ax.text(
            np.nan_to_num(value) + gap,
            place,
            f"{value:.1f}" if np.isfinite(value) else "unknown",
            va="center",
            ha="left",
            fontsize=SMALL_SIZE if strong else SMALL_SIZE - 1,
            color=INK if strong else MUTED,
        )


def effect_bars(ax: Axes, bars: Mapping[str, tuple[float, bool]], *, label: str) -> Axes:
    """Draw what each domain does to a metric as bars to both sides of 0; positive is better.

    Args:
        ax: the axes.
        bars: ``{domain: (gain, whether it is more than noise)}``, drawn from the top.
        label: what a gain is, with its unit.
    """
    style_axes(ax, grid="x")
    gains = np.array([gain for gain, _ in bars.values()], dtype=float)
    if not np.isfinite(gains).any():
        return say_empty(ax, "no effects are known")
    for row, (gain, is_sure) in enumerate(bars.values()):
        colour = BLUE if gain > 0 else VERMILLION
        face = colour if is_sure else "none"
        length = float(np.nan_to_num(gain))
        ax.barh(row, length, height=0.62, zorder=2, facecolor=face, edgecolor=colour, linewidth=1.2)
        note_gain(ax, gain, row, INK)
    ax.set_xlim(*data_limits(gains, pad=0.04, include=(0.0,)))
    ax.locator_params(axis="x", nbins=4)
    ax.axvline(0.0, color=INK, linewidth=1.0, zorder=4)
    ax.set_ylim(len(bars) - 0.45, -0.55)
    ax.set_yticks(range(len(bars)), [plain(shorten(domain)) for domain in bars])
    ax.tick_params(axis="y", length=0, labelsize=LABEL_SIZE, labelcolor=INK)
    ax.set_xlabel(f"{label} (better →)")
    return ax


def weights_heat(ax: Axes, weights: ArrayLike, runs: Sequence[str], domains: Sequence[str]) -> Axes:
    """Draw every mixture of a swarm: one row per run, one column per domain.

    Args:
        ax: the axes.
        weights: (R, D) weights in [0, 1]; the rows are drawn from top to bottom.
        runs: (R,) labels of the rows.
        domains: (D,) labels of the columns.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import PercentFormatter

    style_axes(ax)
    array = np.asarray(weights, dtype=np.float64)
    if not array.size:
        return say_empty(ax, "no runs")
    finite = array[np.isfinite(array)]
    largest = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    mesh = ax.pcolormesh(
        np.ma.masked_invalid(array),
        cmap=sequential(),
        # The square root spreads small weights, of which there are many.
        norm=PowerNorm(0.5, vmin=0.0, vmax=largest),
        linewidth=0,
        rasterized=array.size > _MOST_CELLS,
    )
    ax.set_ylim(len(array), 0)
    ax.set_xticks(np.arange(len(domains)) + 0.5, [plain(shorten(name)) for name in domains])
    ax.xaxis.tick_top()
    ax.tick_params(axis="both", length=0)
    for label in ax.get_xticklabels():
        label.set(rotation=40, ha="left", rotation_mode="anchor", color=INK)
    if len(runs) <= _MOST_ROW_LABELS:
        ax.set_yticks(np.arange(len(runs)) + 0.5, [plain(shorten(name, 26)) for name in runs])
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{counted(len(runs), 'run')}")
    for spine in ax.spines.values():
        spine.set_visible(False)
    side = ax.inset_axes((1.03, 0.0, 0.025, 1.0))
    bar = add_colour_bar(mesh, side, "weight")
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return ax
