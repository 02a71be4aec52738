"""A fingerprint of a domain's token files: while it is the same, old counts and runs hold.

`olmix priors compute` and `olmix prepare` note it where tokens are counted, `group.json` where runs
are launched, `completeness.json`, `fit.yaml` and `fit.json` where they are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from olmix.config import DataConfig
from olmix.errors import DataError
from olmix.records.token_formats import LOCAL, FileReader
from olmix.records.tokens import expand
from olmix.text.file_kind import SNIFFED_BYTES

__all__ = ["changed_contents", "domain_fingerprint", "explain_change", "local_fingerprints"]

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


def local_fingerprints(data: DataConfig) -> dict[str, str]:
    """Return the fingerprint of every domain whose files all lie here; others are left out."""
    found = {}
    for domain in data.domains:
        try:
            files = expand(data.paths_of(domain), f"domain {domain}")
            found[domain] = domain_fingerprint(map(str, files), LOCAL)
        except (DataError, OSError):
            continue
    return found


def changed_contents(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the domains that have other files now; what one side does not know is not compared."""
    return tuple(name for name, mark in now.items() if before.get(name, mark) != mark)


def explain_change(domains: Iterable[str], before: str, which: str = "") -> str:
    """Return in words that domains have other files now, and what to do.

    Args:
        domains: their names.
        before: whose files they no longer are, such as `the runs in runs/a`.
        which: which files are meant, such as `of runs/b`; those of now if left out.
    """
    return (
        f"{', '.join(domains)}: the token files {which or 'as they are now'} are not those of "
        f"{before}. If both hold the same texts, go on: the runs count alike. If not, train the "
        "mixtures again on the new files, as a group of its own, and fit that alone. --strict "
        "refuses to mix the two"
    )
