"""Your own texts: a folder with one subfolder for each domain."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from olmix.domains import check_name
from olmix.errors import DataError
from olmix.prepare.documents import Document
from olmix.prepare.left_out import Tally
from olmix.prepare.tables import TABLES, is_dataset, is_description, read_rows
from olmix.text.file_kind import BOM, COMPRESSIONS, SNIFFED_BYTES, FileKind, describe, kind_of
from olmix.text.json_lines import TextLine, read_block, read_texts, unpack
from olmix.text.numbers import counted

__all__ = ["FolderDomain", "list_domains", "passed_over", "read_documents"]

_JSON_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class FolderDomain:
    """A subfolder of the user's texts.

    Attributes:
        name: the domain.
        files: its files, sorted; hidden ones left out.
    """

    name: str
    files: tuple[Path, ...]


def list_domains(root: Path, least: int = 2) -> tuple[FolderDomain, ...]:
    """List the domains of a folder: one a subfolder.

    Args:
        root: the folder.
        least: domains that are needed.

    Raises:
        DataError: with everything that is wrong: no folder, too few subfolders with files, names
            that no domain can have.
    """
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; give one with a subfolder per domain")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    problems = [
        f"{folder}: this subfolder cannot be a domain: {wrong}"
        for folder in folders
        if (wrong := check_name(folder.name)) is not None
    ]
    domains = [
        FolderDomain(folder.name, files) for folder in folders if (files := _list_files(folder))
    ]
    if len(domains) < least:
        found = ", ".join(domain.name for domain in domains) or "none"
        needed = "two subfolders with texts are" if least > 1 else "one subfolder with texts is"
        problems.append(f"{root}: at least {needed} needed, one per domain; found {found}")
    if problems:
        raise DataError("\n".join(problems))
    return tuple(domains)


def passed_over(root: Path, domains: Iterable[FolderDomain]) -> list[str]:
    """Name the files and links that `list_domains` ignores, apart from hidden ones."""
    warnings = []
    loose = sorted(p.name for p in root.iterdir() if p.is_file() and not p.name.startswith("."))
    if loose:
        names = _readable(", ".join(loose[:3]))
        warnings.append(
            f"skipped {counted(len(loose), 'file')} directly in {root.name} ({names}); move them "
            "into the subfolder of a domain"
        )
    for domain in domains:
        for path in sorted((root / domain.name).rglob("*")):
            name = _readable(path.relative_to(root).as_posix())
            if path.is_symlink() and path.is_dir():
                warnings.append(f"{name}: skipped: links to folders are not followed")
            elif path.is_symlink() and not path.exists():
                warnings.append(
                    f"{name}: skipped: a link to {path.readlink()}, which no longer exists"
                )
    return warnings


def _list_files(folder: Path) -> tuple[Path, ...]:
    return tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_documents(root: Path, domain: FolderDomain, tally: Tally) -> Iterator[Document]:
    """Yield the documents of a domain: one a text file, a line of JSON lines or a row of a table.

    Files may be compressed. What is no UTF-8 text is skipped and noted with its name.

    Raises:
        MissingPackageError: the package that reads a file is not installed.
    """
    of_dataset = is_dataset(domain.files)
    for path in domain.files:
        name = _readable(path.relative_to(root).as_posix())
        if of_dataset and is_description(path):
            tally.note("skipped: part of a dataset, but not its texts")
            continue
        try:
            yield from _read_file(name, path, tally)
        except DataError as error:
            size = path.stat().st_size
            tally.pass_over(name, str(error).removeprefix(f"{name}: "), size)
        except OSError as error:
            tally.pass_over(name, f"it cannot be read: {error.strerror}")


def _read_file(name: str, path: Path, tally: Tally) -> Iterator[Document]:
    """Yield the documents of a file, as its first bytes say what it is."""
    with path.open("rb") as file:
        start = file.read(SNIFFED_BYTES)
    kind = kind_of(start)
    if kind in TABLES:
        yield from _read_table(name, path, kind, tally)
    elif kind in COMPRESSIONS:
        with path.open("rb") as file, unpack(name, file, kind) as stream:
            start = read_block(name, stream, SNIFFED_BYTES)
        with path.open("rb") as file, unpack(name, file, kind) as stream:
            yield from _read_stream(name, Path(path.stem), path, stream, start, tally)
    else:
        with path.open("rb") as file:
            yield from _read_stream(name, path, path, file, start, tally)


def _read_stream(
    name: str, inner: Path, path: Path, stream: IO[bytes], start: bytes, tally: Tally
) -> Iterator[Document]:
    """Yield the documents of an unpacked file.

    Args:
        name: the file, for people.
        inner: its name without the ending of its compression.
        path: where it lies.
        stream: its content.
        start: the first bytes of the content.
        tally: notes what is skipped.
    """
    if inner.suffix.lower() in _JSON_LINES or (
        inner.suffix.lower() == ".json" and _has_text(start)
    ):
        yield from _read_lines(name, stream, tally)
        return
    kind = kind_of(start)
    if b"\0" in start or kind not in {"json", "text", "binary"}:
        what = "" if kind == "binary" else f" but {describe(kind)}"
        tally.pass_over(name, f"it is not text{what}", path.stat().st_size)
        return
    content = read_block(name, stream, -1)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        tally.pass_over(name, f"it is not UTF-8 (byte {error.start})", len(content))
        return
    plain = text.removeprefix("\ufeff")
    if plain != text:
        tally.note("byte-order mark removed")
    lines = plain.replace("\r\n", "\n").replace("\r", "\n")
    if lines != plain:
        tally.note("carriage returns removed")
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    yield Document(name, lines, file_sha256=digest)


def _has_text(start: bytes) -> bool:
    """Whether a `.json` file holds JSON lines with a `text`: its first line is such an object."""
    first = start.removeprefix(BOM).partition(b"\n")[0]
    cut = len(first) == len(start) == SNIFFED_BYTES
    try:
        content = json.loads(first)
    except (ValueError, RecursionError):
        return cut and b'"text"' in first and first[:1] == b"{"
    return isinstance(content, dict) and "text" in content


def _readable(name: str) -> str:
    r"""Return a file name as text; bytes that are no UTF-8 are written as ``\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _read_lines(name: str, stream: IO[bytes], tally: Tally) -> Iterator[Document]:
    """Yield the texts of JSON lines."""
    bad: list[TextLine] = []
    for line in read_texts(name, stream, "text"):
        if line.text is None:
            bad.append(line)
        else:
            yield Document(f"{name}:{line.number}", line.text)
    if bad:
        tally.leave_out("not readable", 0, len(bad))
        tally.warnings.append(
            f"{name}: {counted(len(bad), 'line')} skipped (first: {bad[0].number}); each must be "
            f"a JSON object with a `text` string of valid Unicode; the first {bad[0].problem}"
        )


def _read_table(name: str, path: Path, kind: FileKind, tally: Tally) -> Iterator[Document]:
    """Yield the texts of a table."""
    without = 0
    for number, text in read_rows(path, kind):
        if text is None:
            without += 1
        else:
            yield Document(f"{name}:{number}", text)
    if without:
        tally.leave_out("not readable", 0, without)
        tally.warnings.append(f"{name}: skipped {counted(without, 'row')} without a text")
