"""`olmix priors compute`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.options import path_option
from olmix.cli.terminal import done, progress, table
from olmix.text.numbers import counted

__all__ = ["priors"]

SEQUENCE = 8_192
"""Tokens of one training sequence of OLMo; a domain below it fills none."""


@click.group()
def priors() -> None:
    """Token counts and relative sizes per domain."""


@priors.command()
@path_option("-c", "--config", required=True, about="object YAML file with data.sources.")
@path_option("-o", "--output", about="File to write instead of standard output.")
@click.option(
    "-n", "--no-cache", is_flag=True, help="List object storage again; ignore cached counts."
)
def compute(config: Path, output: Path | None, no_cache: bool) -> None:
    """Count the tokens of every domain and print a `priors:` block, ready to paste."""
    from olmix.config import DataConfig, read_yaml
    from olmix.config.base import validate
    from olmix.priors import count_domains, render_priors
    from olmix.priors.count import age
    from olmix.text.files import write_text
    from olmix.text.numbers import percent

    file = read_yaml(config).section("data")
    data = validate(DataConfig, file.data, file)
    with progress("counting") as show:
        found = count_domains(data, show, use_cache=not no_cache)
    counts = found.domains
    total = sum(count.num_tokens for count in counts)
    if found.counted is not None:
        click.echo(f"counted {age(found.counted)} ago; -n to count again", err=True)
    if data.dtype is None and found.dtype is not None:
        click.echo(f"token ids are {found.dtype}, as the files say", err=True)
    for count in counts:
        if count.num_tokens < SEQUENCE:
            click.echo(
                f"warning: {count.domain} has {count.num_tokens:,} tokens, less than one sequence "
                f"of {SEQUENCE:,}",
                err=True,
            )
    text = render_priors(counts)
    rows = [
        (c.domain, f"{c.num_tokens:,}", f"{c.num_files:,}", percent(c.num_tokens / total))
        for c in counts
    ]
    if output is None:
        click.echo(text, nl=False)
        table("", ("domain", "tokens", "files", "share"), rows, err=True)
        return
    write_text(output, text)
    table("", ("domain", "tokens", "files", "share"), rows)
    done(f"wrote {output}: {total:,} tokens in {counted(len(counts), 'domain')}")
