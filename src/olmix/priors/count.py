"""Token counts of local, headerless token files: bytes divided by the size of one token.

Nothing is read but the first bytes of a file, to notice a real `.npy` header, so local counts need
no cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import DataConfig
from olmix.errors import DataError
from olmix.io.files import render_yaml
from olmix.io.tokens import expand

__all__ = ["DomainCount", "count_tokens", "render_priors"]

_NPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class DomainCount:
    """What one domain holds.

    Attributes:
        domain: its name.
        num_tokens: tokens in all its files.
        num_files: its files.
        size_bytes: bytes of its files.
    """

    domain: str
    num_tokens: int
    num_files: int
    size_bytes: int


def count_tokens(
    data: DataConfig, on_domain: Callable[[str, int, int], None] | None = None
) -> tuple[DomainCount, ...]:
    """Count the tokens of every domain, in the order of the config.

    Args:
        data: the data tree; paths must be local in this release.
        on_domain: called with (domain, domains done, domains in all) after each.

    Raises:
        DataError: with every unreadable path, pattern without a file, file of an odd size, and
            file that two domains share. A file that cannot be read is never counted as empty.
    """
    counts, problems = [], []
    owner: dict[Path, str] = {}
    for index, domain in enumerate(data.domains):
        try:
            files = expand(data.paths_of(domain), f"domain {domain}")
        except DataError as error:
            problems.append(str(error))
            continue
        total, size = 0, 0
        for file in files:
            other = owner.setdefault(file.resolve(), domain)
            if other != domain:
                problems.append(f"{file}: belongs to two domains, {other} and {domain}")
            try:
                file_size = file.stat().st_size
                total += _tokens_of(file, file_size, data.dtype)
                size += file_size
            except DataError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{file}: cannot be read: {error}")
        counts.append(DomainCount(domain, total, len(files), size))
        if on_domain is not None:
            on_domain(domain, index + 1, len(data.domains))
    if problems:
        raise DataError("\n".join(problems))
    return tuple(counts)


def _tokens_of(file: Path, size: int, dtype: str) -> int:
    """Return the tokens of one file from its size and, if it has one, its `.npy` header."""
    width = np.dtype(dtype).itemsize
    with file.open("rb") as handle:
        if handle.read(len(_NPY_MAGIC)) == _NPY_MAGIC:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            if array.dtype != np.dtype(dtype):
                raise DataError(f"{file}: its header says {array.dtype}, data.dtype says {dtype}")
            return int(array.size)
    if size == 0 or size % width:
        raise DataError(
            f"{file}: {size} bytes are no whole number of {dtype} tokens ({width} bytes each). "
            "Check data.dtype."
        )
    return size // width


def render_priors(counts: tuple[DomainCount, ...]) -> str:
    """Return a `priors:` block, domains sorted by name, ready to paste."""
    ordered = sorted(counts, key=lambda count: count.domain)
    total = sum(count.num_tokens for count in ordered)
    block: dict[str, Any] = {
        "relative_sizes": {c.domain: round(c.num_tokens / total, 9) for c in ordered},
        "token_counts": {c.domain: c.num_tokens for c in ordered},
    }
    return render_yaml({"priors": block})
