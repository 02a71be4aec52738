"""Colours, markers and names."""

from __future__ import annotations

import pytest

from olmix.plotting import MIXTURE_COLOURS, law_colour, law_label, mixture_label
from olmix.plotting.palette import (
    INK,
    MIXTURE_LABELS,
    MIXTURE_LINES,
    MIXTURE_MARKERS,
    MUTED,
    PAPER,
    law_marker,
    mixture_colour,
)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = ((p / 12.92) if p <= 0.04 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [INK, MUTED])
def test_text_is_readable_on_paper(colour):
    assert contrast(colour, PAPER) >= 4.5


def test_mixtures_differ_by_colour_marker_and_line():
    for look in (MIXTURE_COLOURS, MIXTURE_MARKERS, MIXTURE_LINES, MIXTURE_LABELS):
        assert set(look) == set(MIXTURE_LABELS)
        assert len(set(look.values())) == len(look)


def test_known_laws_differ_by_colour_and_marker():
    laws = ("log_weight", "log_linear", "gp", "lightgbm")
    assert len({law_colour(law) for law in laws}) == len({law_marker(law) for law in laws}) == 4


def test_unknown_names_have_a_look_too():
    assert mixture_label("my_own") == "my own"
    assert mixture_label("__") == "mixture"
    assert mixture_colour("my_own").startswith("#")
    assert law_label("power_sum") == "power-sum"
    assert law_colour("power_sum", 0) != law_colour("robust", 1)
    assert law_marker("power_sum", 0) != law_marker("robust", 1)
