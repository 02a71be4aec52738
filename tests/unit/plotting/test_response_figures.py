import numpy as np
import pytest

from olmix.plotting import (
    calibration_curve,
    new_figure,
    pareto_points,
    response_curves,
    ternary_response,
)

pytest.importorskip("matplotlib")


@pytest.fixture
def ax():
    return new_figure(3, 2)[1]


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_domains_that_change_a_metric_most_have_curves(ax):
    weights = np.linspace(0, 1, 9)
    curves = {f"d{i}": (weights, 2 + i * weights) for i in range(10)}
    response_curves(ax, curves, {"d9": 0.5}, label="loss")
    assert words(ax) == [f"d{i}" for i in (9, 8, 7, 6, 5, 4, 3)]
    assert ax.get_ylim()[1] >= 11
    marks = [line.get_xydata()[0].tolist() for line in ax.lines if line.get_marker() == "D"]
    assert marks == [[50.0, 6.5]]


def test_a_triangle_shows_the_metric_and_named_mixtures_at_their_shares(ax):
    steps = [(i, j, 6 - i - j) for i in range(7) for j in range(7 - i)]
    weights = np.array(steps) / 6
    marked = {"natural": [1, 0, 0], "proposed": [0, 0, 1]}
    ternary_response(ax, weights, weights @ [1.0, 2.0, 3.0], "abc", marked, label="loss")
    assert words(ax) == ["natural", "proposed"]
    assert {text.get_text().strip() for text in ax.texts} >= {"a", "b", "c"}
    places = [line.get_xydata()[0] for line in ax.lines if line.get_marker() in "oD"]
    np.testing.assert_allclose(places, [[0, 0], [0.5, np.sqrt(3) / 2]], atol=1e-12)


def test_a_front_of_two_families_is_joined_and_of_more_it_is_not(ax):
    points = np.array([[2.0, 1.0], [1.0, 2.0]])
    pareto_points(ax, points, ("code", "text"), {"natural": (3.0, 3.0)}, (True, False))
    front = ax.lines[0]
    assert front.get_linewidth() == 1
    assert front.get_xdata().tolist() == [1.0, 2.0]
    assert ax.get_xlabel() == "code (lower is better)"
    assert ax.get_ylabel() == "text (higher is better)"
    other = new_figure(3, 2)[1]
    pareto_points(other, points, ("code", "text"), {}, (True, True), joined=False)
    assert other.lines[0].get_linewidth() == 0


def test_calibration_is_drawn_against_the_diagonal_the_first_metric_on_top(ax):
    calibration_curve(ax, {"a": {0.5: 0.4, 0.9: 0.8}, "b": {0.5: 0.5, 0.9: 0.9}})
    assert ax.lines[-1].get_xydata().tolist() == [[50, 40], [90, 80]]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: response_curves(ax, {}, {}, label="loss"),
        lambda ax: ternary_response(ax, [], [], (), {}, label="loss"),
        lambda ax: pareto_points(ax, [], ("a", "b"), {}, (True, True)),
        lambda ax: calibration_curve(ax, {}),
    ],
)
def test_nothing_to_draw_is_said(ax, draw):
    draw(ax)
    assert ax.texts
