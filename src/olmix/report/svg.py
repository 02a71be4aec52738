"""Figures as bytes of a PNG file, and as SVG that is part of an HTML page.

In the page, colours of the palette become CSS variables, so that figures follow the page into dark
mode; text stays text, so that it can be read aloud, selected and set in the reader's own font.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmix.plotting.canvas import render_figure
from olmix.plotting.palette import GRID, INK, MIXTURE_COLOURS, MUTED, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "inline_svg", "png_bytes"]

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--paper",
    **{colour: f"--{name.replace('_', '-')}" for name, colour in MIXTURE_COLOURS.items()},
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_POINTS_PER_PIXEL = 0.75
_PAD_INCHES = 0.06


@dataclass(frozen=True)
class Drawing:
    """A figure as an `svg` element of a page, and its natural width there in CSS pixels."""

    svg: str
    width: int


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as a PNG file; the same figure always gives the same bytes."""
    return render_figure(
        figure, pad_inches=_PAD_INCHES, facecolor=PAPER, metadata={"Software": None}
    )


def inline_svg(figure: Figure, alt: str, name: str) -> Drawing:
    """Return a figure as an `svg` element of an HTML page.

    Args:
        figure: the figure.
        alt: what the figure shows, in words.
        name: prefix of the ids inside, unique within the page.
    """
    text = render_figure(
        figure, "svg", pad_inches=_PAD_INCHES, facecolor="none", metadata=_NO_METADATA
    ).decode("utf-8")
    text = text[text.index("<svg") :]
    for pattern in (
        r"<metadata>.*?</metadata>",
        r"<style.*?</style>",
        r"<!--.*?-->",
        r" xmlns(:xlink)?=\"[^\"]*\"",
        r"<defs>\s*</defs>",
    ):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    # Only tags are changed: a domain may well be called `#0072b2` or `id="x"`.
    text = re.sub(r"<[^>]*>", lambda tag: _page_tag(tag.group(), name), text)
    text = re.sub(r"\n\s*", "\n", text).strip()
    head, body = text.split(">", 1)
    box = re.search(r"viewBox=\"([^\"]+)\"", head)
    width = float(box.group(1).split()[2]) / _POINTS_PER_PIXEL if box else 480.0
    described = html.escape(alt, quote=True)
    opening = f'<svg role="img" aria-label="{described}" viewBox="{box.group(1) if box else ""}"'
    return Drawing(f"{opening}>{body}", round(width))


def _page_tag(tag: str, name: str) -> str:
    """Return a tag with ids of the page's own and the colours of the page."""
    tag = tag.replace("xlink:href", "href")
    tag = re.sub(r"^<g id=\"[^\"]*\">", "<g>", tag)
    tag = re.sub(r"\bid=\"([^\"]+)\"", rf'id="{name}-\1"', tag)
    tag = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", tag)
    tag = re.sub(r"href=\"#([^\"]+)\"", rf'href="#{name}-\1"', tag)
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var({variable})")
    return tag
