"""Documents: pieces of text with a name, split into training and validation.

A document belongs to training or validation by a hash of the seed and its own content, so adding
documents leaves the others where they were, and the same text is never on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from olmix.prepare.left_out import Tally

__all__ = ["Document", "Split", "cut_long", "deduplicate", "hold_out", "split_documents"]

LONG_BYTES = 16_384
PIECE_BYTES = 8_192
FEW_DOCUMENTS = 20
"""Domains of fewer documents give the end of each document to validation instead of whole ones."""


@dataclass(frozen=True)
class Document:
    """A piece of text.

    Attributes:
        path: where it is from, such as ``networkx/algorithms/dag.py``; pieces of a long text add
            ``#2``.
        text: its content, not empty.
        licence: terms of its use, as far as known.
        file_sha256: SHA-256 of the whole file as it is on the disk; empty where it is no file.
    """

    path: str
    text: str
    licence: str = "unknown"
    file_sha256: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Length of the text in UTF-8."""
        return len(self.text.encode())


@dataclass(frozen=True)
class Split:
    """The two sides of a domain, and what is on neither."""

    train: tuple[Document, ...]
    validation: tuple[Document, ...]
    unused: tuple[Document, ...] = ()


def deduplicate(documents: Iterable[Document], tally: Tally) -> Iterator[Document]:
    """Yield every text once and empty ones never; note what is dropped."""
    seen: set[str] = set()
    for document in documents:
        digest = document.digest
        if not document.text.strip():
            tally.leave_out("empty", document.size_bytes)
        elif digest in seen:
            tally.leave_out("duplicate", document.size_bytes)
        else:
            seen.add(digest)
            yield document


def cut_long(document: Document) -> list[Document]:
    """Cut a text above 16 KiB into pieces of about 8 KiB, between its lines.

    A line that is longer than a piece is cut between words, or anywhere if it has none.
    """
    if document.size_bytes <= LONG_BYTES:
        return [document]
    pieces: list[str] = []
    current: list[str] = []
    size = 0
    for line in _short_lines(document.text):
        length = len(line.encode())
        if current and size + length > PIECE_BYTES:
            pieces.append("".join(current))
            current, size = [], 0
        current.append(line)
        size += length
    pieces.append("".join(current))
    return [
        replace(document, path=f"{document.path}#{index}", text=text)
        for index, text in enumerate(pieces)
    ]


def _short_lines(text: str) -> Iterator[str]:
    """Yield the lines of a text, cutting those longer than a piece."""
    limit = PIECE_BYTES // 4  # a character takes up to four bytes
    for line in text.splitlines(keepends=True):
        while len(line) > limit:
            cut = line.rfind(" ", 1, limit) + 1
            cut = cut if cut > 0 else limit
            yield line[:cut]
            line = line[cut:]
        yield line


def split_documents(
    documents: Sequence[Document], seed: int, fraction: float, max_validation_bytes: int
) -> Split:
    """Split the documents of a domain into training and validation.

    Args:
        documents: without duplicates.
        seed: seed of the split.
        fraction: share that goes to validation, about.
        max_validation_bytes: what would go beyond it stays in training.

    Returns:
        both sides, documents cut into pieces. A domain of fewer than 20 documents, or with none
        that fits below the ceiling, gives the last pieces of each document to validation, because
        whole documents would be too coarse.
    """
    if len(documents) < FEW_DOCUMENTS:
        return _split_tails(documents, seed, fraction, max_validation_bytes)
    ranked = sorted((_rank(document, seed), index) for index, document in enumerate(documents))
    chosen: set[int] = set()
    size = 0
    for rank, index in ranked:
        length = documents[index].size_bytes
        if rank >= fraction and chosen:
            break
        if size + length > max_validation_bytes:
            continue
        chosen.add(index)
        size += length
    if not chosen:
        return _split_tails(documents, seed, fraction, max_validation_bytes)
    train = [p for i, d in enumerate(documents) if i not in chosen for p in cut_long(d)]
    held = [p for i, d in enumerate(documents) if i in chosen for p in cut_long(d)]
    return Split(tuple(train), _shuffled(held, seed))


def _rank(document: Document, seed: int) -> float:
    """Return a number in [0, 1) that depends on the seed and the text alone."""
    content = f"{seed}:{document.digest}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") / 2**64


def _shuffled(pieces: Sequence[Document], seed: int) -> tuple[Document, ...]:
    """Return pieces in an order that has nothing to do with their content.

    An evaluation reads the first tokens of a domain only; they are a fair sample of all of it then.
    """
    return tuple(sorted(pieces, key=lambda piece: _rank(piece, seed)))


def _split_tails(
    documents: Sequence[Document], seed: int, fraction: float, max_bytes: int
) -> Split:
    """Split few documents: the last pieces of long ones, and short ones by their rank."""
    train: list[Document] = []
    held: list[Document] = []
    short: list[Document] = []
    allowance = max_bytes // len(documents) if documents else 0
    for document in documents:
        pieces = cut_long(document)
        if len(pieces) == 1:
            short.append(document)
            continue
        count = max(1, round(fraction * len(pieces)))
        while count > 1 and sum(p.size_bytes for p in pieces[-count:]) > allowance:
            count -= 1
        train.extend(pieces[:-count])
        held.extend(pieces[-count:])
    short.sort(key=lambda document: _rank(document, seed))
    for index, document in enumerate(short):
        needed = index == 0 and not held and len(documents) > 1
        side = held if needed or _rank(document, seed) < fraction else train
        side.append(document)
    return Split(tuple(train), _shuffled(held, seed))


def hold_out(documents: Sequence[Document], seed: int, max_bytes: int) -> Split:
    """Give documents to validation alone, a fair sample of them up to `max_bytes`."""
    held: list[Document] = []
    unused: list[Document] = []
    size = 0
    for document in sorted(documents, key=lambda document: _rank(document, seed)):
        if size >= max_bytes:
            unused.append(document)
            continue
        held.extend(cut_long(document))
        size += document.size_bytes
    return Split((), _shuffled(held, seed), tuple(unused))
