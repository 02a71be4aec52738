"""The site: no warnings, links that lead somewhere, and derived pages that are current."""

import runpy
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def configs():
    return runpy.run_path(str(DOCS / "write_configs.py"))


def test_the_page_of_config_keys_is_that_of_the_models(configs):
    assert (DOCS / "configs.md").read_text(encoding="utf-8") == configs["render"](), (
        "run `make docs`"
    )


def test_every_example_of_a_config_key_is_one_that_the_key_may_have(configs):
    checked, unknown = 0, dict(configs["given_examples"]())
    for name, model in configs["config_models"]().items():
        tree = configs["compose"]([]) if name == "grpo" else {}
        for path, section in configs["sections"](model):
            schema = section.model_json_schema()["properties"]
            below = configs["_at"](tree, path)
            for key, field in section.model_fields.items():
                if configs["_models_in"](field):
                    continue
                written = configs["written"](key, field)
                default = below.get(written, None if field.is_required() else field.default)
                value = configs["example"](section, key, schema[written], default)
                assert configs["is_taken"](section, key, value), (
                    f"{section.__name__}.{key}: {value}"
                )
                unknown.pop(f"{section.__name__}.{key}", unknown.pop(key, None))
                checked += 1
    assert checked > 400
    assert not unknown, "examples of keys that no config has"


def test_the_glossary_is_that_of_the_report():
    render = runpy.run_path(str(DOCS / "write_glossary.py"))["render"]
    assert (DOCS / "glossary.md").read_text(encoding="utf-8") == render(), "run `make docs`"


class _Page(HTMLParser):
    """What a page holds: anchors, links to follow, and what it loads by itself."""

    def __init__(self, file):
        super().__init__()
        self.anchors, self.links, self.loaded = {""}, [], []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors.update(found[key] for key in ("id", "name") if found.get(key))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag in ("img", "script") and "src" in found:
            self.loaded.append(found["src"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon"):
            self.loaded.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return runpy.run_path(str(DOCS / "build_site.py"))["build"](tmp_path_factory.mktemp("build"))


def test_every_link_of_the_site_leads_somewhere_and_no_page_asks_another_server(site):
    # 404.html may be shown at any depth: its links begin at the root of a server.
    files = [file for file in site.resolve().rglob("*.html") if file.name != "404.html"]
    pages = {file: _Page(file) for file in files}
    assert len(pages) > 50
    wrong = []
    for file, page in pages.items():
        for link in [*page.links, *page.loaded]:
            if "://" in link or link.startswith(("mailto:", "data:")):
                if link in page.loaded:
                    wrong.append(f"{file.name} loads {link}")
                continue
            path, anchor = urldefrag(link)
            target = (file.parent / unquote(path)).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            there = pages.get(target)
            if not target.exists() or (anchor and there and unquote(anchor) not in there.anchors):
                wrong.append(f"{file.relative_to(site)}: {link}")
    assert not wrong, "\n".join(wrong)


def test_every_page_of_docs_can_be_reached_from_the_navigation(site):
    """Each page is in the navigation; decisions are in their own list."""
    linked = set()
    for name in ("index.html", "decisions/index.html"):
        file = site / name
        for link in _Page(file).links:
            if "://" not in link:
                linked.add((file.parent / unquote(urldefrag(link)[0])).resolve())
    pages = {file.relative_to(DOCS).with_suffix(".html") for file in DOCS.rglob("*.md")}
    assert not {str(page) for page in pages if (site / page).resolve() not in linked}
