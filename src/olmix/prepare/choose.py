"""Which domains are prepared: built-in ones, or the subfolders of a folder of texts."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmix.errors import DataError, how_to_install, nearest
from olmix.prepare.corpora import CORPORA, HELD_OUT, Corpus
from olmix.prepare.documents import Document
from olmix.prepare.folder import FolderDomain, list_domains, passed_over, read_documents
from olmix.prepare.left_out import Tally
from olmix.records.prepared import PREPARED_FORMAT
from olmix.text.files import digest
from olmix.text.numbers import counted

__all__ = ["PrepareRequest", "Texts", "choose"]

"""Raised when what is written changes, so that older folders are not taken for today's."""


@dataclass(frozen=True)
class PrepareRequest:
    """The texts to prepare and where to write them.

    Attributes:
        output: folder to write.
        folder: the user's texts, one subfolder per domain; `None` for the built-in domains.
        domains: use only these; `None` for all there are.
        held_out: domains that get validation data and are never trained on.
        vocab_size: tokens of the vocabulary.
        seed: seed of the split into training and validation documents.
        validation_fraction: share of a domain that goes to validation, about.
        max_bytes: ceiling of each domain's size; the built-in domains have their own.
    """

    output: Path
    folder: Path | None = None
    domains: tuple[str, ...] | None = None
    held_out: tuple[str, ...] = ()
    vocab_size: int = 1024
    seed: int = 0
    validation_fraction: float = 0.1
    max_bytes: int | None = None


@dataclass(frozen=True)
class Texts:
    """A domain before it is split.

    Attributes:
        name: the domain.
        description: what it is.
        held_out: whether it is only evaluated.
        read: gives its documents, and notes what it passes over.
        max_bytes: ceiling of its size, if it has one.
    """

    name: str
    description: str
    held_out: bool
    read: Callable[[Tally], Iterable[Document]]
    max_bytes: int | None


def choose(request: PrepareRequest, warnings: list[str]) -> tuple[list[Texts], str]:
    """Return the domains to read, and a hash of everything that the result depends on.

    Args:
        request: what to prepare.
        warnings: what is skipped is added here, in words.

    Raises:
        DataError: a domain that was asked for is not there, or fewer than two are left.
    """
    settings = [
        PREPARED_FORMAT,
        request.domains,
        request.held_out,
        request.vocab_size,
        request.seed,
        request.validation_fraction,
        request.max_bytes,
    ]
    if request.folder is not None:
        texts, inputs = _from_folder(request, request.folder, warnings)
    else:
        texts, inputs = _from_corpora(request, warnings)
    trained = [entry for entry in texts if not entry.held_out]
    if len(trained) < 2:
        names = ", ".join(entry.name for entry in trained) or "none"
        raise DataError(f"at least two domains to train on are needed; found {names}")
    return texts, digest([settings, inputs], 32)


def _check_names(request: PrepareRequest, known: Sequence[str]) -> None:
    problems = []
    for option, names in (("--domain", request.domains or ()), ("--held-out", request.held_out)):
        for name in names:
            if name not in known:
                guess = nearest(name, known)
                hint = f" Did you mean {guess}?" if guess is not None else ""
                problems.append(f"{option}: found {name}; allowed: {', '.join(known)}.{hint}")
    if problems:
        raise DataError("\n".join(problems))


def _is_wanted(request: PrepareRequest, name: str) -> bool:
    return request.domains is None or name in request.domains or name in request.held_out


def _from_corpora(request: PrepareRequest, warnings: list[str]) -> tuple[list[Texts], list[object]]:
    _check_names(request, [corpus.name for corpus in CORPORA])
    held_out = request.held_out or (HELD_OUT,)
    wanted = [c for c in CORPORA if c.name in held_out or _is_wanted(request, c.name)]
    texts = []
    for corpus in wanted:
        if corpus.available:
            limit = request.max_bytes if request.max_bytes is not None else corpus.max_bytes
            held = corpus.name in held_out
            texts.append(Texts(corpus.name, corpus.description, held, _reader_of(corpus), limit))
        elif corpus.name in held_out:
            raise DataError(
                f"the held-out domain {corpus.name} needs the package {corpus.package}. "
                f"Install it with: {how_to_install('corpora')}"
            )
        else:
            warnings.append(
                f"{corpus.name} is left out: it needs the package {corpus.package}; "
                f"{how_to_install('corpora')}"
            )
    return texts, [platform.python_version(), *_versions(wanted)]


def _reader_of(corpus: Corpus) -> Callable[[Tally], Iterable[Document]]:
    return lambda _: corpus.read()


def _versions(corpora: Iterable[Corpus]) -> list[object]:
    """Return what the texts of the built-in domains depend on."""
    packages = {corpus.package for corpus in corpora if corpus.package}
    packages |= {"numpy", "scipy", "jaxlib"}
    found: list[object] = []
    for package in sorted(packages):
        try:
            found.append([package, importlib.metadata.version(package)])
        except importlib.metadata.PackageNotFoundError:
            found.append([package, None])
    return found


def _from_folder(
    request: PrepareRequest, root: Path, warnings: list[str]
) -> tuple[list[Texts], list[object]]:
    found = list_domains(root)
    _check_names(request, [domain.name for domain in found])
    warnings.extend(passed_over(root, found))

    def reader(domain: FolderDomain) -> Callable[[Tally], Iterable[Document]]:
        return lambda tally: read_documents(root, domain, tally)

    wanted = [domain for domain in found if _is_wanted(request, domain.name)]
    texts = [
        Texts(
            domain.name,
            f"{counted(len(domain.files), 'file')} of {root.name}/{domain.name}",
            domain.name in request.held_out,
            reader(domain),
            request.max_bytes,
        )
        for domain in wanted
    ]
    stats = [(path, path.stat()) for domain in wanted for path in domain.files]
    inputs: list[object] = [[str(p), s.st_size, s.st_mtime_ns] for p, s in stats]
    return texts, inputs
