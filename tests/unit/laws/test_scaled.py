"""A law of small models carried to larger ones by one linear map per metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fit_fixtures import draw_mixtures, log_linear
from olmix.laws.log_linear import LogLinear
from olmix.laws.scaled import FittedScaled, additive_parts, fit_maps

METRICS = 6


def planted(num, seed, *, slopes=0.8, noise=0.0):
    """Draw small predictions and what larger runs measure, (num, M) each."""
    rng = np.random.default_rng(seed)
    small = rng.normal(3.0, 1.0, (num, METRICS))
    return small, 1.0 + slopes * small + noise * rng.standard_normal(small.shape)


def test_an_exact_map_is_found():
    slopes = np.linspace(0.5, 1.2, METRICS)
    small, large = planted(8, 0, slopes=slopes)
    maps = fit_maps(small, large)
    np.testing.assert_allclose(maps.own_slopes, slopes)
    np.testing.assert_allclose(maps.slopes, slopes, atol=1e-6)
    np.testing.assert_allclose(maps.apply(small), large, atol=1e-5)


def test_slopes_that_differ_by_chance_alone_are_pulled_to_their_median():
    errors = {"shrunk": [], "own": []}
    for seed in range(20):
        maps = fit_maps(*planted(6, seed, noise=0.5))
        errors["shrunk"].append(np.abs(maps.slopes - 0.8).mean())
        errors["own"].append(np.abs(maps.own_slopes - 0.8).mean())
    assert np.mean(errors["shrunk"]) < 0.6 * np.mean(errors["own"])


def test_a_metric_without_larger_runs_gets_the_median_slope_and_no_level():
    small, large = planted(8, 1)
    large[:, 2] = np.nan
    maps = fit_maps(small, large)
    assert maps.slopes[2] == pytest.approx(np.median(np.delete(maps.slopes, 2)), abs=1e-6)
    assert np.isnan(maps.levels[2])
    assert np.isnan(maps.apply(small)[:, 2]).all()


@given(st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 1000))
def test_maps_follow_a_change_of_units(factor, shift, seed):
    small, large = planted(7, seed, noise=0.3)
    here = fit_maps(small, large)
    there = fit_maps(small, factor * large + shift)
    np.testing.assert_allclose(there.slopes, factor * here.slopes, rtol=1e-8)
    np.testing.assert_allclose(there.apply(small), factor * here.apply(small) + shift, rtol=1e-6)


def test_a_scaled_law_predicts_and_slopes_as_its_map_says():
    mixtures = draw_mixtures(20, 4)
    small = LogLinear().fit(mixtures, log_linear(mixtures))
    law = FittedScaled(small, 0.7, 1.5)
    np.testing.assert_allclose(law.predict(mixtures), 1.5 + 0.7 * small.predict(mixtures))
    np.testing.assert_allclose(law.gradient(mixtures), 0.7 * small.gradient(mixtures))
    twice = FittedScaled(law, 2.0, 0.0)
    assert additive_parts(twice) == [(small, pytest.approx(1.4))]
