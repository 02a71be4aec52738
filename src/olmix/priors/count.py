"""Token counts of domains: bytes divided by the size of one token, wherever the files lie.

Sizes come from listings. What a listing does not tell is whether files named `.npy` have a real
header: local files are all looked into; of objects, the first, the middle and the last of each
domain, and all of them where one of these has a header.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from olmix.config import DataConfig
from olmix.errors import DataError
from olmix.priors.adapters import is_companion, kind_of, npy_header, tokens_in
from olmix.priors.cache import cache_file, read_cache, write_cache
from olmix.priors.locations import Location, parse_location
from olmix.priors.storage import WORKERS, RemoteFile, Storage
from olmix.records.tokens import expand
from olmix.text.yaml import render_yaml

__all__ = ["Counts", "DomainCount", "count_domains", "count_tokens", "render_priors"]

_HEADER_BYTES = 4096
_PROBES = 3
_READ = (".parquet", ".jsonl", ".jsonl.gz", ".bin", ".ds")
"""Endings of files whose size alone does not tell their tokens."""

OnDomain = Callable[[str, int, int], None]


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


@dataclass(frozen=True)
class Counts:
    """What all domains hold.

    Attributes:
        domains: one entry per domain, in the order of the config.
        counted: when objects were listed, in seconds since 1970; ``None`` where it was just now.
    """

    domains: tuple[DomainCount, ...]
    counted: float | None = None


def count_tokens(
    data: DataConfig, on_domain: OnDomain | None = None, *, use_cache: bool = False
) -> tuple[DomainCount, ...]:
    """Count the tokens of every domain, in the order of the config; see `count_domains`."""
    return count_domains(data, on_domain, use_cache=use_cache).domains


def count_domains(
    data: DataConfig, on_domain: OnDomain | None = None, *, use_cache: bool = False
) -> Counts:
    """Count the tokens of every domain, in the order of the config.

    Args:
        data: the data tree; paths are local or URLs.
        on_domain: called with (domain, domains done, domains in all) after each.
        use_cache: whether counts of object storage may come from the cache; local files are
            counted anew in any case.

    Raises:
        DataError: with every unreadable path, pattern without a file, file of an odd size, source
            with several schemes, and file that two domains share. A file that cannot be read is
            never counted as empty.
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
    counts = counter.count(on_domain)
    if file is not None and all_remote:
        write_cache(file, [asdict(count) for count in counts])
    return Counts(counts)


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
            problems.append(
                f"source {source}: its paths mix {names}; one scheme a source is needed"
            )
    if problems:
        raise DataError("\n".join(problems))
    return found


