"""`bits_per_byte.json`: what `olmix evaluate` measured of a checkpoint, by domain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from olmix.config.base import validate
from olmix.domains import bits_per_byte_of
from olmix.errors import ConfigError, DataError
from olmix.records.typed_json import RecordPart
from olmix.text.files import read_json, write_json

__all__ = [
    "CHECKPOINT_BITS",
    "CheckpointBits",
    "DomainBits",
    "read_checkpoint_bits",
    "write_checkpoint_bits",
]

CHECKPOINT_BITS = "bits_per_byte.json"
"""Its name, by which `olmix collect` finds it below a run's folder."""

_Count = Annotated[int, Field(ge=0)]


class DomainBits(RecordPart):
    """A checkpoint on the texts of a domain.

    Attributes:
        bits_per_byte: surprise of all its documents in bits, over their bytes in UTF-8; lower is
            better.
        documents: documents that were read.
        tokens: tokens that the checkpoint's tokenizer makes of them.
        bytes: their bytes in UTF-8.
    """

    bits_per_byte: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    documents: _Count
    tokens: _Count
    bytes: _Count


class CheckpointBits(RecordPart):
    """A checkpoint on all domains.

    Attributes:
        format: version of the file.
        checkpoint: the folder that was measured.
        data: the folder of the texts.
        context_length: tokens of context at most.
        domains: by name.
    """

    format: Literal[1] = 1
    checkpoint: str
    data: str
    context_length: Annotated[int, Field(ge=1)]
    domains: dict[str, DomainBits]

    @property
    def metrics(self) -> dict[str, float]:
        """Bits per byte under the names that all trainers use, such as ``code_bpb``."""
        return {bits_per_byte_of(name): part.bits_per_byte for name, part in self.domains.items()}


def write_checkpoint_bits(file: Path, found: CheckpointBits) -> None:
    """Write what was measured."""
    write_json(file, found.model_dump())


def read_checkpoint_bits(file: Path) -> CheckpointBits:
    """Read what was measured.

    Raises:
        DataError: it is not what `olmix evaluate` writes.
    """
    try:
        return validate(CheckpointBits, read_json(file), str(file))
    except ConfigError as error:
        raise DataError(f"{error}\n  this file comes from `olmix evaluate`; run it again") from None
