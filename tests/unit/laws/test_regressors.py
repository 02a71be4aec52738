"""What every regressor must do: Gaussian processes, power sums, trees and the nearest run."""

import json

import numpy as np
import pytest

from fit_fixtures import draw_mixtures, log_linear, log_weight
from olmix.fit.scoring import scores
from olmix.laws.best_run import Search
from olmix.laws.epochs import Epochs
from olmix.laws.gp import GpLog, GpSqrt
from olmix.laws.law import Draws
from olmix.laws.lightgbm import LightGbm
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.laws.power_sum import AutoScale, BiMix

LAWS = [
    LogLinear(),
    LogWeight(),
    GpSqrt(),
    GpLog(),
    AutoScale(),
    BiMix(),
    Epochs(np.full(4, 4.0)),
    LightGbm(),
    Search(),
]
SMOOTH = [law for law in LAWS if law.fitted.smooth]
names = {"ids": lambda law: law.name}


def _noisy(x, seed=0):
    return log_weight(x) + 0.01 * np.random.default_rng(seed).standard_normal(len(x))


@pytest.mark.parametrize("law", LAWS, **names)
def test_a_planted_law_is_learnt(law):
    x, fresh = draw_mixtures(64, 4), draw_mixtures(200, 4, seed=1)
    fitted = law.fit(x, _noisy(x))
    least = {"search": 0.5, "lightgbm": 0.85, "log_linear": 0.8}.get(law.name, 0.97)
    assert scores(log_weight(fresh), fitted.predict(fresh)).spearman > least


@pytest.mark.parametrize("law", SMOOTH, **names)
def test_the_gradient_is_that_of_finite_differences(law):
    x = draw_mixtures(40, 4)
    fitted = law.fit(x, _noisy(x))
    at = np.clip(draw_mixtures(5, 4, seed=3), 0.01, None)
    step = 1e-6
    numeric = [
        (fitted.predict(at + step * unit) - fitted.predict(at - step * unit)) / (2 * step)
        for unit in np.eye(4)
    ]
    np.testing.assert_allclose(fitted.gradient(at), np.stack(numeric, axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("law", LAWS, **names)
def test_a_law_that_went_through_json_predicts_the_very_same_numbers(law):
    x = draw_mixtures(36, 4)
    fitted = law.fit(x, _noisy(x))
    loaded = type(fitted).from_plain(json.loads(json.dumps(fitted.to_plain())))
    np.testing.assert_array_equal(loaded.predict(x), fitted.predict(x))
    np.testing.assert_array_equal(loaded.gradient(x), fitted.gradient(x))


@pytest.mark.parametrize("law", [law for law in LAWS if law.name != "lightgbm"], **names)
def test_the_order_of_domains_and_of_runs_does_not_matter(law):
    x = draw_mixtures(40, 4)
    y = _noisy(x)
    order, rows = [2, 0, 3, 1], np.random.default_rng(5).permutation(40)
    one, other = law.fit(x, y), law.fit(x[rows][:, order], y[rows])
    np.testing.assert_allclose(other.predict(x[:, order]), one.predict(x), rtol=2e-3)


@pytest.mark.parametrize("law", [GpSqrt(), GpLog(), AutoScale(), BiMix(), LightGbm()], **names)
def test_a_diverged_run_does_not_decide(law):
    x = draw_mixtures(60, 4)
    y = _noisy(x)
    y[7] = 1e9
    truth = log_weight(x)
    others = np.arange(60) != 7
    assert scores(truth[others], law.fit(x, y).predict(x)[others]).spearman > 0.8


@pytest.mark.parametrize("law", LAWS, **names)
def test_rows_without_weight_take_no_part(law):
    x = draw_mixtures(40, 4)
    y = _noisy(x)
    row_weights = np.ones(40)
    row_weights[30:] = 0
    changed = y.copy()
    changed[30:] = 99.0
    one, other = law.fit(x, y, row_weights), law.fit(x, changed, row_weights)
    np.testing.assert_allclose(other.predict(x), one.predict(x), rtol=1e-9)


@pytest.mark.parametrize("law", [GpSqrt(), GpLog()], **names)
def test_the_posterior_is_narrow_at_the_runs_and_wide_far_from_them(law):
    x = draw_mixtures(40, 4)[:, :]
    x = np.where(x[:, 3:] > 0.5, np.full(4, 0.25), x)  # nothing near the fourth vertex
    fitted = law.fit(x, _noisy(x))
    rng = np.random.default_rng(0)
    at = np.vstack([x[0], np.eye(4)[3]])
    draws = Draws(np.ones((400, 40)), rng.standard_normal((400, 2)), np.zeros(400))
    samples = law.sample(fitted, x, np.zeros(40), draws, at)
    spread = samples.std(axis=0)
    assert spread[1] > 3 * spread[0]
    np.testing.assert_allclose(np.median(samples, axis=0), fitted.predict(at), atol=0.2 * spread[1])


def test_bimix_lets_no_domain_harm():
    x = draw_mixtures(60, 4)
    fitted = BiMix().fit(x, log_linear(x))
    assert (fitted.effects >= 0).all()
    assert (fitted.gradient(x) <= 0).all()


def test_the_nearest_run_is_the_prediction_of_search():
    x = draw_mixtures(20, 4)
    y = _noisy(x)
    fitted = Search().fit(x, y)
    np.testing.assert_array_equal(fitted.predict(x), y)
