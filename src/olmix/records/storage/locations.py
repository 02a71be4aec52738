"""Where files lie: schemes, buckets and keys; and patterns with ``*``, ``?``, ``[..]`` and ``**``.

``*`` and ``?`` stay within one folder; ``**`` as a whole part of a path stands for any number of
folders, none included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from olmix.errors import DataError

__all__ = ["SCHEMES", "Location", "parse_location"]

SCHEMES = ("file", "s3", "weka", "gs", "r2", "http", "https")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Location:
    """A file or a pattern of files.

    Attributes:
        text: as it stands in the config.
        scheme: one of `SCHEMES`.
        bucket: bucket or host; empty for local files.
        key: path within the bucket, or the local path.
    """

    text: str
    scheme: str
    bucket: str
    key: str

    @property
    def is_pattern(self) -> bool:
        """Whether it may stand for several files."""
        return _MAGIC.search(self.key) is not None

    @property
    def prefix(self) -> str:
        """The folders that every matching key begins with, ending with a slash unless empty."""
        found = _MAGIC.search(self.key)
        fixed = self.key if found is None else self.key[: found.start()]
        return fixed[: fixed.rfind("/") + 1]

    def url(self, key: str) -> str:
        """Return a key of this bucket as a URL."""
        return f"{self.scheme}://{self.bucket}/{key}"

    def expression(self) -> re.Pattern[str]:
        """Return the pattern as a regular expression for whole keys."""
        parts = self.key.split("/")
        text = ""
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            if part == "**":
                text += ".*" if last else "(?:[^/]+/)*"
            else:
                text += _translate(part) + ("" if last else "/")
        return re.compile(text, re.DOTALL)


def _translate(part: str) -> str:
    """Return one part of a pattern as a regular expression."""
    text, position = "", 0
    while position < len(part):
        character = part[position]
        position += 1
        if character == "*":
            text += "[^/]*"
        elif character == "?":
            text += "[^/]"
        elif character == "[" and "]" in part[position + 1 :]:
            end = part.index("]", position + 1)
            inner = part[position:end].replace("\\", "\\\\")
            text += f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            position = end + 1
        else:
            text += re.escape(character)
    return text


def parse_location(text: str) -> Location:
    """Read a path or URL.

    Raises:
        DataError: the scheme is unknown, or the bucket or the path is missing.
    """
    found = _URL.fullmatch(text)
    if found is None:
        return Location(text, "file", "", text)
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        raise DataError(f"{text}: the scheme {scheme}:// is not known; known: {', '.join(SCHEMES)}")
    if scheme == "file":
        return Location(text, "file", "", "/" + found[2].lstrip("/"))
    bucket, slash, key = found[2].partition("/")
    if not bucket or not slash or not key:
        raise DataError(
            f"{text}: a bucket and a path are needed, such as {scheme}://bucket/a/*.npy"
        )
    return Location(text, scheme, bucket, key)
