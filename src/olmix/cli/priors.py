"""`olmix priors compute`."""

from __future__ import annotations

from pathlib import Path

import click

from olmix.cli.terminal import done, progress, table

__all__ = ["priors"]


@click.group()
def priors() -> None:
    """Token counts and relative sizes per domain."""


@priors.command()
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    help="Any YAML file with data.sources.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, in place of standard output.",
)
@click.option("-n", "--no-cache", is_flag=True, help="Count anew (local files always are).")
def compute(config: Path, output: Path | None, no_cache: bool) -> None:  # noqa: ARG001
    """Count the tokens of every domain and print a `priors:` block, ready to paste."""
    from olmix.config import DataConfig, read_yaml
    from olmix.config.base import validate
    from olmix.io.files import write_text
    from olmix.priors import count_tokens, render_priors

    file = read_yaml(config).section("data")
    data = validate(DataConfig, file.data, file)
    with progress("counting") as view:
        counts = count_tokens(data, lambda name, n, total: view.update(n, total, name))
    total = sum(count.num_tokens for count in counts)
    text = render_priors(counts)
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    rows = [
        (c.domain, f"{c.num_tokens:,}", f"{c.num_files:,}", f"{100 * c.num_tokens / total:.1f} %")
        for c in counts
    ]
    table("", ("domain", "tokens", "files", "share"), rows)
    done(f"wrote {output}: {total:,} tokens in {len(counts)} domains")
