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
    about="Folder written by `olmix prepare`, or of texts with one subfolder per domain.",
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
    help="Context length in tokens; if left out, the model's own.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Windows to evaluate at once.",
)
@click.option("--device", help="Device, such as cpu or cuda:1; if left out, a GPU if there is one.")
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

    From a folder of `olmix prepare` it reads the validation documents, from a folder of texts all
    of them. In the folder of a run, `olmix collect` finds the file and turns each domain into the
    metric NAME_bpb.
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
