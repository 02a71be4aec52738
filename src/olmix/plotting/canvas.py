"""The canvas of all figures: their size, the look of their axes, titles and captions.

Axes have a fixed size in inches and the figure grows around them when it is saved with
``bbox_inches="tight"``, so no label is ever clipped and text has the same size in every figure.
"""

from __future__ import annotations

import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from olmix.errors import needs
from olmix.plotting.palette import GRID, INK, MUTED, PAPER
from olmix.simplex import Array
from olmix.text.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

__all__ = [
    "LABEL_SIZE",
    "SMALL_SIZE",
    "add_caption",
    "add_colour_bar",
    "add_legend",
    "data_limits",
    "new_figure",
    "note_gain",
    "plain",
    "render_figure",
    "save_figure",
    "say_empty",
    "shorten",
    "style",
    "style_axes",
]

TITLE_SIZE = 11.0
LABEL_SIZE = 9.5
SMALL_SIZE = 8.5
DPI = 144


@contextmanager
def style() -> Iterator[None]:
    """Draw and save with matplotlib's own defaults, whatever the user's settings are.

    The settings from before come back at the end. Text in SVG stays text.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    with needs("fit", "Drawing figures"):
        import matplotlib.style
    ours = {
        "svg.fonttype": "none",
        "svg.hashsalt": "olmix",
        "font.family": ["DejaVu Sans"],
        "axes.unicode_minus": True,
        "path.simplify": True,
    }
    with matplotlib.style.context(["default", ours]), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes; that is no reason to warn.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield


def render_figure(
    figure: Figure,
    kind: str = "png",
    *,
    pad_inches: float = 0.1,
    dpi: float | Literal["figure"] = "figure",
    facecolor: str = "auto",
    metadata: Mapping[str, None] | None = None,
) -> bytes:
    """Return a figure as the bytes of a `png` or `svg` file, cut to what is drawn.

    Args:
        figure: made by `new_figure`.
        kind: format.
        pad_inches: paper around what is drawn.
        dpi: dots per inch; those of the figure where it is not given.
        facecolor: the paper; the figure's own with `auto`.
        metadata: entries to leave out, such as the date.
    """
    # With "tight" each figure would be drawn once more to find its box.
    box = figure.get_tightbbox().padded(pad_inches)
    buffer = BytesIO()
    figure.savefig(
        buffer,
        format=kind,
        bbox_inches=box,
        dpi=dpi,
        facecolor=facecolor,
        metadata=metadata,
    )
    return buffer.getvalue()


def save_figure(
    figure: Figure,
    path: Path,
    *,
    pad_inches: float = 0.1,
    dpi: float | Literal["figure"] = "figure",
) -> None:
    """Write a figure as PNG in one step."""
    write_bytes(path, render_figure(figure, pad_inches=pad_inches, dpi=dpi))


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure and its axes of `width` x `height` inches, labels not counted.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    with needs("fit", "Drawing figures"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    return figure, figure.add_axes((0.0, 0.0, 1.0, 1.0))


def style_axes(ax: Axes, grid: str = "") -> Axes:
    """Give axes the house style: two thin spines, muted ticks, a faint grid.

    Args:
        ax: the axes.
        grid: `x`, `y`, `both`, or nothing.
    """
    ax.set_facecolor("none")
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
        spine.set_linewidth(0.8)
    ax.tick_params(length=3, width=0.8, color=GRID, labelcolor=MUTED, labelsize=SMALL_SIZE)
    ax.xaxis.label.set(color=INK, fontsize=LABEL_SIZE)
    ax.yaxis.label.set(color=INK, fontsize=LABEL_SIZE)
    for axis, name in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        if grid in (name, "both"):
            axis.grid(True, color=GRID, linewidth=0.6)
        else:
            axis.grid(False)
    return ax


def add_caption(ax: Axes, title: str, caption: str) -> None:
    """Write a title above and a caption below everything that the axes hold by now."""
    extent = ax.get_tightbbox()
    if extent is None:
        return
    # In fractions of the axes, because saving with a tight box moves the figure's own coordinates.
    box = extent.transformed(ax.transAxes.inverted())
    inches = extent.width / ax.figure.dpi
    characters = max(int(inches * 72 / (SMALL_SIZE * 0.56)), 30)
    title_look = {"fontsize": TITLE_SIZE, "fontweight": "bold", "color": INK, "va": "bottom"}
    caption_look = {"fontsize": SMALL_SIZE, "linespacing": 1.35, "color": MUTED, "va": "top"}
    _write_beside(ax, _wrapped(title, int(characters * 0.7)), (box.x0, box.y1), 7, title_look)
    _write_beside(ax, _wrapped(caption, characters), (box.x0, box.y0), -7, caption_look)


def _wrapped(text: str, width: int) -> str:
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    return "\n".join(plain(line) for line in lines)


def _write_beside(
    ax: Axes, text: str, place: tuple[float, float], gap: float, look: Mapping[str, Any]
) -> None:
    ax.annotate(
        text,
        place,
        xycoords="axes fraction",
        xytext=(0, gap),
        textcoords="offset points",
        annotation_clip=False,
        ha="left",
        **look,
    )


def add_legend(
    ax: Axes,
    handles: Sequence[Line2D | Patch],
    columns: int | None = None,
    handle_length: float = 1.1,
) -> Legend:
    """Put a legend above the axes, on one line unless a number of `columns` is given."""
    return ax.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=ax.transAxes,
        ncols=len(handles) if columns is None else columns,
        frameon=False,
        fontsize=SMALL_SIZE,
        labelcolor=INK,
        borderaxespad=0.3,
        borderpad=0.2,
        handlelength=handle_length,
        handletextpad=0.5,
        columnspacing=1.3,
    )


def add_colour_bar(
    mappable: ScalarMappable,
    side: Axes,
    label: str,
    *,
    orientation: Literal["vertical", "horizontal"] = "vertical",
) -> Colorbar:
    """Fill the axes `side` with the scale of a heat map."""
    figure = side.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure")
    bar = figure.colorbar(mappable, cax=side, orientation=orientation)
    for spine in bar.ax.spines.values():
        spine.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    bar.set_label(label, color=INK, fontsize=LABEL_SIZE)
    bar.ax.tick_params(length=2, labelsize=SMALL_SIZE, labelcolor=MUTED, color=MUTED)
    return bar


def say_empty(ax: Axes, words: str) -> Axes:
    """Write into empty axes why they are empty."""
    ax.set(xticks=[], yticks=[])
    ax.text(
        0.5,
        0.5,
        plain(words),
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        fontsize=LABEL_SIZE,
    )
    return ax


def data_limits(values: Array, pad: float = 0.06, include: Sequence[float] = ()) -> Array:
    """Return (low, high) around the finite values, with room on both sides, shape (2,).

    Equal values get room in proportion to their size; no value at all gives (0, 1).
    """
    flat = np.concatenate([np.asarray(values, dtype=np.float64).ravel(), np.asarray(include)])
    finite = flat[np.isfinite(flat)]
    if not finite.size:
        return np.array([0.0, 1.0])
    low, high = float(finite.min()), float(finite.max())
    size = max(abs(low), abs(high))
    span = high - low
    if span <= 1e-9 * size or span == 0:
        span = 0.2 * size if size > 0 else 1.0
        pad = 0.5
    return np.array([low - pad * span, high + pad * span])


def note_gain(ax: Axes, gain: float, place: float, colour: str) -> None:
    """Write a gain to the right of its row, at `place` on the vertical axis."""
    ax.annotate(
        f"{gain:+.3f}".replace("-", "−"),
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        ha="left",
        fontsize=SMALL_SIZE,
        color=colour,
        annotation_clip=False,
    )


def plain(text: str) -> str:
    """Return a name as matplotlib shows it literally: no mathematics, no control characters."""
    clean = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    return clean.replace("$", r"\$")


def shorten(text: str, length: int = 30) -> str:
    """Return a name with its middle left out where it is longer than `length` characters."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"
