import numpy as np
import pytest

from fit_fixtures import POWERS, draw_mixtures, log_weight
from olmix.laws.log_weight import EPSILONS, FittedLogWeight, LogWeight


@pytest.fixture
def law():
    return FittedLogWeight(offset=1.5, intercept=-1.0, slopes=POWERS, ridge=0.1, eps=0.03)


def test_it_predicts_what_its_formula_says(law):
    x = draw_mixtures(5, 4)
    np.testing.assert_allclose(law.predict(x), log_weight(x))


def test_its_gradient_agrees_with_finite_differences(law):
    x, h = draw_mixtures(6, 4), 1e-7
    numeric = np.stack(
        [(law.predict(x + h * e) - law.predict(x - h * e)) / (2 * h) for e in np.eye(4)], axis=1
    )
    np.testing.assert_allclose(law.gradient(x), numeric, atol=1e-6)


def test_a_weight_of_0_is_finite(law):
    assert np.isfinite(law.predict(np.eye(4))).all()
    assert np.isfinite(law.gradient(np.eye(4))).all()


def test_planted_parameters_come_back():
    x = draw_mixtures(80, 4)
    found = LogWeight(ridges=(1e-9,)).fit(x, log_weight(x))
    assert found.eps == 0.03
    np.testing.assert_allclose(found.slopes, POWERS, atol=0.02)
    assert found.offset == pytest.approx(1.5, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_planted_predictions_come_back_through_noise(seed):
    rng = np.random.default_rng(seed)
    x, new = draw_mixtures(36, 4, seed), draw_mixtures(200, 4, seed + 100)
    y, truth = log_weight(x), log_weight(new)
    found = LogWeight().fit(x, y + 0.1 * y.std() * rng.standard_normal(36))
    error = np.sqrt(np.mean((found.predict(new) - truth) ** 2))
    assert error < 0.2 * truth.std()


def test_eps_is_one_of_the_list():
    x = draw_mixtures(30, 4)
    assert LogWeight().fit(x, log_weight(x)).eps in EPSILONS
    assert LogWeight(epsilons=(0.07,)).fit(x, log_weight(x)).eps == 0.07
