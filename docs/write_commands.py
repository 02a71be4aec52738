"""Write docs/commands.md from the help of every command. Run by `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from olmix.cli.main import cli

HEADER = """\
# Commands

Written from the help of the commands by `make docs`; do not edit.

Every command exits with 0 when done, 1 when something is incomplete, 2 when the input or the state
is wrong, and 130 when interrupted. Data goes to standard output, messages go to standard error.
"""


def pages(command: click.Command, words: tuple[str, ...]) -> list[str]:
    """Return the help of a command and of everything below it, one section each."""
    # The names of the help option are those of the program: click keeps the first that it sees.
    context = click.Context(
        command,
        info_name=" ".join(words),
        max_content_width=96,
        help_option_names=cli.context_settings["help_option_names"],
    )
    context.terminal_width = 96
    found = [f"## {' '.join(words)}\n\n```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                found.extend(pages(inner, (*words, name)))
    return found


def render() -> str:
    """Return the whole page."""
    return "\n".join([HEADER, *pages(cli, ("olmix",))])


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("commands.md")
    target.write_text(render(), encoding="utf-8")
