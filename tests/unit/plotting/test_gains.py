"""Gains as predicted and as measured."""

from __future__ import annotations

import math

import pytest

from olmix.plotting import GainBar, gain_bars, verification_dots

NAN = math.nan


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_every_seed_and_every_mean_with_its_error_are_drawn(ax):
    values = {"natural": [2.0, 2.2], "proposed": [1.0, 1.2]}
    verification_dots(ax, values, metric="loss", unit="nats")
    assert texts(ax) == ["2.1000 ± 0.1000", "1.1000 ± 0.1000"]
    assert "loss in nats" in ax.get_xlabel()
    assert "lower is better" in ax.get_xlabel()


def test_the_direction_of_the_metric_is_said(ax):
    verification_dots(ax, {"natural": [0.2]}, metric="accuracy", lower_is_better=False)
    assert "higher is better →" in ax.get_xlabel()


def test_one_seed_has_no_error(ax):
    verification_dots(ax, {"natural": [2.0], "proposed": [1.0]}, metric="loss")
    assert texts(ax) == ["2.0000", "1.0000"]


@pytest.mark.parametrize("values", [{}, {"natural": []}, {"natural": [NAN, NAN]}])
def test_without_measurements_the_figure_says_so(ax, values):
    assert texts(verification_dots(ax, values, metric="loss")) == ["nothing was measured"]


def test_a_seed_that_failed_is_left_out_of_the_mean(ax):
    verification_dots(ax, {"natural": [2.0, NAN, 2.0], "proposed": [NAN] * 3}, metric="$x_1$")
    assert texts(ax) == ["2.0000 ± 0.0000"]


def test_predicted_and_measured_gains_stand_beside_each_other(ax):
    predicted = {"natural": GainBar(0.2, 0.1, 0.3), "uniform": GainBar(-0.1, -0.2, 0.0)}
    gain_bars(ax, predicted, {"natural": GainBar(0.15, 0.1, 0.2)}, unit="bits per byte")
    assert texts(ax) == ["+0.200", "−0.100", "+0.150"]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["predicted, 90 % interval", "measured, 90 % interval"]
    assert ax.get_xlim()[0] < -0.2
    assert "bits per byte" in ax.get_xlabel()


@pytest.mark.parametrize("gain", [GainBar(NAN, NAN, NAN), GainBar(0, 0, 0), GainBar(1, NAN, NAN)])
def test_odd_gains_are_drawn(ax, gain):
    gain_bars(ax, {"natural": gain})


def test_no_gains_are_said(ax):
    assert texts(gain_bars(ax, {})) == ["no gains"]
