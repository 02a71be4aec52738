"""`olmix prepare`."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import click

from olmix.cli.options import path_option
from olmix.cli.terminal import done, progress, table

if TYPE_CHECKING:
    from olmix.records.prepared import PreparedDomain

__all__ = ["prepare"]


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the token files.",
)
@path_option(
    "--data",
    old=("--texts",),
    about="Your texts: one subfolder per domain; if left out, texts that come with Python.",
)
@click.option("--domain", "domains", multiple=True, help="Use only this domain; repeatable.")
@click.option(
    "--held-out",
    multiple=True,
    help="A domain to keep out of training; repeatable. The built-in texts hold out networkx.",
)
@click.option(
    "--vocab-size",
    type=click.IntRange(min=258),
    default=1024,
    show_default=True,
    help="Size of the vocabulary.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the split into training and validation documents.",
)
def prepare(
    output: Path,
    data: Path | None,
    domains: tuple[str, ...],
    held_out: tuple[str, ...],
    vocab_size: int,
    seed: int,
) -> None:
    """Turn texts into a tokenizer and raw token files per domain, with provenance."""
    from olmix.prepare import PrepareRequest
    from olmix.prepare import prepare as run

    request = PrepareRequest(
        output=output,
        folder=data,
        domains=domains or None,
        held_out=held_out or (("networkx",) if data is None else ()),
        vocab_size=vocab_size,
        seed=seed,
    )
    with progress("preparing") as show:
        prepared = run(request, show)
    rows = [
        (
            entry.name,
            f"{entry.train_tokens:,}" if not entry.held_out else "held out",
            f"{entry.validation_tokens:,}",
            f"{entry.train_bytes + entry.validation_bytes:,}",
            _left_out(entry),
            shorten(entry.licence, 30),
        )
        for entry in prepared.domains
    ]
    header = ("domain", "training", "validation", "bytes", "left out", "licence")
    table("Tokens for training and for validation", header, rows)
    for warning in prepared.warnings:
        click.echo(f"warning: {warning}", err=True)
    done(f"{output} {'was prepared before' if prepared.reused else 'is ready'}")


def _left_out(domain: PreparedDomain) -> str:
    """Return what a domain's texts hold and its token files do not: texts, share of bytes, why."""
    kept = domain.train_bytes + domain.validation_bytes
    total = kept + sum(entry.size_bytes for entry in domain.left_out)
    words = []
    for entry in domain.left_out:
        share = 100 * entry.size_bytes / total if total else 0.0
        amount = f"{share:.0f} % of bytes" if share >= 1 else "< 1 % of bytes"
        words.append(f"{entry.texts:,} {entry.reason} ({amount})")
    return "; ".join(words)
