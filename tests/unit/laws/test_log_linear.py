import json

import numpy as np
import pytest

from fit_fixtures import SLOPES, draw_mixtures, log_linear
from olmix.laws.log_linear import FittedLogLinear, LogLinear
from olmix.laws.log_weight import LogWeight


@pytest.fixture
def law():
    return FittedLogLinear(offset=2.0, intercept=-0.5, slopes=SLOPES, ridge=0.1)


def test_it_predicts_what_its_formula_says(law):
    x = draw_mixtures(5, 4)
    np.testing.assert_allclose(law.predict(x), log_linear(x))


def test_one_mixture_may_be_given_without_its_rows(law):
    assert law.predict([0.25, 0.25, 0.25, 0.25]).shape == (1,)


def test_its_gradient_agrees_with_finite_differences(law):
    x, h = draw_mixtures(6, 4), 1e-6
    numeric = np.stack(
        [(law.predict(x + h * e) - law.predict(x - h * e)) / (2 * h) for e in np.eye(4)], axis=1
    )
    np.testing.assert_allclose(law.gradient(x), numeric, atol=1e-8)


def test_it_is_convex(law):
    a, b = draw_mixtures(30, 4, 1), draw_mixtures(30, 4, 2)
    assert (law.predict((a + b) / 2) <= (law.predict(a) + law.predict(b)) / 2 + 1e-12).all()
    assert law.convex


def test_planted_parameters_come_back():
    x = draw_mixtures(60, 4)
    found = LogLinear(ridges=(1e-9,)).fit(x, log_linear(x))
    # Only differences of slopes are determined, because weights add up to 1.
    np.testing.assert_allclose(found.slopes - found.slopes[0], SLOPES - SLOPES[0], atol=0.01)
    assert found.offset == pytest.approx(2.0, abs=0.02)
    np.testing.assert_allclose(found.predict(np.eye(4)), log_linear(np.eye(4)), atol=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_planted_predictions_come_back_through_noise(seed):
    rng = np.random.default_rng(seed)
    x, new = draw_mixtures(36, 4, seed), draw_mixtures(200, 4, seed + 100)
    y, truth = log_linear(x), log_linear(new)
    found = LogLinear().fit(x, y + 0.1 * y.std() * rng.standard_normal(36))
    error = np.sqrt(np.mean((found.predict(new) - truth) ** 2))
    assert error < 0.1 * truth.std()


def test_noise_alone_is_shrunk_away():
    x = draw_mixtures(36, 4)
    y = 3 + 0.1 * np.random.default_rng(0).standard_normal(36)
    shrunk, plain = LogLinear().fit(x, y), LogLinear(ridges=(1e-9,)).fit(x, y)
    assert shrunk.ridge > 0.1
    assert np.ptp(shrunk.predict(np.eye(4))) < 0.5 * np.ptp(plain.predict(np.eye(4)))


def test_a_positive_metric_keeps_an_offset_that_is_not_negative():
    x = draw_mixtures(36, 4)
    y = 0.05 + 0.4 * x[:, 0] + 0.001 * np.random.default_rng(0).standard_normal(36)
    assert LogLinear().fit(x, y).offset >= -1e-12


def test_a_domain_that_no_mixture_has_gets_no_slope():
    x = np.hstack([draw_mixtures(30, 4), np.zeros((30, 1))])
    for law in (LogLinear(), LogWeight()):
        found = law.fit(x, log_linear(x[:, :4]))
        assert abs(found.slopes[4]) < 1e-12


@pytest.mark.parametrize("law", [LogLinear(delta=None), LogWeight()])
@pytest.mark.parametrize("unit", [1e-9, 1e-4, 1e3, 1e6])
def test_the_unit_of_a_metric_does_not_matter(law, unit):
    x = draw_mixtures(36, 4)
    y = log_linear(x) + 0.02 * np.random.default_rng(0).standard_normal(36)
    one, scaled = law.fit(x, y), law.fit(x, unit * y)
    np.testing.assert_allclose(scaled.predict(x) / unit, one.predict(x), rtol=1e-6)


@pytest.mark.parametrize("law", [LogLinear(), LogWeight()])
def test_a_law_that_went_through_json_predicts_the_very_same_numbers(law):
    x = draw_mixtures(36, 4)
    fitted = law.fit(x, log_linear(x))
    loaded = type(fitted).from_plain(json.loads(json.dumps(fitted.to_plain())))
    np.testing.assert_array_equal(loaded.predict(x), fitted.predict(x))
    np.testing.assert_array_equal(loaded.gradient(x), fitted.gradient(x))
    assert loaded.setting == fitted.setting
