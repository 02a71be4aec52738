"""A real browser for pages: the Chromium of the machine, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = next((path for path in map(shutil.which, _NAMES) if path), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium: apt-get install chromium"
)


class Opened:
    """A page, with what the browser said and asked for while it was open.

    Attributes:
        page: Playwright's page.
        complaints: errors and console messages.
        requests: addresses that were asked for, beside the page itself.
    """

    def __init__(self, page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def too_wide(self) -> list[str]:
        """Return elements that reach out of the window, but for those inside of scrollers."""
        return self.page.evaluate(
            """() => [...document.body.querySelectorAll("*")]
                .filter((one) => !(one.parentElement ?? one)
                    .closest(".scroll, pre, svg, .bar, .costs th, nav"))
                .filter((one) => one.getBoundingClientRect().right
                    > document.documentElement.clientWidth + 1)
                .map((one) => one.tagName + "." + one.getAttribute("class"))"""
        )


@contextmanager
def opened(path, *, width: int = 1280, dark: bool = False) -> Iterator[Opened]:
    """Open a page of the file system."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        found = Opened(page)
        page.goto(path.as_uri())
        found.requests = found.requests[1:]
        yield found
        browser.close()
