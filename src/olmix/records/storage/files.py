"""Files wherever they lie: on this machine, in buckets, on web servers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO

from olmix.errors import DataError
from olmix.records.storage.buckets import RemoteFile, Storage
from olmix.records.storage.locations import parse_location
from olmix.records.token_formats import LOCAL
from olmix.text.file_kind import SNIFFED_BYTES

__all__ = ["Files"]


class Files:
    """Reads files by path or URL; sizes and starts of objects are not asked for twice.

    Args:
        storage: reaches all that is not on this machine.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._sizes: dict[str, int] = {}
        self._listed: set[str] = set()
        self._starts: dict[str, bytes] = {}
        self._lock = Lock()

    def add(self, files: Iterable[RemoteFile]) -> None:
        """Note the sizes of files that a listing has found."""
        self._sizes.update((file.url, file.size_bytes) for file in files if "://" in file.url)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, `None` where there is none.

        One listing answers for all files of a folder in a bucket that end alike.

        Raises:
            DataError: the folder cannot be listed.
        """
        if "://" not in name:
            return LOCAL.size(name)
        with self._lock:
            if name not in self._sizes:
                self._look_for(name)
            return self._sizes.get(name)

    def _look_for(self, name: str) -> None:
        if name.startswith("http"):
            place = name
        else:
            folder, ending = name.rpartition("/")[0], name.rpartition(".")[2]
            place = re.sub(r"[*?[]", r"[\g<0>]", folder) + f"/*.{ending}"
        if place in self._listed:
            return
        self._listed.add(place)
        try:
            found = self._storage.find([parse_location(place)])[place]
        except DataError:
            if not name.startswith("http"):
                raise
            return  # a web server that has no such file says so with an error
        self._sizes.update((file.url, file.size_bytes) for file in found)

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return a part of a file.

        Raises:
            DataError: it cannot be read.
        """
        if "://" not in name:
            return LOCAL.read(name, start, length)
        if start == 0 and len(self._starts.get(name, b"")) >= length:
            return self._starts[name][:length]
        found = self._storage.read(RemoteFile(name, self._sizes[name]), start, length)
        if start == 0 and length <= SNIFFED_BYTES:
            self._starts[name] = found
        return found

    def open(self, name: str) -> IO[bytes]:
        """Return a file as a stream; one that lies elsewhere is fetched whole.

        Raises:
            DataError: it cannot be read.
        """
        if "://" in name:
            return BytesIO(self.read(name, 0, self._sizes[name]))
        try:
            return Path(name).open("rb")
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error
