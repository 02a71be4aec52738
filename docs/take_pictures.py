"""Take every picture of the docs that shows a real run: the demo, its report, the tutorial's plots.

    make pictures                                  # about ten minutes on two cores
    python docs/take_pictures.py demo              # demo.svg and first_screen.png alone
    python docs/take_pictures.py tutorial          # plots/*.png alone

Needs Chromium. `make docs` draws the designs, `make screenshots` made-up reports of every kind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import record_demo
import take_plots
import take_screenshots

from olmix.text.yaml import parse_yaml, read_yaml, write_yaml

DOCS = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1100, 690
PARTS = ("demo", "tutorial")


def take_demo(folder: Path) -> None:
    """Record the demo in a folder, and take the first screen of the report that it ends with."""
    record_demo.main(["olmix", "quickstart"], folder)
    with take_screenshots.chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto((folder / "quickstart/fit/latest/report.html").resolve().as_uri())
        page.screenshot(path=DOCS / "pictures" / "first_screen.png")
        sys.stdout.write(f"{DOCS / 'pictures' / 'first_screen.png'}\n")


def take_tutorial(folder: Path) -> None:
    """Type the commands of the tutorial in a folder, up to its verification; take the plots."""
    (folder / "examples").symlink_to(DOCS.parent / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    study = folder / "study"
    for block in _blocks("bash"):
        where = study if study.is_dir() else folder
        subprocess.run(
            ["bash", "-ec", block], cwd=where, env={**os.environ, "PATH": path}, check=True
        )
        if "olmix collect" in block:
            wanted = {**read_yaml(study / "fit.yaml").data}
            for section, keys in parse_yaml(_blocks("yaml")[0], "tutorial.md").items():
                wanted[section] = {**wanted.get(section, {}), **keys}
            write_yaml(study / "fit.yaml", wanted)
        if "olmix verify" in block:
            break
    take_plots.main(study / "fit" / "latest")


def _blocks(language: str) -> list[str]:
    """Return the code blocks of the tutorial in one language, in order."""
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, flags=re.M | re.S)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, block in found]


def main(parts: list[str]) -> None:
    """Take the pictures of some parts, or of all."""
    for part in parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            {"demo": take_demo, "tutorial": take_tutorial}[part](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
