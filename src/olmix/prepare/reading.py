"""Reading the texts of all domains and splitting each into training and validation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from olmix.errors import DataError
from olmix.prepare.choose import PrepareRequest, Texts
from olmix.prepare.documents import Document, Split, deduplicate, hold_out, split_documents
from olmix.prepare.left_out import Tally
from olmix.records.prepared import LeftOutTexts
from olmix.text.numbers import counted
from olmix.text.progress import Steps

__all__ = ["ReadDomain", "Reading", "read_all"]

MINIMUM_TRAIN_BYTES = 10_000
MAX_VALIDATION_BYTES = 128_000


@dataclass(frozen=True)
class ReadDomain:
    """A domain whose texts are read and split.

    Attributes:
        texts: where they are from.
        documents: distinct documents, before long ones were cut.
        split: its two sides.
        left_out: what is on neither.
    """

    texts: Texts
    documents: int
    split: Split
    left_out: tuple[LeftOutTexts, ...]


@dataclass(frozen=True)
class Reading:
    """The result of reading all texts.

    Attributes:
        domains: in the order in which they were asked for.
        warnings: what was skipped, in words.
    """

    domains: tuple[ReadDomain, ...]
    warnings: tuple[str, ...]


def read_all(
    request: PrepareRequest,
    texts: Sequence[Texts],
    noted: Sequence[str],
    steps: Steps,
) -> Reading:
    """Read and split every domain.

    Args:
        request: what to prepare.
        texts: the domains.
        noted: what was skipped before, in words.
        steps: one for each domain.

    Raises:
        DataError: names all domains that are too small at once.
    """
    problems: list[str] = []
    warnings = list(noted)
    found: dict[str, ReadDomain] = {}
    seen: set[str] = set()
    # Held-out domains come first: a text that they hold is left out of all others, so that it is
    # trained on nowhere.
    for entry in sorted(texts, key=lambda entry: not entry.held_out):
        steps(f"reading {entry.name}", 0)
        tally = Tally()
        documents = _distinct(entry, seen, tally)
        seen.update(document.digest for document in documents)
        split = (
            hold_out(documents, request.seed, MAX_VALIDATION_BYTES)
            if entry.held_out
            else split_documents(
                documents, request.seed, request.validation_fraction, MAX_VALIDATION_BYTES
            )
        )
        unused = sum(document.size_bytes for document in split.unused)
        tally.leave_out("beyond the validation ceiling", unused, len(split.unused))
        found[entry.name] = ReadDomain(entry, len(documents), split, tally.left_out())
        warnings += [*tally.warnings, *tally.notes(entry.name)]
        steps(f"reading {entry.name}")
        problem = _too_small(entry, split, len(documents))
        if problem is not None:
            problems.append(problem)
    if problems:
        raise DataError("\n".join([*problems, *(f"note: {line}" for line in warnings[:10])]))
    return Reading(tuple(found[entry.name] for entry in texts), tuple(warnings))


def _distinct(entry: Texts, seen: Collection[str], tally: Tally) -> list[Document]:
    """Return the texts of a domain that no other one holds, up to its ceiling."""
    repeated: list[str] = []

    def fresh() -> Iterator[Document]:
        for document in deduplicate(entry.read(tally), tally):
            if document.digest in seen:
                repeated.append(document.path)
                tally.leave_out("in another domain", document.size_bytes)
            else:
                yield document

    documents = _up_to(fresh(), entry.max_bytes)
    if repeated:
        tally.warnings.append(
            f"domain {entry.name}: left out {counted(len(repeated), 'text')} that another domain "
            f"has too, such as {repeated[0]}"
        )
    return documents


def _too_small(entry: Texts, split: Split, num_documents: int) -> str | None:
    if not split.validation:
        return (
            f"domain {entry.name}: {num_documents} documents are too few to hold some out; it "
            "needs two or more, or one over 16 KiB"
        )
    size = sum(document.size_bytes for document in split.train)
    if not entry.held_out and size < MINIMUM_TRAIN_BYTES:
        return (
            f"domain {entry.name}: {size:,} bytes of text to train on; it needs at least "
            f"{MINIMUM_TRAIN_BYTES:,}. Add texts, or leave the domain out."
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
