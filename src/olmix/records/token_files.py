r"""How token ids lie in a file: their type, where they begin and how many there are.

The file's own header comes first, and must agree with `data.dtype` and with its size:

| file | its type is in |
|---|---|
| `.npy` with a header | the header |
| `X.bin` beside `X.idx` | the index (Megatron) |
| `X.ds` beside `X.ds.metadata` | the metadata (datatrove): `TOKENIZER\|WIDTH`, or bytes / tokens |
| written by `olmix prepare` | `manifest.json` in the folder of the result |
| other arrays without a header | `data.dtype`, else `data.dtype` of a `data.yaml` beside them |
| URLs of `.npy` without a header | `data.dtype`, else uint32, as OLMo's are |

Where nothing says the type, there is none: a guess would count half or double.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from olmix.config import TokenDtype, read_yaml
from olmix.errors import ConfigError, DataError
from olmix.records.prepared import PREPARED_FILE, read_prepared
from olmix.records.token_formats import (
    BY_WIDTH,
    DTYPES,
    FileReader,
    Layout,
    check_agrees,
    num_tokens_in,
    read_datatrove,
    read_megatron,
    read_npy,
)
from olmix.text.file_kind import SNIFFED_BYTES, FileKind, describe, kind_of

__all__ = [
    "OLMO_DTYPE",
    "RAW_ENDINGS",
    "companion_of",
    "ending_of",
    "is_companion",
    "read_layout",
    "several_types",
    "stated_dtype",
]

RAW_ENDINGS = (
    ".bin", ".npy", ".ds", ".raw", ".dat", ".tokens", ".tok", ".mmap",
    ".u8", ".u16", ".u32", ".u64", ".uint8", ".uint16", ".uint32", ".uint64",
)  # fmt: skip
"""Names that arrays without a header may have: no content tells them from other binary files."""

_COMPANIONS = (".idx", ".ds.index", ".ds.metadata", ".ds.loss", ".csv.gz", ".metadata.json")

OLMO_DTYPE: TokenDtype = "uint32"
"""Type of the raw `.npy` files that OLMo's mixtures name by URL."""

_LARGEST_VOCABULARY = 1 << 22
_LEAST_SAMPLE = 64
_LEVELS = 3
"""Folders above a file in which a `manifest.json` or a `data.yaml` speaks of it."""


def ending_of(name: str) -> str:
    """Return the ending of a path or URL in lower case, with its dot; empty where there is none."""
    path = name.partition("?")[0] if name.startswith("http") else name
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    return (dot + ending).lower() if stem else ""


def companion_of(name: str) -> str | None:
    """Return the name of the file that would say what a token file holds, if it may have one."""
    if ending_of(name) == ".bin":
        return name[: -len(".bin")] + ".idx"
    return f"{name}.metadata" if ending_of(name) == ".ds" else None


def is_companion(name: str) -> bool:
    """Whether a file only describes another one."""
    return name.endswith(_COMPANIONS)


def several_types(found: Mapping[TokenDtype, str]) -> str:
    """Return what is wrong with token files of these types, each with one that has it; or nothing.

    A config has one `data.dtype`, at which all of its files are trained on.
    """
    if len(found) <= 1:
        return ""
    each = ", ".join(f"{dtype} ({name})" for dtype, name in found.items())
    return f"the token files have several types: {each}. They must all have one"


def read_layout(name: str, files: FileReader, dtype: TokenDtype | None) -> Layout:
    """Return how the token ids of a file lie.

    Args:
        name: path or URL.
        files: reads it and what lies beside it.
        dtype: what `data.dtype` says, if it is given.

    Raises:
        DataError: it holds no token ids, is damaged, disagrees with `dtype` or with what describes
            it, or nothing says how wide its ids are.
    """
    size = files.size(name)
    if size is None:
        raise DataError(f"{name}: no such file")
    if size == 0:
        raise DataError(f"{name}: is empty (0 bytes)")
    start = files.read(name, 0, min(SNIFFED_BYTES, size))
    kind = kind_of(start)
    if kind == "npy":
        return read_npy(name, start, size, dtype)
    ending = ending_of(name)
    # Bytes as token ids are text by nature.
    if not (kind in {"json", "text"} and dtype == "uint8" and ending in RAW_ENDINGS):
        _refuse(name, kind, ending)
    layout = _described(name, files, size, dtype, ending)
    if layout is None:
        found = dtype if dtype is not None else stated_dtype(name, size)
        layout = Layout(found, 0, num_tokens_in(name, size, found, "Check data.dtype"), is_raw=True)
    _check_width(name, start, layout)
    return layout


