"""The first screen of a report as the last ten lines of a command, 80 columns wide."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from olmix.records.fit.folder import read_fit_folder
from olmix.records.fit.report_notes import read_report_notes
from olmix.report.first_screen import CostRow, FirstScreen, build_first_screen
from olmix.text.numbers import counted

__all__ = ["in_lines", "summary"]

_MOST_LINES = 10
_MOST_COSTS = 3
_WIDTH, _NAMES = 80, 10
_NO_BREAK = "\u00a0"


def summary(fit_folder: Path) -> list[str]:
    """Return the first screen of a fit folder whose report was written, as lines of a terminal.

    Raises:
        DataError: the folder holds no fit.
    """
    folder = Path(fit_folder)
    notes = read_report_notes(folder)
    screen = build_first_screen(read_fit_folder(folder), notes.facts, notes.commands)
    return in_lines(screen, notes.title, folder / "report.html")


def in_lines(screen: FirstScreen, title: str = "", page: Path | None = None) -> list[str]:
    """Return the first screen as ten lines of a terminal of 80 columns, or fewer.

    A command is one line, however long. The mixture is cut to the lines that are left.

    Args:
        screen: the first screen.
        title: title of the page.
        page: where it is.
    """
    head = _entry("study", _study(title.partition(":")[0], screen.origin))
    rest = _entry("gain", _gain(screen.headline))
    rest += _entry("interval", screen.span)
    rest += _entry("sizes", screen.ladder)
    rest += _entry("costs", _costs(screen))
    rest += [] if screen.ladder else _entry("trust", _trust(screen))
    rest += _entry("caution", _caution(screen))
    if screen.next.brief:
        rest += _entry("next", screen.next.brief, most=1 if screen.next.command else 2)
        rest += [f"{'':{_NAMES}}{screen.next.command}"] if screen.next.command else []
    if page is not None:
        found = f" ({counted(len(screen.warnings), 'warning')})" if screen.warnings else ""
        rest.append(f"{'report':<{_NAMES}}{page}{found}")
    room = _MOST_LINES - len(head) - len(rest)
    return [*head, *_mixture(screen, min(max(room, 1), 2)), *rest]


def _gain(headline: str) -> str:
    """Return the gain, without its unit where the metric's name would be cut off."""
    long = len(headline) > _WIDTH - _NAMES
    return headline.replace(" bits per byte", "", 1) if long else headline


def _study(name: str, origin: str) -> str:
    """Return which study it is and what it took, shorter where a line has no room for it."""
    short = origin.replace(" to verify", "").replace(" of training", "")
    texts = [f"{name} · {text}" if name else text for text in (origin, short)]
    fits = (text for text in (*texts, origin, short) if len(text) <= _WIDTH - _NAMES)
    return next(fits, short)


def _mixture(screen: FirstScreen, most: int) -> list[str]:
    """Return the proposed mixture, the largest domains first, with the shares they had before."""
    if not screen.mixture:
        return []
    parts = []
    for one in screen.mixture:
        if one.share or one.before not in ("", "0 %"):
            arrow = f"{one.before.removesuffix(' %')} → " if one.before else ""
            parts.append(f"{one.label} {arrow}{one.percent}")
    about = f"from {screen.bars[0].mixture}: " if screen.mixture[0].before else ""
    return _fitting("mixture", about, parts, most)


def _fitting(name: str, about: str, parts: Sequence[str], most: int) -> list[str]:
    """Return as many parts as lines have room for, and how many more there are."""
    for shown in range(len(parts), 0, -1):
        more = f" and {len(parts) - shown} more" if shown < len(parts) else ""
        lines = _wrapped(f"{about}{', '.join(parts[:shown])}{more}")
        if len(lines) <= most:
            return _named(name, lines)
    return _entry(name, f"{about}{', '.join(parts)}", most)


def _costs(screen: FirstScreen) -> str:
    """Return the metrics that lose most, as many as a line has room for."""
    if not screen.costs:
        return ""
    worse = [_cost(row) for row in screen.costs if row.kind == "worse"][:_MOST_COSTS]
    ends = "; ".join(text for text in (screen.costs_note, screen.floors.brief) if text)
    while worse:
        text = f"{', '.join(worse)}; {ends}"
        if len(text) <= _WIDTH - _NAMES:
            return text
        worse.pop()
    return ends


def _cost(row: CostRow) -> str:
    share = f" ({row.share.removesuffix(' worse')})" if row.share else ""
    return f"{row.label} {row.change.partition(' ±')[0]}{share}"


def _trust(screen: FirstScreen) -> str:
    """Return the three lights, or what was measured in their place."""
    if screen.measured_brief:
        return screen.measured_brief
    if not screen.lights:
        return ""
    text = f"{screen.trust}: {', '.join(light.brief for light in screen.lights)}"
    return text if len(text) <= _WIDTH - _NAMES else text.replace(" what was tried", " the runs")


def _caution(screen: FirstScreen) -> str:
    """Return what most speaks against the mixture: a floor, a cost, or the first warning."""
    if screen.floors.missed:
        return f"beyond the floor: {screen.floors.missed.replace(' worse)', ')')}"
    if screen.gentler.brief or not screen.warnings:
        return screen.gentler.brief
    first = screen.warnings[0]
    start = re.split(r": |\. ", first, maxsplit=1)[0].rstrip(".")
    return start if len(start.split()) > 2 else first


def _entry(name: str, text: str, most: int = 1) -> list[str]:
    """Return a named line, wrapped to at most `most` lines; nothing without text."""
    return _named(name, _wrapped(text, most)) if text else []


def _named(name: str, lines: Sequence[str]) -> list[str]:
    return [f"{'' if row else name:<{_NAMES}}{line}" for row, line in enumerate(lines)]


def _wrapped(text: str, most: int | None = None) -> list[str]:
    """Return a text in lines; a number keeps its per cent sign and its arrow."""
    kept = re.sub(r" (?=[%→])|(?<=→) ", _NO_BREAK, text)
    lines = textwrap.wrap(
        kept, _WIDTH - _NAMES, max_lines=most, placeholder=" ...", break_on_hyphens=False
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]
