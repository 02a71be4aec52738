"""From split texts to token files, with the provenance of every document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from olmix.prepare.documents import Document
from olmix.prepare.reading import ReadDomain
from olmix.prepare.tokenizer import Tokenizer
from olmix.records.fingerprint import domain_fingerprint
from olmix.records.prepared import PreparedDomain
from olmix.records.token_formats import LOCAL
from olmix.text.csv import write_rows
from olmix.text.files import write_bytes
from olmix.text.progress import Steps

__all__ = ["encode_all", "train_file", "validation_file"]

_BATCH = 64


def train_file(domain: str) -> str:
    """Return where the training tokens of a domain are, below the output folder."""
    return f"train/{domain}/part-0000.bin"


def validation_file(domain: str) -> str:
    """Return where the validation tokens of a domain are, below the output folder."""
    return f"validation/{domain}.bin"


def encode_all(
    output: Path,
    domains: Sequence[ReadDomain],
    tokenizer: Tokenizer,
    steps: Steps,
) -> tuple[PreparedDomain, ...]:
    """Write the token files of every domain, and the provenance of every document.

    Args:
        output: the folder to write into.
        domains: what was read.
        tokenizer: makes the tokens.
        steps: two for each domain.
    """
    rows: list[list[int | str]] = []
    prepared = []
    for domain in domains:
        name, split = domain.texts.name, domain.split
        steps(f"encoding {name}", 0)
        counts = {}
        for side, file, documents in (
            ("train", train_file(name), split.train),
            ("validation", validation_file(name), split.validation),
        ):
            path = output / file
            if not documents:
                path.unlink(missing_ok=True)
                counts[side] = 0
                continue
            encoded = _encode(tokenizer, documents)
            write_bytes(path, np.concatenate(encoded).tobytes())
            counts[side] = sum(map(len, encoded))
            rows.extend(
                [
                    *(name, side, d.path, d.digest, d.file_sha256),
                    *(d.size_bytes, len(tokens), d.licence),
                ]
                for d, tokens in zip(documents, encoded, strict=True)
            )
        prepared.append(_summary(domain, counts, output))
        steps(f"encoding {name}", 2)
    columns = ("domain", "split", "path", "sha256", "file_sha256", "bytes", "tokens", "licence")
    write_rows(output / "provenance.csv", columns, rows)
    return tuple(prepared)


def _encode(tokenizer: Tokenizer, documents: Sequence[Document]) -> list[Any]:
    encoded = []
    for start in range(0, len(documents), _BATCH):
        batch = documents[start : start + _BATCH]
        encoded.extend(tokenizer.encode([document.text for document in batch]))
    return encoded


def _summary(domain: ReadDomain, counts: Mapping[str, int], output: Path) -> PreparedDomain:
    texts, split = domain.texts, domain.split
    licences = sorted({document.licence for document in (*split.train, *split.validation)})
    file = validation_file(texts.name) if texts.held_out else train_file(texts.name)
    return PreparedDomain(
        name=texts.name,
        held_out=texts.held_out,
        documents=domain.documents,
        train_tokens=counts["train"],
        validation_tokens=counts["validation"],
        train_bytes=sum(document.size_bytes for document in split.train),
        validation_bytes=sum(document.size_bytes for document in split.validation),
        licence=", ".join(licences),
        description=texts.description,
        left_out=domain.left_out,
        fingerprint=domain_fingerprint([str(output / file)], LOCAL),
    )
