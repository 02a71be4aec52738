"""What all figures share."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from olmix.plotting import add_caption, new_figure, plain, shorten, style
from olmix.plotting.canvas import data_limits, render_figure, save_figure, style_axes

mpl = pytest.importorskip("matplotlib")


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were():
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams["svg.fonttype"] == "none"
    assert dict(mpl.rcParams) == before


def test_names_are_no_mathematics_and_hold_no_control_characters():
    assert plain("$x_1$\n\x00") == r"\$x_1\$  "


def test_long_names_lose_their_middle():
    assert shorten("a" * 50 + "end", 11) == "aaaaa…aaend"
    assert shorten("short", 11) == "short"


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([], 0, 1), ([np.nan], 0, 1), ([0, 0], -0.5, 0.5), ([1, 3], 0.88, 3.12), ([5], 4.5, 5.5)],
)
def test_limits_leave_room_around_the_finite_values(values, low, high):
    np.testing.assert_allclose(data_limits(np.array(values, float)), [low, high])


def test_title_and_caption_stand_outside_of_everything_else():
    with style():
        figure, ax = new_figure(2, 1)
        style_axes(ax)
        ax.set_xlabel("below")
        box = ax.get_tightbbox()
        add_caption(ax, "A title with $x_1$ and 🎉", "word " * 60)
        title, caption = ax.texts
        assert title.get_window_extent().y0 >= box.y1
        assert caption.get_window_extent().y1 <= box.y0
        figure.savefig(BytesIO(), bbox_inches="tight")


def test_a_figure_is_saved_in_one_step(tmp_path):
    with style():
        figure, _ = new_figure(1, 1)
        save_figure(figure, tmp_path / "figure.png")
        assert (tmp_path / "figure.png").read_bytes() == render_figure(figure)
    assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]
