"""The first screen of a report as the last lines of a command, 80 columns wide."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from olmix.records.fit.folder import read_fit_folder
from olmix.records.fit.report_notes import read_report_notes
from olmix.report.first_screen import CostRow, FirstScreen, Segment, build_first_screen
from olmix.text.numbers import percent

__all__ = ["in_lines", "summary"]

_MOST_NAMED = 20
"""Domains that the terminal names; all others are one."""
_WIDTH = 80
_NO_BREAK = "\u00a0"


def in_lines(screen: FirstScreen) -> list[str]:
    """Return the first screen as lines of a terminal of 80 columns."""
    lines = _entry("study", screen.origin, most=2)
    if screen.bars:
        lines += _entry(screen.bars[-1].mixture, _shares(screen.mixture), most=8)
    if screen.value:
        gain = " ".join(word for word in (screen.value, screen.unit) if word)
        lines += _entry("gain", f"{gain} ({screen.reach}), {screen.label}", most=3)
    else:
        lines += _entry("result", screen.status)
    if screen.over_best:
        lines += _entry("", screen.over_best, most=2)
    if screen.costs:
        worst = [_cost(row) for row in screen.costs if row.kind == "worse"][:3]
        worst = worst or ["no other metric is worse"]
        lines += _entry("costs", f"{', '.join(worst)}; {screen.costs_note}", most=3)
    if screen.floors:
        lines += _entry("floors", screen.floors, most=3)
    if screen.lights:
        words = "; ".join(light.words for light in screen.lights)
        lines += _entry("trust", screen.measured or f"{screen.trust}: {words}", most=3)
    for name, step in (("next", screen.next), ("gentler", screen.gentler)):
        if step.words:
            lines += _entry(name, step.words, most=4)
            lines += [f"          {step.command}"] if step.command else []
    return lines


def _shares(mixture: Sequence[Segment]) -> str:
    """Return a mixture in a row, the largest domains first; beyond 20 the others are one."""
    shown = [f"{one.label} {one.percent}" for one in mixture[:_MOST_NAMED]]
    if others := mixture[_MOST_NAMED:]:
        rest = math.fsum(one.share for one in others)
        shown.append(f"{len(others)} others {percent(rest)}")
    return ", ".join(shown)


def _cost(row: CostRow) -> str:
    return f"{row.label} {row.change.partition(' ±')[0]}{f' ({row.share})' if row.share else ''}"


def summary(fit_folder: Path) -> list[str]:
    """Return the first screen of a fit folder whose report was written, as lines of a terminal.

    Raises:
        DataError: the folder holds no fit.
    """
    folder = Path(fit_folder)
    notes = read_report_notes(folder)
    return in_lines(build_first_screen(read_fit_folder(folder), notes.facts, notes.commands))


def _entry(name: str, text: str, most: int = 1) -> list[str]:
    """Return a named line, wrapped to at most `most` lines; a number keeps its per cent sign."""
    joined = text.replace(" %", f"{_NO_BREAK}%")
    kept = textwrap.wrap(
        joined, _WIDTH - 10, max_lines=most, placeholder=" ...", break_on_hyphens=False
    )
    lines = [words.replace(_NO_BREAK, " ") for words in kept]
    return [f"{name if not row else '':<10}{words}".rstrip() for row, words in enumerate(lines)]
