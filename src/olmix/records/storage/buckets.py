"""Object storage: which files there are and how large, with one listing per prefix.

A listing tells the sizes of a thousand objects with one request, so no object is asked for by
itself. Buckets are read by obstore; credentials come from the environment, from a profile of the
AWS files, or from nowhere (`anonymous`).

| scheme | endpoint | profile |
|---|---|---|
| `s3://` | `AWS_ENDPOINT_URL`, else AWS | `S3_PROFILE`, `AWS_PROFILE` |
| `weka://` | `WEKA_ENDPOINT_URL` | `WEKA_PROFILE` |
| `r2://` | `R2_ENDPOINT_URL`, or that of `R2_ACCOUNT_ID` | `R2_PROFILE` |
| `gs://` | `STORAGE_EMULATOR_HOST`, else Google | |
| `http(s)://` | the host | |

`data.storage` in a config comes before the environment.
"""

from __future__ import annotations

import configparser
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from olmix.config import StorageConfig
from olmix.errors import DataError, NotAvailableError, needs
from olmix.records.storage.locations import Location

__all__ = ["RemoteFile", "Storage", "endpoint_of"]


WORKERS = 16
_CHUNK = 10_000
_TIMEOUT_S = 30
_FIELD = {name: re.compile(rf"<{name}>([^<]+)</{name}>") for name in ("Code", "Message")}
"""The fields of a storage server's error, in XML."""


class RemoteFile(NamedTuple):
    """One object: its address and its size in bytes."""

    url: str
    size_bytes: int


def endpoint_of(scheme: str, settings: StorageConfig | None) -> str | None:
    """Return the endpoint of a scheme: from the config, else from the environment."""
    if settings is not None and settings.endpoint is not None:
        return settings.endpoint
    names = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "weka": ("WEKA_ENDPOINT_URL",),
        "r2": ("R2_ENDPOINT_URL",),
        "gs": ("STORAGE_EMULATOR_HOST",),
    }
    for name in names.get(scheme, ()):
        if os.environ.get(name):
            return os.environ[name]
    if scheme == "r2" and os.environ.get("R2_ACCOUNT_ID"):
        return f"https://{os.environ['R2_ACCOUNT_ID']}.r2.cloudflarestorage.com"
    return None


