"""The page of a report in a real browser: widths, scripts, themes, tables that sort.

A copy of the page gets a script that measures it from inside. It is shown in a frame, because
windows have a least width, and the frame's page writes down what the script says; the browser
prints that page as it is then. So the browser is all that is needed.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest

from olmix.report import write_report
from sample_fit import NATURAL, write_sample_fit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((path for path in map(shutil.which, NAMES) if path), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs chromium: apt-get install chromium"),
]

PROBE = """
<script>
window.addEventListener("load", () => {
  const table = document.querySelector("#runs table.sortable");
  const column = (index) => [...table.tBodies[0].rows].map((row) => row.cells[index].dataset.v);
  const heads = [...table.tHead.rows[0].cells];
  const last = heads.length - 1;
  const before = column(last);
  heads[last].querySelector("button").click();
  const up = column(last), stateUp = heads[last].getAttribute("aria-sort");
  heads[last].querySelector("button").click();
  const down = column(last), stateDown = heads[last].getAttribute("aria-sort");
  const page = document.documentElement;
  const inside = (element) => element.closest(".scroll, pre") !== null;
  const wide = [...document.body.querySelectorAll("*")]
    .filter((element) => !inside(element.parentElement ?? element))
    .filter((element) => element.getBoundingClientRect().right > page.clientWidth + 1)
    .map((element) => element.tagName + "." + element.getAttribute("class"));
  parent.postMessage(JSON.stringify({
    width: page.clientWidth, content: page.scrollWidth, wide,
    before, up, down, stateUp, stateDown,
    paper: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
    requests: performance.getEntriesByType("resource").length,
  }), "*");
});
</script>
"""
FRAME = """<!doctype html><meta charset="utf-8"><title>frame</title><pre id="probe"></pre>
<script>addEventListener("message", (event) => { probe.textContent = event.data; });</script>
<iframe src="probe.html" width="WIDTH" height="900" style="border: 0"></iframe>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the page of a verified fit with long names, with the probe in it."""
    folder = tmp_path_factory.mktemp("browser") / "fit" / "abc"
    names = {name: f"{name}-of-a-web-crawl:{'topic' * 6}:high" for name in list(NATURAL)[:2]}
    names["cpp"] = "<script>console.error('hostile')</script>"
    write_sample_fit(folder, num_runs=12, num_domains=5, num_metrics=3, rename=names)
    text = write_report(folder, commands=("olmix fit " + "very/long/path/" * 20,)).read_text()
    copy = folder / "probe.html"
    copy.write_text(text.replace("</body>", f"{PROBE}</body>"))
    return copy


def probe(page, *options, width=1280):
    """Open the page and return what the probe found, and what the browser logged."""
    frame = page.with_name(f"frame-{width}.html")
    frame.write_text(FRAME.replace("WIDTH", str(width)))
    profile = page.with_name(f"profile-{width}-{len(options)}")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        f"--user-data-dir={profile}",
        "--window-size=1400,1000",
        "--virtual-time-budget=4000",
        *options,
        "--dump-dom",
        frame.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-500:] + done.stderr[-500:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found.group(1))), console


@pytest.fixture(scope="module")
def desktop(page):
    return probe(page)


@pytest.fixture(scope="module")
def phone(page):
    return probe(page, width=360)


def test_the_browser_has_nothing_to_complain_about(desktop, phone):
    assert desktop[1] == phone[1] == []


def test_the_page_asks_for_nothing_else(desktop):
    assert desktop[0]["requests"] == 0


def test_nothing_is_wider_than_a_phone(phone):
    found = phone[0]
    assert found["width"] == 360
    assert found["content"] == 360
    assert found["wide"] == []


def test_nothing_is_wider_than_a_desktop_window(desktop):
    found = desktop[0]
    assert found["content"] == found["width"]
    assert found["wide"] == []


def test_a_heading_sorts_its_table_up_and_then_down(desktop):
    found = desktop[0]
    up = [float(value) for value in found["up"]]
    assert up == sorted(up)
    assert [float(value) for value in found["down"]] == up[::-1]
    assert found["before"] not in (found["up"], found["down"])
    assert (found["stateUp"], found["stateDown"]) == ("ascending", "descending")


def test_the_page_follows_the_reader_into_dark_mode(page, desktop):
    dark, console = probe(page, "--blink-settings=preferredColorScheme=0")
    assert console == []
    assert brightness(desktop[0]["paper"]) > brightness(desktop[0]["ink"])
    assert brightness(dark["paper"]) < brightness(dark["ink"])


def brightness(colour):
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3])
