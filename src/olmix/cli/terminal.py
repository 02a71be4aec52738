"""Talking to a person: progress bars on a terminal, lines in a pipe, tables in both.

Data goes to standard output, messages and progress go to standard error.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from olmix.errors import OlmixError
from olmix.text.progress import OnProgress, Progress

__all__ = ["ask", "done", "progress", "shell_line", "table"]

_FIRST_LINE_S = 5.0
_LINE_EVERY = 0.1
"""Share of the work between two lines."""
_LINE_EVERY_S = 30.0
"""Seconds between two lines on work whose total is not known."""


class _Lines:
    """A line every 10 % at most, where output does not go to a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began: tuple[float, float] | None = None
        self._next_share, self._next_time = 0.0, _FIRST_LINE_S

    def __call__(self, now: Progress) -> None:
        # What was imported before the first step is no progress, and is not counted.
        share = now.share
        self._began = self._began or (time.monotonic(), share or 0.0)
        seconds = time.monotonic() - self._began[0]
        if seconds < self._next_time or (share or self._next_share) < self._next_share:
            return
        words = [f"  {self._what}:"]
        if share is None:
            self._next_time = seconds + _LINE_EVERY_S
        else:
            self._next_share = math.floor(share / _LINE_EVERY + 1) * _LINE_EVERY
            words.append(f"{100 * share:.0f} %")
            if self._began[1] < share < 1:
                left = seconds * (1 - share) / (share - self._began[1])
                words.append(f"({_clock(left)} left)")
        click.echo(" ".join([*words, now.note]).rstrip(), err=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@contextmanager
def progress(what: str) -> Iterator[OnProgress]:
    """Show how far a piece of work is, and the time left, for the length of a `with` block."""
    if not sys.stderr.isatty():
        yield _Lines(what)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, note="")
        yield lambda now: bar.update(
            task, completed=now.done, total=now.total or None, note=now.note
        )


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False
) -> None:
    """Print a table to standard output; the first column is aligned left, the others right.

    With `err` it goes to standard error, where standard output holds data.
    """
    widths = [
        max(len(column), *(len(row[index]) for row in rows), 0) if rows else len(column)
        for index, column in enumerate(columns)
    ]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "  ".join(["", first, *rest]).rstrip()

    if title:
        click.echo(title, err=err)
    click.echo(line(columns), err=err)
    click.echo(line(["-" * width for width in widths]), err=err)
    for row in rows:
        click.echo(line(row), err=err)


def ask(question: str, nothing: str, *, default: bool) -> None:
    """Ask whether to go on, and end the command where the answer is no.

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


def shell_line(words: Sequence[str]) -> str:
    """Return a command as it is typed, with paths relative to here where that is shorter."""
    import shlex

    here = f"{Path.cwd()}/"
    return shlex.join(word.removeprefix(here) for word in words)
