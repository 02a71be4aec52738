"""Training curves."""

from __future__ import annotations

import math

import pytest

from olmix.plotting import best_so_far, training_curves


@pytest.mark.parametrize(
    ("most", "word"),
    [(500, "tokens"), (5e4, "thousand"), (5e6, "million"), (5e9, "billion"), (0, "tokens")],
)
def test_tokens_are_counted_in_a_fitting_unit(ax, most, word):
    training_curves(ax, {"a": ([0, most], [3.0, 2.0])})
    assert ax.get_xlabel().startswith(word)
    assert "nats per token" in ax.get_ylabel()


def test_named_runs_differ_by_line_style_and_not_by_colour_alone(ax):
    curves = {run: ([1, 2], [3.0, 2.0]) for run in "abc"}
    training_curves(ax, curves, {"natural": "a", "best_seen": "b", "uniform": "gone"})
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["other runs", "natural", "best seen"]
    styles = {line.get_linestyle() for line in ax.get_legend().legend_handles[1:]}
    assert len(styles) == 2


@pytest.mark.parametrize(
    "curves", [{}, {"a": ([], [])}, {"a": ([1, 2], [math.nan] * 2)}, {"a": ([math.nan], [1.0])}]
)
def test_without_losses_the_figure_says_so(ax, curves):
    assert training_curves(ax, curves).texts[0].get_text() == "no losses were logged"


@pytest.mark.parametrize(("lower", "best"), [(True, [3, 2, 2, 1]), (False, [3, 3, 4, 4])])
def test_the_best_so_far_never_gets_worse(ax, lower, best):
    marked = {"natural": 2.5}
    best_so_far(ax, [3, 2, 4, 1], lower_is_better=lower, label="loss", costs="abcd", marked=marked)
    assert ax.lines[1].get_ydata().tolist() == best
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1\na", "2\nb", "3\nc", "4\nd"]
    assert "cost so far" in ax.get_xlabel()
    assert ("lower" if lower else "higher") in ax.get_ylabel()


def test_runs_that_failed_are_passed_over(ax):
    best_so_far(ax, [math.nan, 2.0, math.nan], lower_is_better=True, label="loss")
    assert ax.lines[1].get_ydata()[1:].tolist() == [2, 2]
    assert ax.get_xlabel() == "runs"