class Storage:
    """Buckets and web servers, each connected to once.

    Args:
        settings: how each scheme is reached.
    """

    def __init__(self, settings: Mapping[str, StorageConfig]) -> None:
        self._settings = settings
        self._stores: dict[tuple[str, str], object] = {}

    def find(self, locations: Sequence[Location]) -> dict[str, tuple[RemoteFile, ...]]:
        """Return the files that each location stands for, by its text, sorted by name.

        Locations below the same prefix share one listing; listings run side by side.

        Raises:
            DataError: names every bucket or address that cannot be read.
            MissingPackageError: obstore is not installed.
        """
        web = [place for place in locations if place.scheme.startswith("http")]
        buckets: dict[tuple[str, str], list[Location]] = {}
        for place in locations:
            if not place.scheme.startswith("http"):
                self._store(place.scheme, place.bucket)
                buckets.setdefault((place.scheme, place.bucket), []).append(place)
        jobs = [
            (prefix, members)
            for places in buckets.values()
            for prefix, members in _by_prefix(places).items()
        ]
        found: dict[str, tuple[RemoteFile, ...]] = {}
        problems = []
        with ThreadPoolExecutor(WORKERS) as pool:
            listed = pool.map(lambda job: _attempt(lambda: self._list(*job), job[1][0].text), jobs)
            asked = pool.map(lambda p: _attempt(lambda: {p.text: (_head(p),)}, p.text), web)
            for result in (*listed, *asked):
                if isinstance(result, str):
                    problems.append(result)
                else:
                    found.update(result)
        if problems:
            raise DataError("\n".join(problems))
        return found

    def read(self, file: RemoteFile, start: int, length: int) -> bytes:
        """Return some bytes of a file.

        Raises:
            DataError: it cannot be read.
        """
        try:
            if file.url.startswith("http"):
                header = {"Range": f"bytes={start}-{start + length - 1}"}
                return _open(urllib.request.Request(file.url, headers=header), start, length)
            import obstore

            scheme, _, rest = file.url.partition("://")
            bucket, _, key = rest.partition("/")
            store = self._store(scheme, bucket)
            length = min(length, file.size_bytes - start)
            return bytes(obstore.get_range(store, key, start=start, length=length))
        except Exception as error:
            raise DataError(f"{file.url}: cannot be read: {_reason(error)}") from error

    def _list(self, prefix: str, places: Sequence[Location]) -> dict[str, tuple[RemoteFile, ...]]:
        """List one prefix and share the files out to the locations below it."""
        import obstore

        first = places[0]
        store = self._store(first.scheme, first.bucket)
        exact = {place.key: place.text for place in places if not place.is_pattern}
        named = [place for place in places if place.is_pattern]
        # A key may hold a bracket: a pattern stands for the file of its own name too.
        both = {p.text: f"{p.expression().pattern}|{re.escape(p.key)}" for p in named}
        patterns = [(text, re.compile(both[text], re.DOTALL).fullmatch) for text in both]
        found: dict[str, list[RemoteFile]] = {place.text: [] for place in places}
        # Without patterns only a stretch of the names matters: begin a little before the first.
        start = None if patterns else min(exact)[:-1]
        last = None if patterns else max(exact)
        chunks = obstore.list(store, prefix or None, offset=start, chunk_size=_CHUNK)
        if patterns and not any("/" in place.key[len(prefix) :] for place in places):
            # All of them look into one folder only: what lies below it is not listed.
            chunks = [obstore.list_with_delimiter(store, prefix or None)["objects"]]
        base = first.url("")
        for chunk in chunks:
            if not exact:
                # The common case, and the one with many objects: whole loops in C.
                pairs = [(entry["path"], entry["size"]) for entry in chunk]
                for text, matches in patterns:
                    found[text] += [RemoteFile(base + k, size) for k, size in pairs if matches(k)]
                continue
            for entry in chunk:
                key = entry["path"]
                texts = [text for text, matches in patterns if matches(key)]
                if key in exact:
                    texts.append(exact[key])
                for text in texts:
                    found[text].append(RemoteFile(base + key, entry["size"]))
            if last is not None and chunk and chunk[-1]["path"] >= last:
                break
        for place in named:
            own = [file for file in found[place.text] if file.url == base + place.key]
            found[place.text] = own or found[place.text]
        return {text: tuple(sorted(files)) for text, files in found.items()}

    def _store(self, scheme: str, bucket: str) -> object:
        """Return the client of a bucket."""
        key = (scheme, bucket)
        if key not in self._stores:
            settings = self._settings.get(scheme, StorageConfig())
            self._stores[key] = _connect(scheme, bucket, settings)
        return self._stores[key]


def _attempt(work: Any, what: str) -> Any:
    """Return what `work` returns, or a sentence about what went wrong."""
    try:
        return work()
    except DataError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001, clients raise errors of their own
        return f"{what}: cannot be listed: {_reason(error)}"


def _reason(error: Exception) -> str:
    """Return why a client failed: the server's own code and message, else its first line."""
    whole = str(error).strip().partition("\nDebug source:")[0]
    code, message = (_FIELD[name].search(whole) for name in ("Code", "Message"))
    if code is not None:
        return f"{code[1]}: {message[1]}" if message is not None else code[1]
    text = whole.partition("\n")[0]
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _by_prefix(places: Sequence[Location]) -> dict[str, list[Location]]:
    """Group locations by the prefix that is listed for them; none lies below another's pattern."""
    groups: dict[str, list[Location]] = {}
    for place in sorted(places, key=lambda p: (not p.is_pattern, p.prefix, p.text)):
        above = (
            prefix
            for prefix, members in groups.items()
            if place.prefix.startswith(prefix) and members[0].is_pattern
        )
        groups.setdefault(next(above, place.prefix), []).append(place)
    return groups


