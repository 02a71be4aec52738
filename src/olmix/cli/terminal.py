"""Talking to a person: progress bars on a terminal, lines in a pipe, tables in both.

Data goes to standard output, messages and progress go to standard error.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

import click

from olmix.errors import OlmixError
from olmix.text.progress import OnProgress, Progress

__all__ = ["ask", "done", "progress", "resolved", "shell_line", "table"]

_FIRST_LINE_S = 5.0
_LINE_EVERY = 0.1
"""Share of the work between two lines."""
_LINE_EVERY_S = 30.0
"""Seconds between two lines on work whose total is not known."""
_LEAST_SHARE = 0.01
"""Share of the work from which its speed says when it ends; the first steps are the slowest."""
_LEAST_WIDTH = 8
"""Columns of a table are not made narrower than this."""


class _TimeLeft:
    """How long a piece of work still takes, by the time that its work so far has taken."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None
        self._share: float | None = None

    def note(self, now: Progress) -> None:
        """Record how far the work is."""
        self._share = now.share
        # What was imported before the first step is no progress, and is not counted.
        self._began = self._began or (time.monotonic(), now.share or 0.0)

    @property
    def seconds(self) -> float:
        """Seconds since the first step."""
        return time.monotonic() - self._began[0] if self._began is not None else 0.0

    def __str__(self) -> str:
        """Return the time left, as ``0:01:35 left``; nothing where it is not known."""
        if self._began is None or self._share is None or self._share >= 1:
            return ""
        if self._share < self._began[1] + _LEAST_SHARE:
            return ""
        left = self.seconds * (1 - self._share) / (self._share - self._began[1])
        minutes, rest = divmod(round(left), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02} left"


class _Lines:
    """A line every 10 % at most, where output does not go to a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._left = _TimeLeft()
        self._next_share, self._next_time = 0.0, _FIRST_LINE_S

    def __call__(self, now: Progress) -> None:
        self._left.note(now)
        share, seconds = now.share, self._left.seconds
        if seconds < self._next_time or (share is not None and share < self._next_share):
            return
        words = [f"  {self._what}:"]
        if share is None:
            self._next_time = seconds + _LINE_EVERY_S
        else:
            self._next_share = math.floor(share / _LINE_EVERY + 1) * _LINE_EVERY
            # 35 of 36 are not all: 100 % is what has ended.
            words.append(f"{100 * share:.0f} %" if share >= 1 else f"{min(100 * share, 99):.0f} %")
            words += [f"({left})"] if (left := str(self._left)) else []
        click.echo(" ".join([*words, now.note]).rstrip(), err=True)


@contextmanager
def progress(what: str) -> Iterator[OnProgress]:
    """Show how far a piece of work is, and the time left, for the length of a `with` block."""
    if not sys.stderr.isatty():
        yield _Lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}", style="cyan"),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        left = _TimeLeft()
        # The time left is put into words whenever the bar is drawn, so that it grows in a stall.
        task = bar.add_task(what, total=None, note="", left=left)

        def show(now: Progress) -> None:
            left.note(now)
            bar.update(task, completed=now.done, total=now.total or None, note=now.note)

        yield show


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    err: bool = False,
    cut_last: bool = False,
) -> None:
    """Print a table to standard output; the first column is aligned left, the others right.

    On a terminal it is no wider than that: the widest columns are broken into lines. In a pipe
    every row is one line, unless COLUMNS says how wide it is.

    Args:
        title: a line above it; none if empty.
        columns: headings.
        rows: cells of each row.
        err: print to standard error, where standard output holds data.
        cut_last: cut the last column, notes aligned left, to the end of the line.
    """
    by_column = list(zip(columns, *rows, strict=True))
    room = _room(err)
    widths = (
        [max(map(len, cells)) for cells in by_column]
        if room is None
        else _fitting(by_column, room, cut_last=cut_last)
    )
    # Texts that are broken into lines are read from the left.
    left = {0} | {
        column
        for column, (_, *cells) in enumerate(by_column)
        if not _are_numbers(cells) and any(len(cell) > widths[column] for cell in cells)
    }

    def align(cell: str, column: int) -> str:
        return cell.ljust(widths[column]) if column in left else cell.rjust(widths[column])

    def show(cells: Sequence[str]) -> None:
        broken = [_broken(cell, width) for cell, width in zip(cells, widths, strict=True)]
        if cut_last:
            broken[-1] = [_cut(cells[-1], widths[-1])]
        for row in zip_longest(*broken, fillvalue=""):
            click.echo("  ".join(["", *map(align, row, range(len(row)))]).rstrip(), err=err)

    if title:
        click.echo(title, err=err)
    show(columns)
    show(["-" * width for width in widths])
    for row in rows:
        show(row)


def _room(err: bool) -> int | None:
    """Return the columns of the terminal; `None` in a pipe of which nothing is known."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty() and not os.environ.get("COLUMNS", "").isdecimal():
        return None
    return shutil.get_terminal_size().columns


