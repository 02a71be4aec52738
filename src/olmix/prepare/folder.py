"""Your own texts: a folder with one subfolder for each domain."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from olmix.domains import check_name
from olmix.errors import DataError
from olmix.prepare.documents import Document

__all__ = ["FolderDomain", "list_domains", "passed_over", "read_documents"]

_JSON_LINES = (".jsonl", ".ndjson")
_REFUSED = {
    ".parquet": "convert it to .jsonl with a `text` key",
    ".gz": "unpack it first",
    ".zst": "unpack it first",
    ".zip": "unpack it first",
}
_SNIFFED_BYTES = 4096


@dataclass(frozen=True)
class FolderDomain:
    """A subfolder of the user's texts.

    Attributes:
        name: the domain.
        files: its files, sorted; hidden ones left out.
    """

    name: str
    files: tuple[Path, ...]


def list_domains(root: Path) -> tuple[FolderDomain, ...]:
    """List the domains of a folder: one a subfolder.

    Raises:
        DataError: with everything that is wrong: no folder, fewer than two subfolders with files,
            names that no domain can have.
    """
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; one subfolder per domain is needed")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    problems = [
        f"{folder}: this subfolder cannot be a domain: {wrong}"
        for folder in folders
        if (wrong := check_name(folder.name)) is not None
    ]
    domains = [
        FolderDomain(folder.name, files) for folder in folders if (files := _list_files(folder))
    ]
    if len(domains) < 2:
        found = ", ".join(domain.name for domain in domains) or "none"
        problems.append(
            f"{root}: at least two subfolders with texts are needed, one per domain; found {found}"
        )
    if problems:
        raise DataError("\n".join(problems))
    return tuple(domains)


def passed_over(root: Path, domains: Iterable[FolderDomain]) -> list[str]:
    """Say which files and links `list_domains` does not look at, apart from hidden ones."""
    warnings = []
    loose = sorted(p.name for p in root.iterdir() if p.is_file() and not p.name.startswith("."))
    if loose:
        names = _readable(", ".join(loose[:3]))
        warnings.append(
            f"{len(loose)} files directly in {root.name} are passed over ({names}); "
            "move them into the subfolder of a domain"
        )
    for domain in domains:
        for path in sorted((root / domain.name).rglob("*")):
            if path.is_symlink() and path.is_dir():
                name = _readable(path.relative_to(root).as_posix())
                warnings.append(f"{name}: passed over, links to folders are not followed")
    return warnings


def _list_files(folder: Path) -> tuple[Path, ...]:
    return tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_documents(root: Path, domain: FolderDomain, warnings: list[str]) -> Iterator[Document]:
    """Yield the documents of a domain: one a text file, or one a line of a `.jsonl` file.

    Files that are no UTF-8 text are passed over, with a warning that names them.
    """
    for path in domain.files:
        name = _readable(path.relative_to(root).as_posix())
        if path.suffix in _REFUSED:
            warnings.append(f"{name}: {path.suffix} is not read; {_REFUSED[path.suffix]}")
            continue
        try:
            with path.open("rb") as handle:
                content = handle.read(_SNIFFED_BYTES)
                if b"\0" in content:
                    warnings.append(f"{name}: passed over, it is no text")
                    continue
                content += handle.read()
            text = _lines_as_unix(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            warnings.append(f"{name}: passed over, it is not UTF-8 (byte {error.start})")
            continue
        except OSError as error:
            warnings.append(f"{name}: passed over, it cannot be read: {error.strerror}")
            continue
        if path.suffix in _JSON_LINES:
            yield from _read_lines(name, text, warnings)
        else:
            digest = hashlib.sha256(content).hexdigest()
            yield Document(name, text, file_sha256=digest)


def _readable(name: str) -> str:
    r"""Return a file name as text; bytes that are no UTF-8 are written as ``\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _lines_as_unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold a text; JSON may spell out half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_lines(name: str, text: str, warnings: list[str]) -> Iterator[Document]:
    bad = []
    # Not `splitlines`: a JSON string may hold U+2028 and its like as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)["text"]
        except (ValueError, RecursionError, KeyError, TypeError):
            bad.append(number)
            continue
        if isinstance(content, str) and _is_unicode(content):
            yield Document(f"{name}:{number}", content)
        else:
            bad.append(number)
    if bad:
        warnings.append(
            f"{name}: {len(bad)} lines passed over (first: {bad[0]}); each must be a JSON object "
            "with a `text` string of valid Unicode"
        )
