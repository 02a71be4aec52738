"""`olmix evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from olmix.cli.options import json_option, path_option
from olmix.cli.terminal import done, progress, table

__all__ = ["evaluate"]


@click.command()
@path_option(
    "--checkpoint", about="Folder of a Hugging Face model and its tokenizer.", required=True
)
@path_option(
    "--data",
    about="What `olmix prepare` wrote, or texts, one subfolder a domain.",
    required=True,
)
@path_option(
    "-o",
    "--output",
    about="File to write; bits_per_byte.json in the checkpoint's folder if left out.",
)
@click.option(
    "--context-length",
    type=click.IntRange(min=1),
    help="Tokens of context; those that the model was made for if left out.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Windows that are read at once.",
)
@click.option("--device", help="Such as cpu or cuda:1; a GPU if there is one and this is left out.")
@json_option
def evaluate(
    checkpoint: Path,
    data: Path,
    output: Path | None,
    context_length: int | None,
    batch_size: int,
    device: str | None,
    as_json: bool,
) -> None:
    """Measure bits per byte by domain of a Hugging Face checkpoint; lower is better.

    Of a folder of `olmix prepare` the validation documents are read, of a folder of texts all. In
    the folder of a run, `olmix collect` finds the file and makes NAME_bpb of each domain.
    """
    from olmix.evaluate import evaluate_checkpoint
    from olmix.prepare.texts import read_evaluation_texts
    from olmix.records.checkpoint_bits import CHECKPOINT_BITS, write_checkpoint_bits

    warnings: list[str] = []
    texts = read_evaluation_texts(data, warnings)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    with progress("evaluating") as show:
        found = evaluate_checkpoint(
            checkpoint,
            texts,
            data,
            context_length=context_length,
            batch_size=batch_size,
            device=device,
            on_progress=show,
        )
    file = output if output is not None else checkpoint / CHECKPOINT_BITS
    write_checkpoint_bits(file, found)
    if as_json:
        click.echo(json.dumps(found.model_dump(), indent=2))
    else:
        rows = [
            (name, f"{d.bits_per_byte:.4f}", f"{d.documents:,}", f"{d.bytes:,}", f"{d.tokens:,}")
            for name, d in found.domains.items()
        ]
        table("", ("domain", "bits per byte", "documents", "bytes", "tokens"), rows)
    done(str(file))