def _connect(scheme: str, bucket: str, settings: StorageConfig) -> object:
    with needs("storage", "Reading object storage"):
        from obstore.store import GCSStore, S3Store
    endpoint = endpoint_of(scheme, settings)
    client: dict[str, object] = {"timeout": timedelta(seconds=_TIMEOUT_S)}
    retry: dict[str, object] = {
        "client_options": client,
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=_TIMEOUT_S)},
    }
    options: dict[str, Any] = {}
    if scheme == "gs":
        if endpoint is not None:
            options["base_url"] = endpoint if "://" in endpoint else f"http://{endpoint}"
            client["allow_http"] = True
        if settings.anonymous or endpoint is not None:
            options["skip_signature"] = True
        return GCSStore(bucket, config=options, **retry)
    credentials = _credentials(scheme, settings)
    if scheme in {"weka", "r2"} and endpoint is None and "endpoint" not in credentials:
        raise DataError(
            f"{scheme}://{bucket}: no endpoint is known. Give data.storage.{scheme}.endpoint, or "
            f"set {scheme.upper()}_ENDPOINT_URL"
        )
    options |= credentials
    if endpoint is not None:
        options["endpoint"] = endpoint
    client["allow_http"] = str(options.get("endpoint", "")).startswith("http://")
    if settings.anonymous:
        options = {k: v for k, v in options.items() if k in {"endpoint", "region"}}
        options["skip_signature"] = True
    if settings.region is not None:
        options["region"] = settings.region
    elif "region" not in options and not os.environ.get("AWS_REGION"):
        options["region"] = "auto" if scheme == "r2" else "us-east-1"
    return S3Store(bucket, **options, **retry)


def _credentials(scheme: str, settings: StorageConfig) -> dict[str, str]:
    """Return what a profile of the AWS files says; nothing where no profile is named.

    Raises:
        DataError: there is no such profile.
        NotAvailableError: the profile has no keys of its own.
    """
    profile = settings.profile or os.environ.get(f"{scheme.upper()}_PROFILE")
    if profile is None and scheme == "s3":
        profile = os.environ.get("AWS_PROFILE")
    if profile is None or settings.anonymous:
        return {}
    home = Path.home() / ".aws"
    files = [
        os.environ.get("AWS_CONFIG_FILE", str(home / "config")),
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials")),
    ]
    parser = configparser.RawConfigParser()
    try:
        parser.read(files)
    except configparser.Error as error:
        raise DataError(f"{' or '.join(files)}: cannot be read: {error}") from error
    values: dict[str, str] = {}
    sections = [name for name in (f"profile {profile}", profile) if parser.has_section(name)]
    if not sections:
        raise DataError(f"{scheme}://: there is no profile {profile} in {' or '.join(files)}")
    for section in sections:
        values |= dict(parser.items(section))
    if "aws_access_key_id" not in values:
        raise NotAvailableError(
            f"{scheme}://: the profile {profile} has no aws_access_key_id. Put the keys into the "
            "environment (`aws configure export-credentials --format env`)"
        )
    known = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
        "endpoint_url": "endpoint",
    }
    return {known[key]: value for key, value in values.items() if key in known}


def _head(place: Location) -> RemoteFile:
    """Ask a web server for the size of one file.

    Raises:
        DataError: it is a pattern, or the server does not report its size.
    """
    if "*" in place.key:
        raise DataError(f"{place.text}: a web server cannot be listed; name each file without *")
    request = urllib.request.Request(place.text, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            size = answer.headers.get("Content-Length")
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"{place.text}: cannot be read: {error}") from error
    if size is None:
        raise DataError(f"{place.text}: the server does not report its size")
    return RemoteFile(place.text, int(size))


def _open(request: urllib.request.Request, start: int, length: int) -> bytes:
    """Return the part of a file that was asked for; some servers send all of it all the same."""
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        if answer.status != 206:
            answer.read(start)
        return bytes(answer.read(length))
