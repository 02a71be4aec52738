"""Build the site from the pages of docs/, with every warning an error. Run by `make site`.

    python docs/build_site.py [FOLDER]        # the site is FOLDER/site, by default build/site
    python -m http.server -d build/site       # pages open as files too, but search needs a server

The pages are those that a repository shows. What they link to outside of docs/ (a config, an
example, a schema) becomes a page of its own, so that no link of the site leads nowhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
_LINK = re.compile(r"(?<=\]\()(\.\.?/[^)#\s]+|[A-Za-z0-9_][^):#\s]*)(?=[)#])")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".toml": "toml", ".csv": "text"}
_ALWAYS = ("CHANGELOG.md",)
"""Files outside of docs/ that the navigation names."""


def build(folder: Path) -> Path:
    """Build the site below a folder and return the site's own.

    Raises:
        SystemExit: the builder warned, or failed; it has said why.
    """
    pages = folder / "pages"
    for old in (pages, folder / "site"):
        shutil.rmtree(old, ignore_errors=True)
    pages.mkdir(parents=True)
    shutil.copy(DOCS / "zensical.toml", folder)
    write_pages(pages)
    words = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(
        [*words, "--config-file", str(folder / "zensical.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    if done.returncode != 0:
        sys.exit(done.stdout)
    return folder / "site"


def write_pages(pages: Path) -> None:
    """Copy docs/ to a folder, with a page for each file elsewhere that it links to."""
    outside = {ROOT / name for name in _ALWAYS}
    for file in sorted(DOCS.rglob("*")):
        place = pages / file.relative_to(DOCS)
        if file.suffix == ".md":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(_with_links(file, outside), encoding="utf-8")
        elif file.suffix in (".svg", ".png", ".css", ".html"):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    for file in sorted(outside):
        place = pages / _page_of(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_shown(file), encoding="utf-8")


def _with_links(file: Path, outside: set[Path]) -> str:
    """Return a page whose links out of docs/ lead to the pages of these files, which it notes."""
    here = file.parent

    def replaced(match: re.Match[str]) -> str:
        target = (here / match[0]).resolve()
        if target.is_relative_to(DOCS) or not target.exists():
            return match[0]
        outside.add(target)
        return os.path.relpath(DOCS / _page_of(target), here)

    return _LINK.sub(replaced, file.read_text(encoding="utf-8"))


def _page_of(file: Path) -> Path:
    """Return where the page of a file outside of docs/ lies."""
    path = Path("source", file.relative_to(ROOT))
    return path if path.suffix == ".md" else path.with_name(f"{path.name}.md")


def _shown(file: Path) -> str:
    """Return the page of a file, or of a folder with all its files."""
    if file.suffix == ".md":
        text = file.read_text(encoding="utf-8")
        return _LINK.sub(lambda match: match[0].replace("docs/", "../", 1), text)
    name = str(file.relative_to(ROOT))
    if file.is_file():
        return f"# {name}\n\n{_code(file)}"
    files = sorted(one for one in file.rglob("*") if one.suffix in _LANGUAGES)
    parts = [f"## {one.relative_to(file)}\n\n{_code(one)}" for one in files]
    return "\n".join([f"# {name}\n", *parts])


def _code(file: Path) -> str:
    text = file.read_text(encoding="utf-8").rstrip("\n")
    return f"````{_LANGUAGES.get(file.suffix, 'text')}\n{text}\n````\n"


if __name__ == "__main__":
    site = build(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build")
    sys.stdout.write(f"{site / 'index.html'}\n")
