"""A fingerprint of a domain's token files: while it is the same, old counts and runs hold.

`olmix priors compute` and `olmix prepare` note it where tokens are counted, `group.json` where runs
are launched, `completeness.json`, `fit.yaml` and `fit.json` where they are used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from olmix.config import DataConfig, StorageConfig
from olmix.errors import DataError, OlmixError
from olmix.records.storage.buckets import WORKERS, Storage
from olmix.records.storage.files import Files
from olmix.records.storage.locations import Location, parse_location
from olmix.records.token_files import is_companion
from olmix.records.token_formats import LOCAL, FileReader
from olmix.records.tokens import expand
from olmix.text.file_kind import SNIFFED_BYTES

__all__ = [
    "changed_contents",
    "domain_fingerprint",
    "explain_change",
    "fingerprints_of",
    "local_fingerprints",
]

logger = logging.getLogger(__name__)

_DIGITS = 16
_BUCKETS = ("s3", "weka", "gs", "r2")


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


def fingerprints_of(data: DataConfig) -> dict[str, str]:
    """Return the fingerprint of every domain whose files lie here or in buckets.

    Web servers are not asked, since they list nothing. Buckets that cannot be reached are named in
    a warning, once a process, and their domains left out.
    """
    remote = {}
    for domain in data.domains:
        paths = data.paths_of(domain)
        if all(path.partition("://")[0] in _BUCKETS for path in paths):
            remote[domain] = list(paths)
    if not remote:
        return local_fingerprints(data)
    settings = {scheme: found.to_plain() for scheme, found in data.storage.items()}
    return {**local_fingerprints(data), **_in_buckets(json.dumps([remote, settings]))}


@lru_cache(maxsize=8)
def _in_buckets(asked: str) -> Mapping[str, str]:
    """Return the fingerprints of domains, from JSON: their paths, and how storage is reached."""
    domains, settings = json.loads(asked)
    reached = {scheme: StorageConfig.from_dict(plain) for scheme, plain in settings.items()}
    storage = Storage(reached)
    by_bucket: dict[str, dict[str, list[Location]]] = {}
    for domain, paths in domains.items():
        try:
            places = [parse_location(path) for path in paths]
        except DataError:
            continue  # named by whoever reads the files
        by_bucket.setdefault(places[0].url(""), {})[domain] = places
    found: dict[str, str] = {}
    for bucket, members in by_bucket.items():
        try:
            found |= _in_bucket(storage, members)
        except OlmixError as error:
            logger.warning(
                "%s: cannot tell whether the token files are still the same: %s",
                f"{', '.join(members)} in {bucket}", error,
            )  # fmt: skip
    return found


def _in_bucket(storage: Storage, domains: Mapping[str, list[Location]]) -> dict[str, str]:
    unique = {place.text: place for places in domains.values() for place in places}
    listed = storage.find(list(unique.values()))
    reader = Files(storage)
    names: dict[str, list[str]] = {}
    for domain, places in domains.items():
        files = {file.url: file for place in places for file in listed[place.text]}
        files = {url: file for url, file in files.items() if not is_companion(url)}
        reader.add(files.values())
        if files and all(listed[place.text] for place in places):
            names[domain] = list(files)
    with ThreadPoolExecutor(WORKERS) as pool:
        marks = pool.map(lambda some: domain_fingerprint(some, reader), names.values())
        return dict(zip(names, marks, strict=True))


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
        f"{before}. If both hold the same texts, go on: the runs are comparable. If not, train "
        "the mixtures again on the new files as a separate group, and fit that alone. --strict "
        "makes this an error"
    )
