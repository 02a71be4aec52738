"""Figures of factorial sweeps and of their response surfaces."""

from io import BytesIO

import numpy as np

from olmix.plotting import style
from olmix.plotting.surface import Profile, profiles_figure
from olmix.plotting.sweeps import curves_figure, effects_figure


def saved(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", dpi=50)
    assert buffer.getvalue().startswith(b"\x89PNG")
    return figure


def test_few_curves_are_named_and_many_are_not():
    with style():
        few = saved(curves_figure({f"run_{n}": [(1, 2.0), (2, 1.0)] for n in range(3)}, "loss"))
        many = saved(curves_figure({f"run_{n}": [(1, 2.0)] for n in range(30)}, "loss"))
    texts = [entry.get_text() for entry in few.axes[0].texts]
    assert {"run_0", "run_1", "run_2"} <= set(texts)
    assert not any(entry.get_text().startswith("run_") for entry in many.axes[0].texts)
    assert few.axes[0].get_ylabel() == "loss"


def test_no_curve_is_said():
    with style():
        figure = saved(curves_figure({}, "loss"))
    assert figure.axes[0].texts[0].get_text() == "no run has logged anything"


def test_effects_stand_beside_each_other_with_their_values():
    effects = {"rank": [("8", 1.0, 0.1), ("16", 0.9, 0.1)], "$lr": [("1e-4", 1.0, 0.0)]}
    with style():
        ax = saved(effects_figure(effects, "loss")).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "16", "1e-4"]
    assert r"\$lr" in [entry.get_text() for entry in ax.texts]


def test_a_surface_has_axes_for_each_factor_with_the_tested_levels():
    tested = np.array([8.0, 16.0, 32.0])
    line = np.linspace(8, 32, 5)
    profiles = [
        Profile(name, is_log, line, 1 / line, 0.1 / line, tested)
        for name, is_log in (("rank", True), ("alpha", False))
    ]
    with style():
        figure = saved(profiles_figure(profiles, np.array([1.0, 2.0, 3.0]), "loss"))
    first, second = figure.axes
    assert first.get_xscale() == "log"
    assert second.get_xscale() == "linear"
    assert [label.get_text() for label in first.get_xticklabels()] == ["8", "16", "32"]
    assert first.get_ylabel() == "loss"
    assert second.get_xlabel() == "alpha"
