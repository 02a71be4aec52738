"""From texts to the folder that all other stages read: `olmix prepare`.

tokenizer.json
train/DOMAIN/part-0000.bin    token ids, every document ended by EOS
validation/DOMAIN.bin
data.yaml                     the `data:` section of a config
provenance.csv                every document: domain, side, path, hash, size, licence
manifest.json                 written last: its presence means that all is there
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.prepare.choose import FORMAT, PrepareRequest, Texts, choose
from olmix.prepare.documents import Document, Split, deduplicate, hold_out, split_documents
from olmix.prepare.output import check_output, claim, drop_stale, finished_manifest
from olmix.prepare.tokenizer import (
    EOS,
    EOS_ID,
    MINIMUM_VOCABULARY,
    Tokenizer,
    check_tokenizers,
    train_tokenizer,
)
from olmix.text.files import write_bytes, write_json, write_text
from olmix.text.yaml import write_yaml

__all__ = ["Prepared", "PreparedDomain", "Progress", "prepare"]

SAMPLE_BYTES = 150_000
"""What each domain gives to the training of the tokenizer, so that none dominates it."""
MINIMUM_TRAIN_BYTES = 10_000
MAX_VALIDATION_BYTES = 128_000
_BATCH = 64


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        stage: `reading`, `learning` the tokenizer, or `encoding`.
        domain: the domain it is at.
        done: units done.
        total: units in all.
    """

    stage: str
    domain: str
    done: int
    total: int


@dataclass(frozen=True)
class PreparedDomain:
    """What became of a domain.

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
    """

    name: str
    held_out: bool
    documents: int
    train_tokens: int
    validation_tokens: int
    train_bytes: int
    validation_bytes: int
    licence: str
    description: str


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Attributes:
        domains: what became of each domain.
        warnings: what was passed over, in words.
        reused: whether everything was there already.
    """

    domains: tuple[PreparedDomain, ...]
    warnings: tuple[str, ...]
    reused: bool


@dataclass
class _Work:
    """What is known while preparing."""

    split: dict[str, Split] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def prepare(
    request: PrepareRequest, on_progress: Callable[[Progress], None] | None = None
) -> Prepared:
    """Turn texts into a tokenizer and token files; a second call with the same texts does nothing.

    Args:
        request: what to prepare.
        on_progress: called as the work goes on.

    Raises:
        DataError: with everything that is wrong with the texts or the request.
        MissingPackageError: `tokenizers` is not installed.
    """
    tell = on_progress or (lambda _: None)
    if not 0 < request.validation_fraction <= 0.5:
        raise DataError(
            f"validation_fraction: found {request.validation_fraction}; "
            "more than 0 and at most 0.5 is needed"
        )
    if request.vocab_size < MINIMUM_VOCABULARY:
        raise DataError(
            f"--vocab-size: found {request.vocab_size}; at least {MINIMUM_VOCABULARY} are needed, "
            f"for the 256 bytes and {EOS}"
        )
    work = _Work()
    texts, fingerprint = choose(request, work.warnings)
    check_output(request.output, request.folder)
    found = finished_manifest(request.output)
    same = found is not None and found["fingerprint"] == fingerprint
    if found is not None and same and _complete(request.output, found):
        return _reused(found)
    check_tokenizers()
    _read_all(request, texts, work, tell)
    claim(request.output)
    drop_stale(
        request.output,
        [entry.name for entry in texts if not entry.held_out],
        [entry.name for entry in texts],
    )
    tell(Progress("learning", "tokenizer", 0, 1))
    tokenizer = train_tokenizer(_sample(work.split), request.vocab_size)
    write_text(request.output / "tokenizer.json", tokenizer.to_json())
    domains = _encode_all(request, texts, work, tokenizer, tell)
    _write_data_config(request.output, tokenizer, domains)
    content = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "dtype": tokenizer.dtype,
        "vocab_size": tokenizer.vocab_size,
        "eos_id": EOS_ID,
        "seed": request.seed,
        "warnings": work.warnings,
        "domains": {domain.name: _without_name(domain) for domain in domains},
    }
    write_json(request.output / "manifest.json", content)
    return Prepared(domains, tuple(work.warnings), reused=False)


def _without_name(domain: PreparedDomain) -> dict[str, Any]:
    return {key: value for key, value in vars(domain).items() if key != "name"}


def _reused(manifest: Mapping[str, Any]) -> Prepared:
    domains = tuple(
        PreparedDomain(name=name, **entry) for name, entry in manifest["domains"].items()
    )
    return Prepared(domains, tuple(manifest["warnings"]), reused=True)


def _complete(output: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether every token file of a manifest is there with its size."""
    width = np.dtype(manifest["dtype"]).itemsize
    for name, entry in manifest["domains"].items():
        sides = [(output / "validation" / f"{name}.bin", entry["validation_tokens"])]
        if not entry["held_out"]:
            sides.append((output / "train" / name / "part-0000.bin", entry["train_tokens"]))
        for path, tokens in sides:
            if not path.is_file() or path.stat().st_size != tokens * width:
                return False
    return (output / "tokenizer.json").is_file() and (output / "data.yaml").is_file()


