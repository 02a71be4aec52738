"""A fingerprint of a domain's token files: while it is the same, old counts hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from olmix.records.token_formats import FileReader
from olmix.text.file_kind import SNIFFED_BYTES

__all__ = ["domain_fingerprint"]

_DIGITS = 16


def domain_fingerprint(names: Iterable[str], files: FileReader) -> str:
    """Return 16 hexadecimal digits that follow the files of a domain, wherever their folders lie.

    They cover the name and size of each file, and how the first, the middle and the last begin.
    Texts that were added, filtered or tokenised again change them; a file that is edited in place
    beyond its first 4 KiB does not.

    Args:
        names: paths or URLs.
        files: tells their sizes and reads them.

    Raises:
        DataError: a file cannot be read.
    """
    known = sorted((name.rpartition("/")[2], files.size(name) or 0, name) for name in names)
    total = hashlib.blake2b(digest_size=_DIGITS // 2)
    for ending, size, _ in known:
        total.update(f"{ending}\0{size}\0".encode("utf-8", "surrogateescape"))
    middle = (len(known) - 1) // 2
    for _, size, name in dict.fromkeys([*known[:1], *known[middle : middle + 1], *known[-1:]]):
        if size:
            total.update(files.read(name, 0, min(SNIFFED_BYTES, size)))
    return total.hexdigest()
