"""The texts that a checkpoint is measured on: of a prepared folder, or of a folder of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from olmix.errors import DataError, needs
from olmix.prepare.encode import validation_file
from olmix.prepare.folder import list_domains, read_documents
from olmix.prepare.left_out import Tally
from olmix.prepare.tokenizer import Tokenizer
from olmix.records.prepared import PreparedData, read_prepared
from olmix.records.tokens import open_tokens

__all__ = ["read_evaluation_texts"]


def read_evaluation_texts(data: Path, warnings: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the documents of each domain, none of them empty.

    Args:
        data: a folder that `olmix prepare` wrote, whose validation documents are read; or texts,
            one subfolder per domain, all of which are read.
        warnings: what is skipped is added here, in words.

    Raises:
        DataError: there is no such folder, or a domain has no text.
        MissingPackageError: the package that reads a file is not installed.
    """
    manifest = read_prepared(data)
    if manifest is not None:
        found = _validation_texts(data, manifest)
    else:
        found = {}
        for domain in list_domains(data, least=1):
            tally = Tally()
            found[domain.name] = tuple(d.text for d in read_documents(data, domain, tally))
            warnings += [f"domain {domain.name}: {said}" for said in tally.warnings]
    texts = {name: tuple(text for text in each if text) for name, each in found.items()}
    empty = [name for name, each in texts.items() if not each]
    if empty:
        raise DataError(f"{data}: no text to evaluate on in domain {', '.join(empty)}")
    return texts


def _validation_texts(data: Path, manifest: PreparedData) -> dict[str, tuple[str, ...]]:
    """Return the validation documents of a prepared folder, as text again."""
    with needs("prepare", "Reading the texts of prepared data"):
        from tokenizers import Tokenizer as Inner
    tokenizer = Tokenizer(Inner.from_file(str(data / "tokenizer.json")))
    found = {}
    for name in manifest.domains:
        tokens = open_tokens(data / validation_file(name), manifest.dtype)
        ends = np.flatnonzero(tokens == manifest.eos_id)
        found[name] = tuple(tokenizer.decode(part) for part in np.split(tokens, ends + 1))
    return found