def _refuse(name: str, kind: FileKind, ending: str) -> None:
    if kind != "binary":
        raise DataError(f"{name}: this is {describe(kind)}")
    if ending not in RAW_ENDINGS:
        raise DataError(
            f"{name}: holds binary data of an unknown kind. Raw token ids are read from files "
            f"that end with {', '.join(RAW_ENDINGS[:3])}; rename it if that is what it holds"
        )


def _described(
    name: str, files: FileReader, size: int, dtype: TokenDtype | None, ending: str
) -> Layout | None:
    """Return what the companion of a file says of it, `None` where it has none."""
    companion = companion_of(name)
    length = None if companion is None else files.size(companion)
    if companion is not None and length is not None:
        if ending == ".bin":
            return read_megatron(name, files, (companion, length), size, dtype)
        text = files.read(companion, 0, min(length, SNIFFED_BYTES))
        return read_datatrove(name, text.decode("utf-8", "replace"), size, dtype)
    manifest = _manifest_entry(name, size)
    if manifest is not None:
        check_agrees(name, str(manifest[0]), manifest[1], dtype)
    return None


def _folders(name: str) -> list[Path]:
    """Return the folders in which something may be said of a local file, nearest first."""
    return [] if "://" in name else list(Path(name).parents)[:_LEVELS]


def _manifest_entry(name: str, size: int) -> tuple[Path, TokenDtype] | None:
    """Return the manifest of `olmix prepare` that names a file, and the type that it says.

    It must know the file as it is, with its side, its domain and its size.
    """
    for folder in _folders(name):
        below = Path(name).relative_to(folder).parts
        side = f"{below[0]}_tokens"
        if side not in {"train_tokens", "validation_tokens"} or len(below) < 2:
            continue
        found = read_prepared(folder)
        name_of_domain = below[1].removesuffix(".bin") if side[0] == "v" else below[1]
        entry = None if found is None else found.domains.get(name_of_domain)
        if found is None or entry is None:
            continue
        tokens = entry.train_tokens if side[0] == "t" else entry.validation_tokens
        if tokens * np.dtype(found.dtype).itemsize == size:
            return folder / PREPARED_FILE, found.dtype
    return None


def stated_dtype(name: str, size: int | None = None) -> TokenDtype:
    """Return the type of an array without a header that the config does not say.

    Args:
        name: path or URL.
        size: its bytes, where they are known.

    Raises:
        DataError: nothing beside it says it either.
    """
    manifest = None if size is None else _manifest_entry(name, size)
    if manifest is not None:
        return manifest[1]
    for folder in _folders(name):
        dtype = _yaml_dtype(folder / "data.yaml")
        if dtype is not None:
            return dtype
    if "://" in name and ending_of(name) == ".npy":
        return OLMO_DTYPE
    others = ", ".join(f"`dtype: {known}`" for known in DTYPES if known != "uint16")
    beside = "" if "://" in name else ", and no manifest.json or data.yaml next to it says so"
    raise DataError(
        f"{name}: nothing says how wide its token ids are: it has no header{beside}. Add the line "
        f"`dtype: uint16` (or {others}) to `data` in the config"
    )


def _yaml_dtype(path: Path) -> TokenDtype | None:
    """Return `data.dtype` of a YAML file, `None` where there is none."""
    if not path.is_file():
        return None
    try:
        section = read_yaml(path).data["data"]
        return next((known for known in DTYPES if known == section["dtype"]), None)
    except (ConfigError, DataError, OSError, KeyError, TypeError):
        return None


def _check_width(name: str, start: bytes, layout: Layout) -> None:
    """Refuse ids that are sure to be read at another width than they were written at."""
    width = np.dtype(layout.dtype).itemsize
    ids = np.frombuffer(start[: len(start) // width * width], layout.dtype)
    if len(ids) < _LEAST_SAMPLE:
        return
    hint = ""
    if width >= 4 and np.mean(ids > _LARGEST_VOCABULARY) > 0.5:
        hint = f"most of its ids are above {_LARGEST_VOCABULARY:,}, larger than any vocabulary"
    elif width in {2, 4} and not ids[1::2].any() and np.mean(ids[::2] > 0) > 0.5:
        hint = f"every second id is 0, as when {BY_WIDTH[2 * width]} is read as {layout.dtype}"
    if hint:
        raise DataError(f"{name}: holds no {layout.dtype} tokens: {hint}. Check data.dtype")
