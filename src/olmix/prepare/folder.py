"""Your own texts: a folder with one subfolder for each domain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from olmix.domains import check_name
from olmix.errors import DataError
from olmix.prepare.documents import Document

__all__ = ["FolderDomain", "list_domains", "read_documents"]

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
        name = path.relative_to(root).as_posix()
        if path.suffix in _REFUSED:
            warnings.append(f"{name}: {path.suffix} is not read; {_REFUSED[path.suffix]}")
            continue
        try:
            with path.open("rb") as handle:
                if b"\0" in handle.read(_SNIFFED_BYTES):
                    warnings.append(f"{name}: passed over, it is no text")
                    continue
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            warnings.append(f"{name}: passed over, it is not UTF-8 (byte {error.start})")
            continue
        except OSError as error:
            warnings.append(f"{name}: passed over, it cannot be read: {error}")
            continue
        if path.suffix in _JSON_LINES:
            yield from _read_lines(name, text, warnings)
        else:
            yield Document(name, text)


def _read_lines(name: str, text: str, warnings: list[str]) -> Iterator[Document]:
    bad = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)["text"]
        except (json.JSONDecodeError, KeyError, TypeError):
            bad.append(number)
            continue
        if isinstance(content, str):
            yield Document(f"{name}:{number}", content)
        else:
            bad.append(number)
    if bad:
        warnings.append(
            f"{name}: {len(bad)} lines passed over (first: {bad[0]}); each must be a JSON object "
            "with a `text` string"
        )
