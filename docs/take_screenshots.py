"""Takes pictures of the report's first screen: every kind of result, three widths, dark, on paper.

    make screenshots            # pictures in build/screenshots

Needs Chromium. The fits are made up, so the numbers mean nothing; look at the layout.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from olmix.records.fit.report_notes import ReportNotes  # noqa: E402
from olmix.records.typed_json import write_record  # noqa: E402
from olmix.report import write_report  # noqa: E402
from sample_fit import edit_json, write_sample_fit  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@dataclass(frozen=True)
class Case:
    """A page, and how it is looked at.

    Attributes:
        fit: how the made-up fit differs from the usual one.
        edits: entries of its files that are changed.
        width: of the window, in pixels.
        height: of the window.
        dark: whether the reader's system is dark.
        paper: whether it is printed.
    """

    fit: Mapping[str, Any] = field(default_factory=dict)
    edits: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    width: int = 1400
    height: int = 900
    dark: bool = False
    paper: bool = False


_NO_GAIN = {
    "gains/natural/mean": 0.004,
    "gains/natural/low": -0.012,
    "gains/natural/high": 0.02,
    "statement": "The proposed mixture is not distinguishable from natural (gain of +0.004 ± 0.008 "
    "bits per byte).",
}
_WORST = {
    "worst": True,
    **{f"gains/natural/{key}": -gain for key, gain in (("mean", 0.191), ("low", 0.211))},
    "gains/natural/high": -0.171,
    "gains/natural/probability": 0.001,
    "statement": "The worst mixture, as make_worst_mix asks, is predicted to be worse than natural "
    "by 0.191 bits per byte (90 % interval 0.171 to 0.211).",
}
_FACTS = {"Launched": "27 Nov 2026 by mara", "Trained": "8.95M tokens · 4 min"}
CASES = {
    "good": Case(),
    "predicted": Case({"verified": False}),
    "null": Case(edits={"verification.json": _NO_GAIN}),
    "no_signal": Case({"verified": False, "reliable": False}),
    "worst": Case({"verified": False}, {"proposal.json": _WORST}),
    "metrics_110": Case({"num_metrics": 110}),
    "domains_64": Case({"num_domains": 64, "num_runs": 40}),
    "phone": Case(width=390, height=844),
    "tablet": Case(width=820, height=1180),
    "dark": Case(dark=True),
    "print": Case(paper=True),
}


def write_page(name: str, case: Case, folder: Path) -> Path:
    """Write the made-up fit of a case into a folder, and its report."""
    write_sample_fit(folder, **case.fit)
    for file, changes in case.edits.items():
        edit_json(folder / file, **changes)
    write_record(folder / "report.json", ReportNotes(facts=_FACTS))
    # The figures stand below the first screen, and take most of the time.
    return write_report(folder, title=name.replace("_", " "), drawn="none")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium for the length of a `with` block.

    Raises:
        SystemExit: there is none.
    """
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    browser_path = next((path for path in map(shutil.which, names) if path), None)
    if browser_path is None:
        raise SystemExit("Chromium is needed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


def main(target: Path) -> None:
    """Write a picture of every case, and a PDF of the one on paper."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        for name, case in CASES.items():
            file = write_page(name, case, Path(place) / name / "fit" / "abc")
            page = browser.new_page(
                viewport={"width": case.width, "height": case.height},
                color_scheme="dark" if case.dark else "light",
            )
            page.goto(file.as_uri())
            if case.paper:
                page.emulate_media(media="print")
                page.pdf(path=target / f"{name}.pdf", format="A4")
            page.screenshot(path=target / f"{name}.png")
            sys.stdout.write(f"{target / name}.png\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "screenshots")