def _read_all(
    request: PrepareRequest,
    texts: Sequence[Texts],
    work: _Work,
    tell: Callable[[Progress], None],
) -> None:
    """Read and split every domain, reporting all that are too small at once."""
    problems = []
    seen: set[str] = set()
    # Held-out domains come first: a text that they hold is left out of all others, so that it is
    # trained on nowhere.
    for index, entry in enumerate(sorted(texts, key=lambda entry: not entry.held_out)):
        tell(Progress("reading", entry.name, index, 3 * len(texts)))
        repeated: list[str] = []
        fresh = _not_elsewhere(deduplicate(entry.read()), seen, repeated)
        documents = _up_to(fresh, entry.max_bytes)
        if repeated:
            work.warnings.append(
                f"domain {entry.name}: {len(repeated)} texts are left out that another domain "
                f"holds too, such as {repeated[0]}"
            )
        seen.update(document.digest for document in documents)
        split = (
            hold_out(documents, request.seed, MAX_VALIDATION_BYTES)
            if entry.held_out
            else split_documents(
                documents, request.seed, request.validation_fraction, MAX_VALIDATION_BYTES
            )
        )
        work.split[entry.name] = split
        work.documents[entry.name] = len(documents)
        problem = _too_small(entry, split, len(documents))
        if problem is not None:
            problems.append(problem)
    if problems:
        listed = work.warnings[:10]
        raise DataError("\n".join([*problems, *(f"note: {warning}" for warning in listed)]))


def _not_elsewhere(
    documents: Iterable[Document], seen: Collection[str], repeated: list[str]
) -> Iterator[Document]:
    """Yield the texts that no other domain holds; note the others in `repeated`."""
    for document in documents:
        if document.digest in seen:
            repeated.append(document.path)
        else:
            yield document


def _too_small(entry: Texts, split: Split, num_documents: int) -> str | None:
    if not split.validation:
        return (
            f"domain {entry.name}: {num_documents} documents are too few to hold some out; "
            "two or more, or one of over 16 KiB, are needed"
        )
    size = sum(document.size_bytes for document in split.train)
    if not entry.held_out and size < MINIMUM_TRAIN_BYTES:
        return (
            f"domain {entry.name}: {size:,} bytes of text to train on; at least "
            f"{MINIMUM_TRAIN_BYTES:,} are needed. Add texts, or leave the domain out."
        )
    return None


def _up_to(documents: Iterable[Document], max_bytes: int | None) -> list[Document]:
    """Take documents until their sizes reach a ceiling."""
    taken: list[Document] = []
    size = 0
    for document in documents:
        if max_bytes is not None and size >= max_bytes:
            break
        taken.append(document)
        size += document.size_bytes
    return taken


def _sample(splits: Mapping[str, Split]) -> Iterable[str]:
    """Yield training texts, about as much of each domain, evenly spread over it."""
    for split in splits.values():
        total = sum(document.size_bytes for document in split.train)
        step = max(1, total // SAMPLE_BYTES)
        for document in split.train[::step]:
            yield document.text


def _encode_all(
    request: PrepareRequest,
    texts: Sequence[Texts],
    work: _Work,
    tokenizer: Tokenizer,
    tell: Callable[[Progress], None],
) -> tuple[PreparedDomain, ...]:
    """Write the token files of every domain, and the provenance of every document."""
    rows: list[list[object]] = []
    domains = []
    for index, entry in enumerate(texts):
        tell(Progress("encoding", entry.name, len(texts) + 2 * index, 3 * len(texts)))
        split = work.split[entry.name]
        counts = {}
        for side, documents in (("train", split.train), ("validation", split.validation)):
            path = request.output / "validation" / f"{entry.name}.bin"
            if side == "train":
                path = request.output / "train" / entry.name / "part-0000.bin"
            if not documents:
                path.unlink(missing_ok=True)
                counts[side] = 0
                continue
            encoded = _encode(tokenizer, documents)
            write_bytes(path, np.concatenate(encoded).tobytes())
            counts[side] = sum(map(len, encoded))
            rows.extend(
                [
                    *(entry.name, side, d.path, d.digest, d.file_sha256),
                    *(d.size_bytes, len(tokens), d.licence),
                ]
                for d, tokens in zip(documents, encoded, strict=True)
            )
        domains.append(_summary(entry, split, counts, work.documents[entry.name]))
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["domain", "split", "path", "sha256", "file_sha256", "bytes", "tokens", "licence"]
    )
    writer.writerows(rows)
    write_text(request.output / "provenance.csv", stream.getvalue())
    return tuple(domains)


def _encode(tokenizer: Tokenizer, documents: Sequence[Document]) -> list[Any]:
    encoded = []
    for start in range(0, len(documents), _BATCH):
        batch = documents[start : start + _BATCH]
        encoded.extend(tokenizer.encode([document.text for document in batch]))
    return encoded


def _summary(
    entry: Texts, split: Split, counts: Mapping[str, int], num_documents: int
) -> PreparedDomain:
    licences = sorted({document.licence for document in (*split.train, *split.validation)})
    return PreparedDomain(
        name=entry.name,
        held_out=entry.held_out,
        documents=num_documents,
        train_tokens=counts["train"],
        validation_tokens=counts["validation"],
        train_bytes=sum(document.size_bytes for document in split.train),
        validation_bytes=sum(document.size_bytes for document in split.validation),
        licence=", ".join(licences),
        description=entry.description,
    )


def _write_data_config(
    output: Path, tokenizer: Tokenizer, domains: Sequence[PreparedDomain]
) -> None:
    sources = [
        {"name": domain.name, "paths": [f"train/{domain.name}/part-0000.bin"]}
        for domain in domains
        if not domain.held_out
    ]
    section = {"dtype": tokenizer.dtype, "tokenizer": "tokenizer.json", "sources": sources}
    header = "The data section of a config; paths are relative to this file."
    write_yaml(output / "data.yaml", {"data": section}, header)
