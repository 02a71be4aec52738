"""`data_manifest.json`: what a command is to train on, and what it may be measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from olmix.config import TokenDtype
from olmix.config.base import validate
from olmix.errors import ConfigError, DataError
from olmix.mixture import Mixture, Share
from olmix.records.typed_json import RecordPart
from olmix.text.files import read_json, write_json

__all__ = ["DataManifest", "ManifestDomain", "ValidationSet", "read_manifest", "write_manifest"]

_Paths = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
_Count = Annotated[int, Field(ge=1)]


class ManifestDomain(RecordPart):
    """A domain of the run.

    Attributes:
        weight: its share of the training tokens.
        repetition_factor: passes over its tokens that the run may take.
        paths: its token files, as paths and patterns.
        tokens_seen: tokens that a matched run may see of it; `None` where nothing is cut, or where
            its files could not be counted.
    """

    weight: float
    repetition_factor: float = 1.0
    paths: _Paths
    tokens_seen: int | None = None


class ValidationSet(RecordPart):
    """A validation set of a run.

    Attributes:
        paths: its token files, as paths and patterns.
        tokens: tokens of all of them.
        bytes: bytes of text that they stand for; `None` without a byte-level tokenizer.
    """

    paths: _Paths
    tokens: int
    bytes: int | None = None


class DataManifest(RecordPart):
    """The data of a run.

    Attributes:
        dtype: type of the tokens in raw files; `None` where the files say it.
        tokenizer: what made them.
        max_tokens: tokens of the run.
        seed: seed of the run.
        target_tokens: tokens of the large run that this one is matched to.
        subset_share: share of each domain's tokens that a matched run may see.
        subset_seed: seed of what it sees.
        domains: by name, those without weight too.
        validation: validation sets by name.
    """

    dtype: TokenDtype | None = None
    tokenizer: str | None = None
    max_tokens: _Count
    seed: Annotated[int, Field(ge=0)] = 0
    target_tokens: _Count | None = None
    subset_share: float = 1.0
    subset_seed: Annotated[int, Field(ge=0)] = 0
    domains: dict[str, ManifestDomain]
    validation: dict[str, ValidationSet] = {}

    @property
    def mix(self) -> Mixture:
        """The mixture of the run."""
        shares = {n: Share(d.weight, d.repetition_factor) for n, d in self.domains.items()}
        return Mixture(shares)


def write_manifest(file: Path, manifest: DataManifest) -> None:
    """Write the data of a run, for its command; keys that were not given stay out."""
    write_json(file, manifest.model_dump(exclude_unset=True), sync=False)


def read_manifest(file: str | Path) -> DataManifest:
    """Read the data of a run.

    Raises:
        DataError: there is none, or it is not what a launch writes.
    """
    try:
        return validate(DataManifest, read_json(file), str(file))
    except ConfigError as error:
        raise DataError(
            f"{error}\n  this file comes from `olmix launch`; start the run again"
        ) from None
