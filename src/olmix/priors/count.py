"""Token counts of domains: bytes divided by the size of one token, wherever the files lie.

Sizes come from listings. What a listing does not tell is what a file is: local files are all looked
into; of objects that are named as raw arrays are, the first, the middle and the last of each domain
and ending, and all of them where one of these has a header or a companion.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from olmix.config import DataConfig, TokenDtype
from olmix.errors import DataError
from olmix.priors.adapters import FileCount, FileCounter
from olmix.priors.cache import cache_file, read_cache, write_cache
from olmix.records.fingerprint import domain_fingerprint
from olmix.records.storage.buckets import WORKERS, RemoteFile, Storage
from olmix.records.storage.files import Files
from olmix.records.storage.locations import Location, parse_location
from olmix.records.token_files import (
    RAW_ENDINGS,
    companion_of,
    ending_of,
    is_companion,
    several_types,
)
from olmix.records.tokens import expand
from olmix.text.numbers import counted
from olmix.text.progress import OnProgress, Steps
from olmix.text.yaml import render_yaml

__all__ = ["Counts", "DomainCount", "count_domains", "render_priors"]

_PROBES = 3


@dataclass(frozen=True)
class DomainCount:
    """The counts of one domain.

    Attributes:
        domain: its name.
        num_tokens: tokens in all its files.
        num_files: its files.
        size_bytes: bytes of its files.
        fingerprint: what its files are known by; see `domain_fingerprint`.
    """

    domain: str
    num_tokens: int
    num_files: int
    size_bytes: int
    fingerprint: str = ""


@dataclass(frozen=True)
class Counts:
    """The counts of all domains.

    Attributes:
        domains: one entry per domain, in the order of the config.
        counted: when objects were listed, in seconds since 1970; ``None`` where it was just now.
        dtype: type of the ids, as found in the arrays that were looked into; ``None`` for others.
    """

    domains: tuple[DomainCount, ...]
    counted: float | None = None
    dtype: TokenDtype | None = None


def count_domains(
    data: DataConfig, on_progress: OnProgress | None = None, *, use_cache: bool = False
) -> Counts:
    """Count the tokens of every domain, in the order of the config.

    Args:
        data: the data tree; paths are local or URLs.
        on_progress: called after each domain.
        use_cache: whether counts of object storage may come from the cache; local files are
            counted again in any case.

    Raises:
        DataError: with every unreadable path, pattern without a file, file that is damaged or no
            token file, domain without tokens, source with several schemes, and file that two
            domains share. A file that cannot be read is never counted as empty.
        MissingPackageError: a package for the storage or the kind of file is not installed.
    """
    places = _places(data)
    schemes = tuple(sorted({p.scheme for some in places.values() for p in some} - {"file"}))
    file = cache_file(data, schemes) if schemes else None
    all_remote = all(place.scheme != "file" for some in places.values() for place in some)
    if use_cache and file is not None and all_remote:
        kept = read_cache(file)
        if kept is not None:
            found = tuple(DomainCount(**entry) for entry in kept["domains"])
            return Counts(found, kept["counted"])
    storage = Storage({str(scheme): settings for scheme, settings in data.storage.items()})
    counter = _Counter(data, storage, places)
    counts = counter.count(on_progress)
    if file is not None and all_remote:
        write_cache(file, [asdict(count) for count in counts])
    return Counts(counts, dtype=counter.dtype)


def _places(data: DataConfig) -> dict[str, list[Location]]:
    """Return the parsed paths of each domain, refusing sources of several schemes."""
    found: dict[str, list[Location]] = {}
    problems = []
    for domain in data.domains:
        found[domain] = []
        for path in data.paths_of(domain):
            try:
                found[domain].append(parse_location(path))
            except DataError as error:
                problems.append(f"domain {domain}: {error}")
    by_source: dict[str, set[str]] = {}
    for domain, places in found.items():
        by_source.setdefault(domain.partition(":")[0], set()).update(p.scheme for p in places)
    for source, schemes in by_source.items():
        if len(schemes) > 1:
            names = ", ".join(
                "local" if name == "file" else f"{name}://" for name in sorted(schemes)
            )
            problems.append(f"source {source}: its paths mix {names}; use one scheme per source")
    if problems:
        raise DataError("\n".join(problems))
    return found


class _Counter:
    """Counts all domains, collecting what is wrong with any of them."""

    def __init__(
        self, data: DataConfig, storage: Storage, places: Mapping[str, Sequence[Location]]
    ) -> None:
        self._data, self._storage, self._places = data, storage, places
        self._files = Files(storage)
        self._counter = FileCounter(self._files, data)
        self._owner: dict[str, str] = {}
        self._problems: list[str] = []
        self._dtypes: dict[TokenDtype, str] = {}

    @property
    def dtype(self) -> TokenDtype | None:
        """Type of the ids in all arrays that were looked into."""
        return next(iter(self._dtypes), None)

    def count(self, on_progress: OnProgress | None) -> tuple[DomainCount, ...]:
        remote = [p for some in self._places.values() for p in some if p.scheme != "file"]
        unique = {place.text: place for place in remote}
        listed = self._storage.find(list(unique.values())) if remote else {}
        counts = []
        steps = Steps(on_progress, len(self._data.domains))
        with ThreadPoolExecutor(WORKERS) as pool:
            for domain in self._data.domains:
                known = len(self._problems)
                if self._places[domain][0].scheme == "file":
                    files = self._local(domain)
                else:
                    files = self._listed(domain, listed)
                self._files.add(files)
                self._claim(domain, files)
                tokens = self._count_files(files, pool)
                size = sum(file.size_bytes for file in files)
                is_sound = len(self._problems) == known
                mark = self._fingerprint(files) if is_sound else ""
                counts.append(DomainCount(domain, tokens, len(files), size, mark))
                if tokens == 0 and is_sound:
                    self._problems.append(
                        f"domain {domain}: 0 tokens in {counted(len(files), 'file')} ({size:,} "
                        f"bytes{', ' + files[0].url if files else ''}); a domain without tokens "
                        "cannot be sampled: give it data, or leave it out"
                    )
                steps(domain)
        wrong = several_types(self._dtypes)
        problems = [*dict.fromkeys(self._problems), *([wrong] if wrong else [])]
        if problems:
            raise DataError("\n".join(problems))
        return tuple(counts)

    def _fingerprint(self, files: Sequence[RemoteFile]) -> str:
        try:
            return domain_fingerprint((file.url for file in files), self._files)
        except DataError as error:
            self._problems.append(str(error))
            return ""

    def _local(self, domain: str) -> list[RemoteFile]:
        try:
            paths = expand([place.key for place in self._places[domain]], f"domain {domain}")
        except DataError as error:
            self._problems.append(str(error))
            return []
        found = {}
        for path in paths:
            try:
                real = str(path.resolve())
                found[real] = RemoteFile(str(path), path.stat().st_size)
            except OSError as error:
                self._problems.append(f"{path}: cannot be read: {error}")
        return [file for file in found.values() if not is_companion(file.url)]

    def _listed(self, domain: str, listed: Mapping[str, Sequence[RemoteFile]]) -> list[RemoteFile]:
        found: dict[str, RemoteFile] = {}
        for place in self._places[domain]:
            files = [file for file in listed[place.text] if not is_companion(file.url)]
            if not files:
                self._problems.append(f"domain {domain}: {place.text}: no such file")
            found.update((file.url, file) for file in files)
        return list(found.values())

    def _claim(self, domain: str, files: Sequence[RemoteFile]) -> None:
        """Note the domain of each file, and the files that two domains share."""
        for file in files:
            name = file.url if "://" in file.url else str(Path(file.url).resolve())
            other = self._owner.setdefault(name, domain)
            if other != domain:
                self._problems.append(f"{file.url}: belongs to two domains, {other} and {domain}")

    def _count_files(self, files: Sequence[RemoteFile], pool: ThreadPoolExecutor) -> int:
        """Return the tokens of a domain's files; only objects that must be read cost a request."""
        alike: dict[str, list[RemoteFile]] = {}
        others: list[RemoteFile] = []
        for file in files:
            if "://" in file.url and ending_of(file.url) in RAW_ENDINGS:
                alike.setdefault(ending_of(file.url), []).append(file)
            else:
                others.append(file)
        total = 0
        for group in alike.values():
            counted, left = self._count_by_size(group, pool)
            total += counted
            others += left
        return total + sum(found.num_tokens for found in pool.map(self._count_file, others))

    def _count_by_size(
        self, group: Sequence[RemoteFile], pool: ThreadPoolExecutor
    ) -> tuple[int, Sequence[RemoteFile]]:
        """Count objects that end alike by their sizes, if the first, middle and last are raw.

        Returns:
            the tokens counted, and the files that must be looked into one by one.
        """
        last = len(group) - 1
        probes = {group[round(index * last / (_PROBES - 1))] for index in range(_PROBES)}
        known = len(self._problems)
        found = list(pool.map(self._count_file, sorted(probes)))
        if len(self._problems) > known:
            return 0, [file for file in group if file not in probes and not file.size_bytes]
        dtype = found[0].dtype
        if dtype is None or any(not probe.is_raw or probe.dtype != dtype for probe in found):
            return 0, group
        width = np.dtype(dtype).itemsize
        plain = [
            file
            for file in group
            if file.size_bytes and file.size_bytes % width == 0 and not self._is_described(file)
        ]
        counted = set(plain)
        left = [file for file in group if file not in counted]
        return sum(file.size_bytes for file in plain) // width, left

    def _is_described(self, file: RemoteFile) -> bool:
        """Whether a companion says what a file holds."""
        companion = companion_of(file.url)
        return companion is not None and self._files.size(companion) is not None

    def _count_file(self, file: RemoteFile) -> FileCount:
        try:
            found = self._counter.count(file.url)
        except DataError as error:
            self._problems.append(str(error))
            return FileCount(0)
        if found.dtype is not None:
            self._dtypes.setdefault(found.dtype, file.url)
        return found


def render_priors(counts: tuple[DomainCount, ...]) -> str:
    """Return a `priors:` block, domains sorted by name, ready to paste."""
    ordered = sorted(counts, key=lambda count: count.domain)
    total = sum(count.num_tokens for count in ordered)
    block: dict[str, Any] = {
        "relative_sizes": {c.domain: round(c.num_tokens / total, 9) for c in ordered},
        "token_counts": {c.domain: c.num_tokens for c in ordered},
    }
    if all(c.fingerprint for c in ordered):
        block["fingerprints"] = {c.domain: c.fingerprint for c in ordered}
    return render_yaml({"priors": block})


def age(counted: float) -> str:
    """Return how long ago something was, for readers."""
    seconds = max(time.time() - counted, 0.0)
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} seconds"