class _Counter:
    """Counts all domains, collecting what is wrong with any of them."""

    def __init__(
        self, data: DataConfig, storage: Storage, places: Mapping[str, Sequence[Location]]
    ) -> None:
        self._data, self._storage, self._places = data, storage, places
        self._owner: dict[str, str] = {}
        self._problems: list[str] = []
        self._siblings: dict[str, set[str]] = {}
        self._lock = Lock()

    def count(self, on_domain: OnDomain | None) -> tuple[DomainCount, ...]:
        remote = [p for some in self._places.values() for p in some if p.scheme != "file"]
        unique = {place.text: place for place in remote}
        listed = self._storage.find(list(unique.values())) if remote else {}
        counts = []
        with ThreadPoolExecutor(WORKERS) as pool:
            for index, domain in enumerate(self._data.domains):
                places = self._places[domain]
                if places[0].scheme == "file":
                    files = self._local(domain)
                else:
                    files = self._listed(domain, listed)
                self._claim(domain, files)
                tokens = self._count_files(files, pool)
                size = sum(file.size_bytes for file in files)
                counts.append(DomainCount(domain, tokens, len(files), size))
                if on_domain is not None:
                    on_domain(domain, index + 1, len(self._data.domains))
        if self._problems:
            raise DataError("\n".join(dict.fromkeys(self._problems)))
        return tuple(counts)

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

    def _looked_into(self, files: Sequence[RemoteFile], pool: ThreadPoolExecutor) -> bool:
        """Return whether the files of a domain are looked into for a `.npy` header."""
        named = [file for file in files if file.url.endswith(".npy")]
        if not named or "://" not in files[0].url:
            return bool(files) and "://" not in files[0].url
        last = len(named) - 1
        probes = {named[round(index * last / (_PROBES - 1))].url for index in range(_PROBES)}
        return any(pool.map(self._has_header, [file for file in named if file.url in probes]))

    def _count_files(self, files: Sequence[RemoteFile], pool: ThreadPoolExecutor) -> int:
        """Return the tokens of a domain's files; only files that must be read cost a request."""
        look = self._looked_into(files, pool)
        width = np.dtype(self._data.dtype).itemsize
        total, others = 0, []
        for file in files:
            size = file.size_bytes
            plain = not file.url.endswith(_READ) and not (look and size) and size % width == 0
            if plain and size:
                total += size // width
            else:
                others.append(file)
        return total + sum(pool.map(lambda file: self._tokens_of(file, look), others))

    def _has_header(self, file: RemoteFile) -> bool:
        if file.size_bytes == 0:
            return False
        try:
            start = self._read(file, 0, min(_HEADER_BYTES, file.size_bytes))
            return npy_header(file.url, start, self._data.dtype) is not None
        except DataError as error:
            self._problems.append(str(error))
            return False

    def _tokens_of(self, file: RemoteFile, look: bool) -> int:
        try:
            kind = kind_of(file.url, self._exists)
            size = file.size_bytes
            if kind == "array" and look and size:
                start = self._read(file, 0, min(_HEADER_BYTES, size))
                size -= npy_header(file.url, start, self._data.dtype) or 0
            if size == 0 and file.size_bytes:
                raise DataError(f"{file.url}: holds a header and no tokens")
            return tokens_in(
                file.url,
                kind,
                size,
                lambda start, length: self._read(file, start, length),
                self._read_other,
                self._data,
            )
        except DataError as error:
            self._problems.append(str(error))
            return 0

    def _read(self, file: RemoteFile, start: int, length: int) -> bytes:
        if "://" in file.url:
            return self._storage.read(file, start, length)
        try:
            with Path(file.url).open("rb") as handle:
                handle.seek(start)
                return handle.read(length)
        except OSError as error:
            raise DataError(f"{file.url}: cannot be read: {error}") from error

    def _exists(self, name: str) -> bool:
        """Return whether a companion is there; one listing answers for its whole folder."""
        if "://" not in name:
            return Path(name).is_file()
        folder, ending = name.rpartition("/")[0], name.rpartition(".")[2]
        pattern = f"{folder}/*.{ending}"
        with self._lock:
            if pattern not in self._siblings:
                found: Sequence[RemoteFile] = ()
                if not name.startswith("http"):
                    found = self._storage.find([parse_location(pattern)])[pattern]
                self._siblings[pattern] = {file.url for file in found}
        return name in self._siblings[pattern]

    def _read_other(self, name: str, length: int | None) -> bytes:
        if "://" in name:
            return self._storage.fetch(name, length)
        try:
            with Path(name).open("rb") as handle:
                return handle.read(-1 if length is None else length)
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error}") from error


def render_priors(counts: tuple[DomainCount, ...]) -> str:
    """Return a `priors:` block, domains sorted by name, ready to paste."""
    ordered = sorted(counts, key=lambda count: count.domain)
    total = sum(count.num_tokens for count in ordered)
    block: dict[str, Any] = {
        "relative_sizes": {c.domain: round(c.num_tokens / total, 9) for c in ordered},
        "token_counts": {c.domain: c.num_tokens for c in ordered},
    }
    return render_yaml({"priors": block})


def age(counted: float) -> str:
    """Return how long ago something was, for readers."""
    seconds = max(time.time() - counted, 0.0)
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} seconds"
