"""`manifest.json` in a folder of `olmix prepare`: which token files are there, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from olmix.config import TokenDtype
from olmix.errors import DataError
from olmix.records.typed_json import KEY, Items, JsonRecord, Name, Text, read_record, write_record

__all__ = [
    "PREPARED_FILE",
    "PREPARED_FORMAT",
    "LeftOutTexts",
    "PreparedData",
    "PreparedDomain",
    "Reason",
    "read_prepared",
]

PREPARED_FILE = "manifest.json"
PREPARED_FORMAT = 3
Reason = Literal[
    "duplicate", "in another domain", "empty", "not readable", "beyond the validation ceiling"
]
_Count = Annotated[int, Field(ge=0, le=2**63)]


@dataclass(frozen=True)
class LeftOutTexts:
    """Texts of a domain that are left out for one reason.

    Attributes:
        reason: why.
        texts: how many; a file that cannot be read counts as one.
        size_bytes: bytes of them, 0 where they are not known.
    """

    reason: Reason
    texts: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class PreparedDomain:
    """The token files of a domain.

    Attributes:
        name: the domain.
        held_out: whether it is only evaluated.
        documents: distinct documents, before long ones were cut.
        train_tokens: tokens to train on.
        validation_tokens: tokens to evaluate.
        train_bytes: bytes of text to train on.
        validation_bytes: bytes of text to evaluate.
        licence: terms of its texts, as far as known.
        description: what it is.
        left_out: what its texts hold and its token files do not.
        fingerprint: what its token files are known by, as `olmix priors compute` finds it.
    """

    name: Name = field(default="", metadata=KEY)
    held_out: bool = False
    documents: _Count = 0
    train_tokens: _Count
    validation_tokens: _Count = 0
    train_bytes: _Count = 0
    validation_bytes: _Count = 0
    licence: Text = ""
    description: Text = ""
    left_out: Items[LeftOutTexts] = ()
    fingerprint: Name = ""


@dataclass(frozen=True, kw_only=True)
class PreparedData(JsonRecord):
    """The content of the `manifest.json` of `olmix prepare`.

    Attributes:
        format: version of this file.
        fingerprint: what the texts and the request are known by.
        dtype: type of the tokens.
        vocab_size: entries of the tokenizer.
        eos_id: the token that ends a document.
        seed: of the split.
        warnings: what was passed over or changed, in words.
        domains: what became of each domain.
    """

    format: Annotated[int, Field(ge=1, le=PREPARED_FORMAT)] = PREPARED_FORMAT
    fingerprint: Name
    dtype: TokenDtype = "uint16"
    vocab_size: _Count = 0
    eos_id: _Count = 0
    seed: int = 0
    warnings: Items[Text] = ()
    domains: Mapping[Name, PreparedDomain]

    def write(self, folder: Path) -> None:
        """Write the manifest into the folder of the token files."""
        write_record(folder / PREPARED_FILE, self)


def read_prepared(folder: Path) -> PreparedData | None:
    """Return the manifest of a finished `olmix prepare`, `None` where there is none that is ours.

    Another program's `manifest.json`, and one that cannot be read, are none.
    """
    try:
        found = read_record(PreparedData, folder / PREPARED_FILE, "Run `olmix prepare` again.")
    except DataError:
        return None
    domains = {name: replace(domain, name=name) for name, domain in found.domains.items()}
    return replace(found, domains=domains)
