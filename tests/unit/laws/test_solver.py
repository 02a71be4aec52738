import numpy as np
import pytest

from fit_fixtures import draw_mixtures, log_linear
from olmix.laws.log_linear import LogLinear
from olmix.laws.solver import (
    Curves,
    Problems,
    concatenate,
    hat_diagonal,
    huber,
    jacobian,
    mean_value,
    solve,
)


def _problems(y, x, *, ridge=1e-6, delta=1.0, row_weights=None, lowest=-np.inf, reach=0.9):
    y = np.atleast_2d(y)
    size = len(y)
    return Problems(
        designs=(x - x.mean(axis=0))[None],
        design=np.zeros(size, dtype=np.intp),
        y=y,
        row_weights=np.ones_like(y)
        if row_weights is None
        else np.atleast_2d(row_weights).astype(float),
        ridge=np.full(size, ridge),
        delta=np.full(size, delta),
        lowest=np.full(size, lowest),
        reach=np.full(size, reach),
    )


@pytest.fixture
def swarm():
    x = draw_mixtures(40, 4, seed=3)
    y = log_linear(x) + 0.01 * np.random.default_rng(1).standard_normal(40)
    return x, y


def _total(problems, curves):
    """What the docstring of the solver says is minimised, for the first problem."""
    x, w = problems.designs[0], problems.row_weights[0]
    k = curves.curvature[0]
    f = curves.mu[0] + np.expm1(k * (curves.alpha[0] + x @ curves.beta[0])) / k
    fit = (w * huber(problems.y[0] - f, problems.delta[0])).sum()
    return fit + 0.5 * problems.ridge[0] * w.sum() * (curves.beta[0] ** 2).sum()


def test_huber_is_half_the_square_near_0_and_a_line_beyond():
    found = huber(np.array([0.0, 0.5, -1.0, 3.0, -3.0]), np.array(1.0))
    np.testing.assert_allclose(found, [0, 0.125, 0.5, 2.5, 2.5])


def test_derivatives_agree_with_finite_differences(swarm):
    x, y = swarm
    problems = _problems(y, x)
    at = Curves(
        np.array([y.mean()]),
        np.array([0.1]),
        np.array([[-1.0, 0.4, 0.2, 0.3]]),
        np.array([0.7]),
        np.zeros(1),
    )
    _, found = jacobian(problems, at)
    h = 1e-6

    def moved(index, step):
        theta = np.array([at.alpha[0], *at.beta[0], at.curvature[0]])
        theta[index] += step
        there = Curves(at.mu, theta[:1], theta[None, 1:-1], theta[-1:], at.loss)
        return -jacobian(problems, there)[0][0]

    for index in range(found.shape[2]):
        numeric = (moved(index, h) - moved(index, -h)) / (2 * h)
        np.testing.assert_allclose(found[0, :, index], numeric, atol=1e-7)


