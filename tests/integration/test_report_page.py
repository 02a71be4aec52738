"""The page of a report in a real browser: widths, scripts, themes, tables that sort."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from browser import needs_chromium, opened
from olmix.report import write_report
from sample_fit import NATURAL, write_sample_fit

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the page of a verified fit with long names and a hostile one."""
    folder = tmp_path_factory.mktemp("browser") / "fit" / "abc"
    names = {name: f"{name}-of-a-web-crawl:{'topic' * 6}:high" for name in list(NATURAL)[:2]}
    names["cpp"] = "<script>console.error('hostile')</script>"
    write_sample_fit(folder, num_runs=12, num_domains=5, num_metrics=3, rename=names)
    return write_report(folder, commands=("olmix fit " + "very/long/path/" * 20,))


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window_and_nothing_is_complained_about(page, width):
    with opened(page, width=width) as shown:
        assert shown.page.evaluate("document.documentElement.scrollWidth") == width
        assert shown.too_wide() == []
        assert shown.complaints == []
        assert shown.requests == []


def test_a_heading_sorts_its_table_up_and_then_down(page):
    with opened(page) as shown:
        shown.page.locator("nav a[href='#runs']").click()
        table = shown.page.locator("#runs table.sortable").first
        head = table.locator("thead th").last

        def column():
            cells = table.locator("tbody tr td:last-child")
            return [float(cell.get_attribute("data-v")) for cell in cells.all()]

        before = column()
        head.locator("button").click()
        up = column()
        assert up == sorted(up) != before
        assert head.get_attribute("aria-sort") == "ascending"
        head.locator("button").press("Enter")
        assert column() == up[::-1]
        assert head.get_attribute("aria-sort") == "descending"


def test_the_page_follows_the_reader_into_dark_mode(page):
    found = {}
    for dark in (False, True):
        with opened(page, dark=dark) as shown:
            style = "getComputedStyle(document.body)"
            paper, ink = (
                shown.page.evaluate(f"{style}.{key}") for key in ("backgroundColor", "color")
            )
            found[dark] = brightness(paper) - brightness(ink)
    assert found[False] > 0 > found[True]


def brightness(colour):
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1400])
def test_axe_finds_nothing_to_complain_about(page, width, dark):
    with opened(page, width=width, dark=dark) as shown:
        shown.page.evaluate(
            "document.querySelectorAll('details').forEach((one) => one.open = true)"
        )
        found = Axe().run(shown.page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"][:3]]) for one in found] == []


def test_a_link_opens_its_section_and_the_navigation_stays(page):
    with opened(page) as shown:
        runs = shown.page.locator("#runs > details")
        assert not runs.evaluate("one => one.open")
        shown.page.locator("nav a[href='#runs']").click()
        assert runs.evaluate("one => one.open")
        assert shown.page.locator("nav").bounding_box()["y"] >= 0


def test_what_does_not_scroll_is_no_tab_stop(page):
    with opened(page, width=1400) as shown:
        stops = shown.page.locator(".scroll[tabindex]:visible")
        assert all(
            one.evaluate("e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight")
            for one in stops.all()
        )
        assert stops.count() < shown.page.locator(".scroll:visible").count() / 2


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 2000)])
def test_the_first_screen_is_one_screen(page, width, height):
    with opened(page, width=width) as shown:
        box = shown.page.locator("#result").bounding_box()
        assert box["y"] + box["height"] < height
        assert box["x"] + box["width"] <= width


A4 = 718
"""Width of a page of A4 between the margins of the browser, CSS pixels."""


@pytest.mark.parametrize("many", [False, True])
def test_on_paper_nothing_is_cut_and_the_first_page_holds_the_result(page, tmp_path, many):
    if many:
        folder = tmp_path / "fit" / "abc"
        write_sample_fit(folder, num_runs=70, num_domains=40, num_metrics=30)
        page = write_report(folder, drawn="none")
    with opened(page, width=A4) as shown:
        shown.page.emulate_media(media="print")
        assert shown.page.evaluate("document.documentElement.scrollWidth") == A4
        box = shown.page.locator("#result").bounding_box()
        assert box["y"] + box["height"] < A4 * 297 / 210
        assert shown.page.get_by_text("do not fit on paper").first.is_visible() == many


def test_the_changes_of_other_metrics_are_read_whole_on_a_phone(page):
    with opened(page, width=390) as shown:
        cells = shown.page.locator(".costs tbody td:last-child")
        assert cells.count() > 0
        assert all(cell.evaluate("e => e.scrollWidth <= e.clientWidth") for cell in cells.all())
