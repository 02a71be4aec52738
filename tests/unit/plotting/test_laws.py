"""Predictions beside measurements, scores of laws, effects of domains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from olmix.plotting import interaction_heat, law_scores, predicted_against_measured

NAN = math.nan


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_both_axes_have_one_scale(ax):
    measured = np.linspace(1, 2, 12)
    predicted_against_measured(ax, measured, measured + 0.1, measured - 0.2, unit="bits per byte")
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_xlabel() == "measured (bits per byte)"
    assert legend(ax) == ["held out", "fitted"]


def test_named_runs_differ_by_marker_and_not_by_colour_alone(ax):
    measured = np.arange(5.0)
    named = {"natural": 0, "uniform": 1, "best_seen": 2}
    predicted_against_measured(ax, measured, measured, measured, named=named)
    handles = ax.get_legend().legend_handles[2:]
    assert len({handle.get_marker() for handle in handles}) == 3
    assert legend(ax)[2:] == ["natural", "uniform", "best seen"]


def test_a_named_run_that_was_not_measured_is_left_out(ax):
    values = np.array([NAN, 1.0, 2.0])
    predicted_against_measured(ax, values, values, values, named={"natural": 0})
    assert legend(ax) == ["held out", "fitted"]


@pytest.mark.parametrize(
    "values", [[], [NAN, NAN], [1.0], [0.0, 0.0], [1e-9, 2e-9], [-1e9, 1e9], [1.0, NAN, 2.0]]
)
def test_odd_measurements_are_drawn_or_said_to_be_missing(ax, values):
    predicted_against_measured(ax, values, values, values)


def test_the_chosen_law_is_filled_and_laws_differ_by_marker(ax):
    scores = {
        "a": {"log_linear": 0.9, "log_weight": 0.8},
        "b": {"log_linear": NAN, "new_law": -0.2},
    }
    law_scores(ax, scores, {"a": "log_linear", "b": "new_law"})
    assert legend(ax) == ["log-linear", "log-weight", "new-law", "filled: chosen"]
    markers = {handle.get_marker() for handle in ax.get_legend().legend_handles[:3]}
    assert len(markers) == 3
    filled = [line for line in ax.lines if line.get_marker() != "None"]
    filled = [line for line in filled if line.get_markerfacecolor() != "none"]
    assert len(filled) == 2


@pytest.mark.parametrize("score", ["spearman", "pearson", "r2", "rmse"])
def test_every_score_says_which_direction_is_good(ax, score):
    law_scores(ax, {"a": {"x": 0.5}}, {"a": "x"}, score=score, unit="bits per byte")
    better = "lower is better" if score == "rmse" else "1 is perfect"
    assert better in ax.get_xlabel()
    assert ("bits per byte" in ax.get_xlabel()) == (score == "rmse")


def test_30_metrics_without_a_single_score_are_drawn(ax):
    law_scores(ax, {f"m{i}": {"x": NAN} for i in range(30)}, {})
    assert len(ax.get_yticks()) == 30


def test_without_laws_the_figure_says_so(ax):
    assert law_scores(ax, {}, {}).texts[0].get_text() == "no law was fitted"


def test_blue_helps_whatever_the_direction_of_the_metric(ax):
    interaction_heat(ax, [[1.0], [1.0]], ["loss", "accuracy"], ["a"], lower_is_better=[True, False])
    mesh = ax.collections[0]
    assert mesh.get_array().ravel().tolist() == [1.0, -1.0]
    assert [text.get_text() for text in ax.texts] == ["+1.00", "+1.00"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (30, 7), (30, 80)])
def test_effects_of_any_number_of_domains_and_metrics_are_drawn(ax, shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    matrix[0, 0] = NAN
    rows, columns = [[f"name-{i}-{'y' * 50}" for i in range(n)] for n in shape]
    interaction_heat(ax, matrix, rows, columns)


@pytest.mark.parametrize("value", [0.0, NAN, 1e-12, 1e6])
def test_effects_of_any_size_are_drawn(ax, value):
    interaction_heat(ax, [[value, value]], ["m"], ["a", "b"])


def test_no_effects_are_said(ax):
    assert interaction_heat(ax, np.zeros((0, 0)), [], []).texts[0].get_text() == "no effects"
