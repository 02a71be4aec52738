"""The `olmix` command: commands load when they are called, errors are sentences.

Exit status: 0 done, 1 done but something is incomplete, 2 the input or the state is wrong,
130 interrupted.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from olmix import __version__
from olmix.errors import OlmixError, explain, nearest

__all__ = ["LazyGroup", "cli", "main", "run"]

COMMANDS = {
    "quickstart": ("olmix.cli.quickstart:quickstart", "Run the whole loop on this machine."),
    "new": ("olmix.cli.new:new", "Write the configs of a study, with every key explained."),
    "plan": ("olmix.cli.plan:plan", "Plan a budget: how many runs, of which size."),
    "prepare": (
        "olmix.cli.prepare:prepare",
        "Turn texts into a tokenizer and token files per domain.",
    ),
    "priors": ("olmix.cli.priors:priors", "Count tokens and relative sizes per domain."),
    "generate": ("olmix.cli.generate:generate", "Sample the mixtures of a swarm."),
    "launch": ("olmix.cli.launch:launch", "Preview, run, watch and cancel the runs of a swarm."),
    "sweep": (
        "olmix.cli.sweep:sweep",
        "Write the configs of a factorial sweep from an experiment.yaml.",
    ),
    "grpo": ("olmix.cli.grpo:grpo", "Train with GRPO on Tunix, composed by Hydra."),
    "collect": ("olmix.cli.collect:collect", "Turn run folders into ratios.csv and metrics.csv."),
    "evaluate": (
        "olmix.cli.evaluate:evaluate",
        "Measure bits per byte by domain of a Hugging Face checkpoint.",
    ),
    "fit": ("olmix.cli.fit:fit", "Regress, cross-validate, propose, report."),
    "predict": ("olmix.cli.predict:predict", "Predict any mixtures with the laws of a fit."),
    "verify": ("olmix.cli.verify:verify", "Train the proposal against the natural mixture."),
    "report": ("olmix.cli.report:report", "Rewrite a report, or compare two fits."),
    "fits": ("olmix.cli.report:fits", "List the fits in a folder with their headlines."),
    "convert": (
        "olmix.cli.convert:convert",
        "Convert configs of Ai2's Olmix.",
    ),
    "mix": ("olmix.cli.mix:mix", "Export a mixture for another trainer."),
    "schema": ("olmix.cli.schema:schema", "Write JSON Schemas, so that editors complete the YAML."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are first used.

    Args:
        lazy: command name to (``module:attribute``, one line of help).
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they are used."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named; of a misspelt one say what was meant."""
        name = args[0] if args else ""
        guess = nearest(name, self.list_commands(ctx))
        if name and guess is not None and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command '{name}'. Did you mean '{guess}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="olmix")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and debug messages.")
@click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors.")
def cli(debug: bool, quiet: bool) -> None:
    """Choose what to train on with small experiments before the large one.

    define -> preview -> launch -> collect -> fit -> propose -> verify

    Start with `olmix quickstart`: it runs the whole loop on this machine in about two minutes and
    prints every command that it uses.
    """
    level = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    if not debug:
        handler.setFormatter(_Plain())
    root = logging.getLogger("olmix")
    root.handlers[:] = [handler]
    root.setLevel(level)


class _Plain(logging.Formatter):
    """Messages as they are; warnings say that they are."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        return f"warning: {text}" if record.levelno >= logging.WARNING else text


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    run(cli, args)


def run(command: click.Command, args: Sequence[str] | None = None) -> None:
    """Run a command as a command line of its own and exit."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        status = command.main(words, standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "\ninterrupted; run the same command again and it picks up where this one left off",
            err=True,
        )
        sys.exit(130)
    except (OlmixError, OSError) as error:
        if "--debug" in words:
            raise
        click.echo(f"error: {explain(error)}", err=True)
        sys.exit(2)
