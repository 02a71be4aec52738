"""Numbers as readers see them."""

from __future__ import annotations

import math

import pytest

from olmix.text import numbers as words

NAN = math.nan


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (words.fixed(-1.23456, 2), "−1.23"),
        (words.fixed(-0.0), "0.000"),
        (words.fixed(math.inf), "–"),
        (words.signed(0.5), "+0.500"),
        (words.signed(NAN), "–"),
        (words.signed(0.00041), "+0.00041"),
        (words.signed(-1.9e-13), "−1.9e−13"),
        (words.fixed(1.9e-13, 3), "0.000"),
        (words.with_interval(0.00021, 0.0001, 0.00032), "+0.00021 (+0.00010 to +0.00032)"),
        (words.interval(2e-9, 3e-9), "+2e−09 to +3e−09"),
        (words.with_error(0.1964, 0.0091), "0.196 ± 0.009"),
        (words.with_error(0.19641, 0.00009, sign=True), "+0.196410 ± 0.000090"),
        (words.with_error(1.0, NAN), "1.000"),
        (words.with_error(12345.6, 250.0), "12346 ± 250"),
        (words.interval(-0.1, 0.2), "−0.100 to +0.200"),
        (words.interval(NAN, 0.2), "–"),
        (words.percent(0.1234), "12.3 %"),
        (words.points(-0.125), "−12.5"),
        (words.p_value(0.0), "< 0.0001"),
        (words.p_value(0.0318), "0.032"),
        (words.count(1234567), "1,234,567"),
        (words.counted(1, "run"), "1 run"),
        (words.per_cent(0.9), "90 %"),
        (words.per_cent(0.07), "7 %"),
        (words.significant(-0.12345), "−0.123"),
        (
            words.gain_of("0.21", "bits per byte", "lower"),
            "gain of 0.21 bits per byte (lower is better)",
        ),
        (words.gain_of("0.05", "", "higher"), "gain of 0.05 (higher is better)"),
        (words.gain_of("0.05"), "gain of 0.05 (positive is better)"),
        (words.counted(0, "run"), "0 runs"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed([]), ""),
    ],
)
def test_numbers_are_shown_as_a_reader_expects(found, shown):
    assert found == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "more than 99.9 %"),
        (0.99951, "more than 99.9 %"),
        (0.999, "99.9 %"),
        (0.9964, "99.6 %"),
        (0.95, "95 %"),
        (0.5, "50 %"),
        (0.0049, "0.5 %"),
        (0.004, "0.4 %"),
        (0.0, "less than 0.1 %"),
    ],
)
def test_nothing_is_certain(value, shown):
    assert words.probability(value) == shown


def test_no_probability_reads_as_100_or_0_per_cent():
    for step in range(5001):
        assert not words.probability(step / 5000).startswith(("100", "0.0 ", "0 "))
