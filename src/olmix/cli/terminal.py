"""Talking to a person: progress bars on a terminal, lines in a pipe, tables in both.

Data goes to standard output, messages and progress go to standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from olmix.errors import OlmixError

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["ProgressView", "ask", "done", "progress", "shell_line", "table"]

_LINE_EVERY_S = 5.0


class ProgressView(Protocol):
    """How far a piece of work is."""

    def update(self, completed: float, total: float, note: str = "") -> None:
        """Show `completed` of `total`, with a short note behind it."""


class _Bar:
    """A progress bar on a terminal."""

    def __init__(self, bar: Progress, what: str) -> None:
        self._bar = bar
        self._task = bar.add_task(what, total=None, note="")

    def update(self, completed: float, total: float, note: str = "") -> None:
        self._bar.update(self._task, completed=completed, total=total, note=note)


class _Lines:
    """A line now and then, where output does not go to a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next: float | None = None

    def update(self, completed: float, total: float, note: str = "") -> None:
        # What was imported before the first step is no progress, and is not counted.
        self._next = time.monotonic() + _LINE_EVERY_S if self._next is None else self._next
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY_S
            share = 100 * completed / total if total else 0
            click.echo(f"  {self._what}: {share:.0f} %  {note}".rstrip(), err=True)


@contextmanager
def progress(what: str) -> Iterator[ProgressView]:
    """Show how far a piece of work is for the length of a `with` block."""
    if not sys.stderr.isatty():
        yield _Lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar, what)


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
