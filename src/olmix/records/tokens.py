"""Token files: arrays of token ids, documents ended by the EOS token."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olmix.config import DataConfig, TokenDtype
from olmix.errors import DataError
from olmix.records.prepared import read_prepared
from olmix.records.token_files import (
    RAW_ENDINGS,
    ending_of,
    is_companion,
    read_layout,
    several_types,
    stated_dtype,
)
from olmix.records.token_formats import LOCAL

__all__ = [
    "byte_lengths",
    "count_tokens",
    "data_dtype",
    "end_of_document",
    "expand",
    "fingerprint",
    "open_tokens",
]

_LEVELS = 4
"""Folders above a token file in which the manifest of `olmix prepare` may lie."""
_EOS_NAMES = ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>", "<|eos|>")

_SAMPLE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 14


def expand(patterns: Sequence[str], what: str) -> tuple[Path, ...]:
    """Return the files that local paths and patterns (``**`` allowed) stand for, sorted.

    A pattern passes over what only describes another file, such as the `.idx` beside a `.bin`. A
    file that is reached in two ways, as by a link, is there once.

    Args:
        patterns: local paths or glob patterns.
        what: what they are, for the error: such as ``domain wikipedia``.

    Raises:
        DataError: names every pattern without a file, and every URL.
    """
    files: dict[str, Path] = {}
    missing = []
    for pattern in patterns:
        if "://" in pattern:
            missing.append(f"{pattern}: only local files can be read by this release")
            continue
        if Path(pattern).is_file():
            found = [pattern]  # taken as it stands, even where the name holds a * or a [
            dangling = []
        else:
            matched = sorted(glob.iglob(pattern, recursive=True))  # noqa: PTH207, pathlib has no absolute patterns
            found = [name for name in matched if Path(name).is_file()]
            found = [name for name in found if not is_companion(name)] or found
            links = {*matched, pattern} - set(found)
            dangling = sorted(name for name in links if _is_dangling(Path(name)))
            missing += [
                f"{name}: a link to {Path(name).readlink()}, which no longer exists"
                for name in dangling
            ]
        if not found and not dangling:
            missing.append(f"{pattern}: {_why_none(pattern)}")
        for name in found:
            files.setdefault(os.path.realpath(name), Path(name))
    if missing:
        raise DataError("\n".join(f"{what}: {line}" for line in missing))
    return tuple(files.values())


def _why_none(pattern: str) -> str:
    """Return why a path or a pattern stands for no file."""
    if Path(pattern).is_dir():
        return f"is a folder; name the files in it, as with {pattern.rstrip('/')}/**/*.npy"
    for folder in Path(pattern).parents[:_LEVELS]:
        side, *below = Path(pattern).relative_to(folder).parts
        found = read_prepared(folder) if side == "train" and below else None
        entry = None if found is None else found.domains.get(below[0])
        if entry is not None and entry.held_out:
            return (
                "held out by `olmix prepare`, so there is nothing to train on; remove it from "
                "data.sources"
            )
    return "no such file"


def _is_dangling(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def open_tokens(path: str | Path, dtype: TokenDtype | None) -> NDArray[np.unsignedinteger]:
    """Map one token file into memory, read-only, without what comes before its tokens.

    Raises:
        DataError: it is empty, unreadable or damaged, holds no token ids, or none of `dtype`;
            `read_layout` lists what is looked at.
    """
    layout = read_layout(str(path), LOCAL, dtype)
    try:
        return np.memmap(path, layout.dtype, "r", layout.offset, (layout.num_tokens,))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def count_tokens(data: DataConfig, domain: str) -> int:
    """Return the tokens of a domain's local files.

    Raises:
        DataError: a file is missing, remote or unreadable.
    """
    files = expand(data.paths_of(domain), f"domain {domain}")
    return sum(len(open_tokens(file, data.dtype)) for file in files)


def end_of_document(tokenizer: str | Path) -> int:
    """Return the id of the token that ends documents in a `tokenizer.json`.

    Raises:
        DataError: the file has no special token with a known name.
    """
    try:
        added = json.loads(Path(tokenizer).read_text(encoding="utf-8"))["added_tokens"]
        ids = {entry["content"]: int(entry["id"]) for entry in added}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{tokenizer}: this is not a tokenizer.json: {error!r}") from error
    found = [ids[name] for name in _EOS_NAMES if name in ids]
    if not found:
        raise DataError(
            f"{tokenizer}: no token marks the end of a document; looked for {', '.join(_EOS_NAMES)}"
        )
    return found[0]


def data_dtype(data: DataConfig, domains: Iterable[str] | None = None) -> TokenDtype | None:
    """Return the one type of the token files of a data section, `None` where they hold no arrays.

    `data.dtype` is taken at its word; where it is left out, local files are looked into.

    Args:
        data: the data section.
        domains: look at these only; all of them if left out.

    Raises:
        DataError: names the files whose type nothing says, and those that disagree.
    """
    if data.dtype is not None:
        return data.dtype
    found: dict[TokenDtype, str] = {}
    problems = []
    for domain in data.domains if domains is None else domains:
        paths = data.paths_of(domain)
        try:
            local = expand([path for path in paths if "://" not in path], f"domain {domain}")
        except DataError as error:
            problems.append(str(error))
            continue
        for name in (*(path for path in paths if "://" in path), *map(str, local)):
            if ending_of(name) not in RAW_ENDINGS:
                continue
            try:
                remote = "://" in name
                dtype = stated_dtype(name) if remote else read_layout(name, LOCAL, None).dtype
                found.setdefault(dtype, name)
            except DataError as error:
                problems.append(f"domain {domain}: {error}")
    problems += [several_types(found)] if len(found) > 1 else []
    if problems:
        raise DataError("\n".join(problems))
    return next(iter(found), None)


def fingerprint(paths: Sequence[Path]) -> str:
    """Return a hash of the contents of token files, independent of where they lie.

    Files above 1 MiB are sampled: 64 evenly spaced blocks of 16 KiB and the size. Replacing or
    re-tokenising a file changes it; a few bytes edited in a large file may not.
    """
    total = hashlib.blake2b(digest_size=16)
    for path in paths:
        size = path.stat().st_size
        total.update(size.to_bytes(8, "little"))
        with path.open("rb") as handle:
            if size <= _SAMPLE_BYTES:
                total.update(handle.read())
                continue
            blocks = _SAMPLE_BYTES // _BLOCK_BYTES
            for index in range(blocks):
                handle.seek(index * (size - _BLOCK_BYTES) // (blocks - 1))
                total.update(handle.read(_BLOCK_BYTES))
    return total.hexdigest()


def byte_lengths(tokenizer: str | Path) -> NDArray[np.int32]:
    """Return how many bytes of text each token of a byte-level BPE stands for, shape (V,).

    In a byte-level vocabulary one character stands for one byte. Special tokens, such as EOS,
    stand for none.

    Raises:
        DataError: the file is no `tokenizer.json` with a byte-level vocabulary.
    """
    path = Path(tokenizer)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = content["model"]["vocab"]
        special = {entry["id"] for entry in content["added_tokens"]}
        kinds = json.dumps([content["pre_tokenizer"], content["decoder"]])
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such tokenizer file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: this is not a tokenizer.json: {error!r}") from error
    if "ByteLevel" not in kinds:
        raise DataError(f"{path}: bits per byte need a byte-level BPE tokenizer; this is not one.")
    lengths = np.zeros(max([*vocabulary.values(), *special]) + 1, dtype=np.int32)
    for token, index in vocabulary.items():
        lengths[index] = 0 if index in special else len(token)
    return lengths
