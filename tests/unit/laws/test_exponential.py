import numpy as np
import pytest

from fit_fixtures import draw_mixtures, log_linear, log_weight
from olmix.laws.exponential import PAPER_DELTA
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight

LAWS = [LogLinear(), LogWeight()]


@pytest.fixture
def swarm():
    x = draw_mixtures(36, 4)
    rows = np.stack([log_linear(x), log_weight(x)])
    noise = np.random.default_rng(0).standard_normal(rows.shape)
    return x, rows + 0.05 * rows.std(axis=1, keepdims=True) * noise


@pytest.mark.parametrize("law", LAWS)
def test_many_problems_at_once_give_what_each_gives_alone(swarm, law):
    x, rows = swarm
    for row, together in zip(rows, law.fit_many(x, rows, np.ones_like(rows)), strict=True):
        np.testing.assert_allclose(together.predict(x), law.fit(x, row).predict(x), rtol=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_a_run_without_weight_is_never_seen(swarm, law):
    x, rows = swarm
    row_weights = np.ones(36)
    row_weights[4] = 0
    other = rows[0].copy()
    other[4] = 99.0
    np.testing.assert_array_equal(
        law.fit(x, rows[0], row_weights).predict(x), law.fit(x, other, row_weights).predict(x)
    )


@pytest.mark.parametrize("law", LAWS)
def test_a_refit_to_the_same_weights_stays_where_it_is(swarm, law):
    x, rows = swarm
    fitted = law.fit(x, rows[0])
    (again,) = law.refit_many([fitted], x, rows[:1], np.ones((1, 36)))
    assert again.setting == fitted.setting
    assert again.ridge == fitted.ridge
    np.testing.assert_allclose(again.predict(x), fitted.predict(x), rtol=1e-5)


@pytest.mark.parametrize("law", LAWS)
def test_a_refit_follows_the_weights(swarm, law):
    x, rows = swarm
    fitted = law.fit(x, rows[0])
    row_weights = np.full((1, 36), 1e-3)
    row_weights[0, 8] = 1.0
    (again,) = law.refit_many([fitted], x, rows[:1], row_weights)
    before, after = (abs(f.predict(x)[8] - rows[0, 8]) for f in (fitted, again))
    assert after < before


def test_the_same_numbers_come_out_twice(swarm):
    x, rows = swarm
    for law in LAWS:
        assert law.fit(x, rows[0]).to_plain() == law.fit(x, rows[0]).to_plain()


def test_half_of_the_runs_may_measure_the_very_same():
    # A benchmark at chance level: the interquartile range is 0.
    x = draw_mixtures(40, 4)
    y = np.where(x[:, 0] > 0.4, 2 - x[:, 0], 2.0)
    for law in LAWS:
        assert np.isfinite(law.fit(x, y).predict(np.eye(4))).all()


def test_the_delta_of_the_papers_can_be_used(swarm):
    x, rows = swarm
    found = LogLinear(delta=PAPER_DELTA).fit(x, rows[0]).predict(x)
    assert np.corrcoef(found, rows[0])[0, 1] > 0.95