def _are_numbers(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers, with what belongs to them."""
    return not any(re.search(r"[^\W\d_]", cell.replace(" to ", "")) for cell in cells)


def _fitting(columns: Sequence[Sequence[str]], room: int, *, cut_last: bool) -> list[int]:
    """Return widths of columns that fit: a last one that is cut gives way first, then texts.

    Words are not broken and numbers stay in one piece where that fits.
    """
    room -= 2 * len(columns)
    widths = [max(map(len, cells)) for cells in columns]
    if cut_last:
        widths[-1] = min(widths[-1], max(room - sum(widths[:-1]), _LEAST_WIDTH))
    words = [max(len(w.rstrip()) for c in cells for w in _pieces(c)) for cells in columns]
    numbers = [_are_numbers(cells) for _, *cells in columns]
    # What each column may be narrowed to, the harmless ways first.
    texts = [
        w if number else min(w, word)
        for w, word, number in zip(widths, words, numbers, strict=True)
    ]
    both = [min(width, word) for width, word in zip(widths, words, strict=True)]
    for least in (texts, both, [_LEAST_WIDTH] * len(widths)):
        while sum(widths) > room:
            spare = [width - few for width, few in zip(widths, least, strict=True)]
            widest = max(range(len(widths)), key=lambda c: widths[c] if spare[c] > 0 else 0)
            if spare[widest] <= 0:
                break
            widths[widest] -= 1
    return widths


def _pieces(cell: str) -> list[str]:
    """Return the parts of a cell between which a line may end: words, and parts of long names."""
    return re.split(r"(?<=[ _/:-])|(?<=[A-Za-z]\.)(?=[A-Za-z])", cell)


def _broken(cell: str, width: int) -> list[str]:
    """Return a cell as lines of a width, broken at spaces and within long names."""
    lines = [""]
    for piece in _pieces(cell):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        rest = piece
        while len(rest.rstrip()) > width:
            lines[-1:] = [rest[:width], ""]
            rest = rest[width:]
        lines[-1] += rest
    return [line.rstrip() for line in lines]


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


def ask(question: str, nothing: str, *, default: bool) -> None:
    """Ask whether to continue, and end the command if the answer is no.

    Args:
        question: what is asked.
        nothing: what to say where nothing is done, such as ``nothing was started``.
        default: the answer of an empty line; False for what costs money or cannot be undone.

    Raises:
        OlmixError: there is nobody to ask.
        click.exceptions.Exit: with status 1 where the answer is no.
    """
    try:
        agreed = click.confirm(question, default=default, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)
        raise OlmixError(f"{nothing}; give --yes where there is no terminal to ask") from None
    if not agreed:
        click.echo(nothing, err=True)
        raise click.exceptions.Exit(1)


def done(text: str) -> None:
    """Print that something is done."""
    mark = click.style("✓", fg="green")
    click.echo(f"{mark} {text}", err=True)


def resolved(folder: Path) -> Path:
    """Return where a link such as `fit/latest` leads, relative to here if it lies below."""
    real = folder.resolve()
    return real.relative_to(Path.cwd()) if real.is_relative_to(Path.cwd()) else real


def shell_line(words: Sequence[str]) -> str:
    """Return a command as it is typed, with paths relative to here where that is shorter."""
    import shlex

    here = f"{Path.cwd()}/"
    return shlex.join(word.removeprefix(here) for word in words)
