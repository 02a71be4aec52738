"""Takes pictures of the report's first screen: every kind of result, three widths, dark, on paper.

    make screenshots            # pictures in build/screenshots

Needs Chromium. The fits are made up, so the numbers mean nothing; look at the layout.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from olmix.report import write_report  # noqa: E402
from sample_fit import edit_json, write_sample_fit  # noqa: E402


@dataclass(frozen=True)
class Case:
    """A page, and how it is looked at."""

    make: Callable[[Path], Path]
    width: int = 1400
    height: int = 900
    dark: bool = False
    paper: bool = False


def good(folder: Path) -> Path:
    return write_sample_fit(folder)


def predicted(folder: Path) -> Path:
    return write_sample_fit(folder, verified=False)


def null(folder: Path) -> Path:
    write_sample_fit(folder)
    changes = {"mean": 0.004, "low": -0.012, "high": 0.02}
    edit_json(
        folder / "verification.json",
        **{f"gains/natural/{key}": value for key, value in changes.items()},
        statement="No gain over natural was shown: 0.004 ± 0.007 bits per byte.",
    )
    return folder


def no_signal(folder: Path) -> Path:
    return write_sample_fit(folder, reliable=False, verified=False)


def worst(folder: Path) -> Path:
    write_sample_fit(folder, verified=False)
    edit_json(folder / "proposal.json", worst=True)
    return folder


def many_metrics(folder: Path) -> Path:
    return write_sample_fit(folder, num_metrics=110)


def many_domains(folder: Path) -> Path:
    return write_sample_fit(folder, num_runs=40, num_domains=64)


CASES = {
    "good": Case(good),
    "predicted": Case(predicted),
    "null": Case(null),
    "no_signal": Case(no_signal),
    "worst": Case(worst),
    "metrics_110": Case(many_metrics),
    "domains_64": Case(many_domains),
    "phone": Case(good, 390, 844),
    "tablet": Case(good, 820, 1180),
    "dark": Case(good, dark=True),
    "print": Case(good, paper=True),
}


def main(target: Path) -> None:
    """Write a picture of every case, and a PDF of the one on paper."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    browser_path = next((path for path in map(shutil.which, names) if path), None)
    if browser_path is None:
        raise SystemExit("Chromium is needed: apt-get install chromium")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        pages: dict[Callable[[Path], Path], Path] = {}
        for name, case in CASES.items():
            if case.make not in pages:
                pages[case.make] = write_report(case.make(Path(place) / name / "fit" / "abc"))
            page = browser.new_page(
                viewport={"width": case.width, "height": case.height},
                color_scheme="dark" if case.dark else "light",
            )
            page.goto(pages[case.make].as_uri())
            if case.paper:
                page.emulate_media(media="print")
                page.pdf(path=target / f"{name}.pdf", format="A4")
            page.screenshot(path=target / f"{name}.png")
            print(target / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "screenshots")
