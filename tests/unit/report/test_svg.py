"""Figures as SVG inside a page."""

from __future__ import annotations

import re

from olmix.plotting import mixture_bars, new_figure, style
from olmix.report.svg import inline_svg, png_bytes


def drawn(mixtures, alt="words", name="f0"):
    with style():
        figure, ax = new_figure(2, 1)
        mixture_bars(ax, mixtures)
        return inline_svg(figure, alt, name), png_bytes(figure)


def test_colours_of_the_palette_follow_the_page():
    svg = drawn({"natural": {"a": 1.0}})[0].svg
    assert "var(--natural)" in svg
    assert "var(--ink)" in svg
    assert "#767c84" not in svg


def test_text_stays_text_even_if_it_looks_like_markup_or_a_colour():
    name = '#767c84 id="x" <b> &'
    svg = drawn({"natural": {name: 1.0}})[0].svg
    assert '#767c84 id="x" &lt;b&gt; &amp;</text>' in svg


def test_what_the_figure_shows_is_said_in_words():
    svg = drawn({"natural": {"a": 1.0}}, alt='"quoted" <b>')[0].svg
    assert 'role="img" aria-label="&quot;quoted&quot; &lt;b&gt;"' in svg


def test_ids_of_two_figures_differ_and_references_hold():
    first, second = (drawn({"natural": {"a": 1.0}}, name=n)[0].svg for n in ("f0", "f1"))
    ids = set(re.findall(r'\bid="([^"]+)"', first))
    assert ids
    assert not ids & set(re.findall(r'\bid="([^"]+)"', second))
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', first)) <= ids


def test_no_address_and_no_date_is_left():
    assert "http" not in drawn({"natural": {"a": 1.0}})[0].svg


def test_the_same_figure_is_the_same_bytes():
    assert drawn({"natural": {"a": 1.0}}) == drawn({"natural": {"a": 1.0}})
