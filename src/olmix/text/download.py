"""Text at an address: of limited size, in limited time, and never from anywhere but the web."""

from __future__ import annotations

import time
from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from olmix.errors import DataError

__all__ = ["download"]

MOST_BYTES = 1 << 28
"""Largest text that is taken; a table of 10,000 runs and 1,000 columns has less."""
SILENCE_S, WHOLE_S = 30.0, 300.0
"""Seconds without an answer, and for all of it."""
_BLOCK = 1 << 20
_WEB = ("http", "https")


class _StaysOnTheWeb(HTTPRedirectHandler):
    """Follows redirections to web addresses only; Python's own would go to FTP too."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in _WEB:
            raise URLError(f"it redirects to {newurl}, which is not a web address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(address: str) -> str:
    """Return the UTF-8 text at a web address.

    Raises:
        DataError: it cannot be read, is larger than `MOST_BYTES`, or takes too long; the message
            says how to do without a network.
    """
    content = bytearray()
    end = time.monotonic() + WHOLE_S
    try:
        with build_opener(_StaysOnTheWeb).open(address, timeout=SILENCE_S) as answer:
            while block := answer.read1(_BLOCK):
                content += block
                if len(content) > MOST_BYTES:
                    raise URLError(f"it is larger than {MOST_BYTES:,} bytes")
                if time.monotonic() > end:
                    raise URLError(f"it takes longer than {WHOLE_S:g} s")
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        if isinstance(error, HTTPError):
            error.close()
        raise DataError(
            f"{address}: cannot be downloaded: {reason}.\n  Without a network, download the file "
            "elsewhere and give its path instead"
        ) from error
