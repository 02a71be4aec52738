"""Bars of mixtures and the heat map of a swarm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from olmix.plotting import effect_bars, mixture_bars, weights_heat
from olmix.plotting.mixtures import by_share


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_domains_are_sorted_by_their_share_in_the_first_mixture():
    mixtures = {"natural": {"a": 0.2, "b": 0.8}, "proposed": {"a": 0.9, "b": 0.1}}
    assert by_share(mixtures) == ["b", "a"]


def test_bars_are_in_per_cent_and_labelled(ax):
    mixture_bars(ax, {"natural": {"a": 0.25, "b": 0.75}, "proposed": {"a": 0.5, "b": 0.5}})
    assert sorted(bar.get_width() for bar in ax.patches) == [25.0, 50.0, 50.0, 75.0]
    assert set(texts(ax)) == {"25.0", "75.0", "50.0"}
    assert "%" in ax.get_xlabel()
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["natural", "proposed"]


def test_a_domain_that_one_mixture_lacks_has_weight_0_there(ax):
    mixture_bars(ax, {"natural": {"a": 1.0}, "proposed": {"a": 0.5, "b": 0.5}})
    assert sorted(bar.get_width() for bar in ax.patches) == [0.0, 50.0, 50.0, 100.0]


def test_an_unknown_weight_is_said_to_be_unknown(ax):
    mixture_bars(ax, {"natural": {"a": math.nan, "b": 1.0}})
    assert "unknown" in texts(ax)


@pytest.mark.parametrize("num_domains", [1, 60])
def test_many_domains_are_drawn(ax, num_domains):
    mixture = {f"domain-{'x' * 60}-{i}": 1 / num_domains for i in range(num_domains)}
    mixture_bars(ax, {"natural": mixture, "proposed": mixture})
    assert len(ax.patches) == 2 * num_domains
    assert all(len(label.get_text()) <= 30 for label in ax.get_yticklabels())


def test_no_mixture_is_said(ax):
    assert texts(mixture_bars(ax, {})) == ["no mixtures"]


def test_names_are_shown_literally(ax):
    mixture_bars(ax, {"natural": {"$x_1$ <b>": 0.5, "🎉 漢字\n": 0.5}})
    ax.get_figure().canvas.draw()
    assert next(label.get_text() for label in ax.get_yticklabels()) == r"\$x_1\$ <b>"


@pytest.mark.parametrize("shape", [(1, 1), (30, 7), (100, 40)])
def test_every_mixture_is_a_row_of_the_heat_map(ax, shape):
    weights = np.random.default_rng(0).dirichlet(np.ones(shape[1]), size=shape[0])
    weights[0, 0] = np.nan
    names = [f"run-{i}" for i in range(shape[0])]
    weights_heat(ax, weights, names, [f"d{i}" for i in range(shape[1])])
    assert ax.get_ylim() == (shape[0], 0)


def test_a_swarm_without_runs_is_said(ax):
    assert texts(weights_heat(ax, np.zeros((0, 3)), [], ["a", "b", "c"])) == ["no runs"]


def test_what_a_domain_does_is_a_bar_to_the_side_that_says_it(ax):
    bars = {"code": (0.07, True), "$x_1$": (-0.02, False), "odd": (math.nan, False)}
    effect_bars(ax, bars, label="gain")
    assert [text.get_text() for text in ax.texts][:2] == ["+0.070", "−0.020"]
    filled, outlined = ax.patches[:2]
    assert filled.get_width() > 0 > outlined.get_width()
    assert filled.get_facecolor()[3] == 1
    assert outlined.get_facecolor()[3] == 0
    assert "better →" in ax.get_xlabel()


def test_without_effects_the_figure_says_so(ax):
    assert effect_bars(ax, {"a": (math.nan, True)}, label="gain").texts[0].get_text()