def test_a_solution_is_stationary_in_every_free_direction(swarm):
    x, y = swarm
    problems = _problems(y, x, ridge=1e-3, delta=0.05)
    best = solve(problems)
    lowest = _total(problems, best)
    assert best.loss[0] == pytest.approx(lowest, rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(50):
        step = 1e-3 * rng.standard_normal(5)
        other = Curves(
            best.mu, best.alpha + step[0], best.beta + step[1:], best.curvature, best.loss
        )
        assert _total(problems, other) >= lowest - 1e-12


def test_more_steps_never_raise_the_loss(swarm):
    x, y = swarm
    problems = _problems(np.stack([y, y**2, -y]), x, ridge=1e-4, delta=0.1)
    losses = np.stack([solve(problems, max_steps=n).loss for n in range(12)])
    assert (np.diff(losses, axis=0) <= 0).all()
    assert (losses[-1] < losses[0]).any()


def test_a_batch_gives_what_each_problem_gives_alone(swarm):
    x, y = swarm
    rows = np.stack([y, 3 - y, y * 10])
    together = solve(_problems(rows, x))
    alone = concatenate([solve(_problems(row, x)) for row in rows])
    np.testing.assert_allclose(together.beta, alone.beta, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(together.loss, alone.loss, rtol=1e-9)


def test_rows_without_weight_change_nothing_whatever_they_hold(swarm):
    x, y = swarm
    row_weights = np.ones(40)
    row_weights[:3] = 0
    wild = y.copy()
    wild[:3] = [1e6, -1e6, np.nan]
    np.testing.assert_array_equal(
        solve(_problems(y, x, row_weights=row_weights)).beta,
        solve(_problems(wild, x, row_weights=row_weights)).beta,
    )
    assert np.isfinite(mean_value(_problems(wild, x, row_weights=row_weights))).all()


def test_weights_count_like_repeated_rows(swarm):
    x, y = swarm
    row_weights = np.ones(40)
    row_weights[5] = 3
    x3, y3 = np.vstack([x, x[[5, 5]]]), np.append(y, y[[5, 5]])
    once = _problems(y, x, row_weights=row_weights)
    # The same centre for both, since the ridge does not touch the constant.
    twice = _problems(y3, x3)
    twice = Problems(
        (x3 - x.mean(axis=0))[None],
        twice.design,
        twice.y,
        twice.row_weights,
        twice.ridge,
        twice.delta,
        twice.lowest,
        twice.reach,
    )
    np.testing.assert_allclose(solve(once).beta, solve(twice).beta, rtol=1e-5, atol=1e-8)


def test_a_straight_line_is_found_too(swarm):
    x, _ = swarm
    slopes = np.array([1.0, -2.0, 0.5, 0.5])
    found = solve(_problems(3 + x @ slopes, x, ridge=1e-10))
    k = found.curvature[0]
    fitted = found.mu + np.expm1(k * (found.alpha + (x - x.mean(axis=0)) @ found.beta[0])) / k
    np.testing.assert_allclose(fitted, 3 + x @ slopes, atol=0.05)


def test_the_offset_stays_within_its_bounds(swarm):
    x, y = swarm
    for lowest in (-np.inf, 0.0, 1.9):
        offset = solve(_problems(y, x, lowest=lowest, reach=1.0)).offset
        assert offset[0] <= y.min() + 1e-9
        assert offset[0] >= lowest - 1e-9


def test_leverages_give_the_residuals_of_fits_without_each_row():
    x = draw_mixtures(25, 3, seed=5)
    y = 2 + np.exp(x @ np.array([-1.0, 0.3, 0.8]))
    y = y + 0.01 * np.random.default_rng(0).standard_normal(25)
    problems = _problems(y, x, ridge=1e-4, delta=10.0)
    residuals, leverage = hat_diagonal(problems, solve(problems))
    assert ((leverage > 0) & (leverage < 1)).all()
    # One for each parameter at most.
    assert leverage.sum() <= 5 + 1e-9
    quick = residuals[0] / (1 - leverage[0])
    slow = []
    for row in range(25):
        row_weights = np.ones(25)
        row_weights[row] = 0
        without = solve(_problems(y, x, ridge=1e-4, delta=10.0, row_weights=row_weights))
        k = without.curvature[0]
        eta = without.alpha[0] + (x - x.mean(axis=0))[row] @ without.beta[0]
        slow.append(y[row] - without.mu[0] - np.expm1(k * eta) / k)
    assert np.corrcoef(quick, slow)[0, 1] > 0.99


@pytest.mark.parametrize("value", [5.0, 1e3, 1e9, 1e30])
def test_one_diverged_run_hardly_moves_a_fit(swarm, value):
    x, y = swarm
    clean = LogLinear().fit(x, y)
    wild = y.copy()
    wild[7] = value
    found = LogLinear().fit(x, wild)
    error = np.abs(found.predict(x) - clean.predict(x)).max()
    assert error < 0.15 * y.std()
