"""One palette, after Okabe and Ito (2008), which people with any colour vision can tell apart.

The mixtures keep their colour and their marker in every figure. Grey and blue are dark, sky
blue and orange are light, so they also differ in print without colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = [
    "BLUE",
    "CELL_DARK",
    "CELL_LIGHT",
    "GREEN",
    "GREY",
    "GRID",
    "INK",
    "MIXTURE_COLOURS",
    "MIXTURE_LABELS",
    "MIXTURE_LINES",
    "MIXTURE_MARKERS",
    "MUTED",
    "ORANGE",
    "PAPER",
    "PURPLE",
    "SKY",
    "VERMILLION",
    "diverging",
    "law_colour",
    "law_label",
    "law_marker",
    "mixture_colour",
    "mixture_label",
    "sequential",
]

BLUE = "#0072b2"
SKY = "#56b4e9"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILLION = "#d55e00"
PURPLE = "#cc79a7"
GREY = "#767c84"

INK = "#1f2328"
"""Text and marks."""
MUTED = "#57606a"
"""Captions, tick labels."""
GRID = "#d8dee4"
"""Grid and axis lines."""
PAPER = "#ffffff"
"""Background."""
CELL_DARK = "#101316"
"""Numbers in light cells of a heat map, whatever the background of the page."""
CELL_LIGHT = "#fdfdfe"
"""Numbers in dark cells of a heat map, whatever the background of the page."""

_UNKNOWN_CELL = "#c9ced4"

MIXTURE_COLOURS = {
    "natural": GREY,
    "uniform": SKY,
    "unimax": GREEN,
    "best_seen": ORANGE,
    "proposed": BLUE,
}
MIXTURE_LABELS = {
    "natural": "natural",
    "uniform": "uniform",
    "unimax": "UniMax",
    "best_seen": "best seen",
    "proposed": "proposed",
}
MIXTURE_MARKERS = {"natural": "o", "uniform": "s", "unimax": "P", "best_seen": "^", "proposed": "D"}
MIXTURE_LINES = {
    "natural": "-",
    "uniform": "--",
    "unimax": (0, (5, 1, 1, 1, 1, 1)),
    "best_seen": "-.",
    "proposed": ":",
}

_LAW_COLOURS = {
    "log_weight": GREEN,
    "log_linear": PURPLE,
    "gp_sqrt": VERMILLION,
    "gp_log": ORANGE,
    "lightgbm": SKY,
    "components": GREY,
    "stacked": BLUE,
}
_LAW_LABELS = {
    "log_linear": "log-linear",
    "log_weight": "log-weight",
    "gp_sqrt": "GP in √x",
    "gp_log": "GP in log x",
    "lightgbm": "LightGBM",
    "autoscale": "AutoScale",
    "epochs": "law of epochs",
    "bimix": "BiMix",
    "search": "nearest run",
    "components": "GP of components",
    "stacked": "average of laws",
}
_LAW_MARKERS = {
    "log_weight": "o",
    "log_linear": "s",
    "gp_sqrt": "^",
    "gp_log": "v",
    "lightgbm": "X",
    "components": "P",
    "stacked": "D",
}
_OTHERS = (ORANGE, GREY, VERMILLION, SKY, GREEN)
_OTHER_MARKERS = "DP<>X"


def mixture_colour(name: str) -> str:
    """Return the colour of a mixture; any unknown one is green."""
    return MIXTURE_COLOURS.get(name, GREEN)


def mixture_label(name: str) -> str:
    """Return a mixture's name for readers."""
    return MIXTURE_LABELS.get(name, name.replace("_", " ").strip() or "mixture")


def law_colour(law: str, position: int = 0) -> str:
    """Return the colour of a law; `position` tells unknown ones apart."""
    return _LAW_COLOURS.get(law, _OTHERS[position % len(_OTHERS)])


def law_marker(law: str, position: int = 0) -> str:
    """Return the marker of a law, so that laws differ by more than colour."""
    return _LAW_MARKERS.get(law, _OTHER_MARKERS[position % len(_OTHER_MARKERS)])


def law_label(law: str) -> str:
    """Return a law's name for readers."""
    return _LAW_LABELS.get(law, law.replace("_", "-").strip("-") or "law")


def diverging() -> Colormap:
    """Return the colours from helpful (blue) over nothing (near white) to harmful (vermillion)."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#00456e", BLUE, "#8fc3e4", "#f6f7f8", "#f2b48a", VERMILLION, "#7f3800"]
    colours = LinearSegmentedColormap.from_list("olmix_diverging", stops)
    return colours.with_extremes(bad=_UNKNOWN_CELL)


def sequential() -> Colormap:
    """Return the colours from nothing (near white) to all (dark blue)."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#f6f7f8", "#c3dff1", "#6db1dc", BLUE, "#003a5c"]
    colours = LinearSegmentedColormap.from_list("olmix_sequential", stops)
    return colours.with_extremes(bad=_UNKNOWN_CELL)
