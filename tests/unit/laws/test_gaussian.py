"""Maximising the posterior of a Gaussian process."""

import numpy as np
import pytest

from olmix.laws.gaussian import (
    LENGTH_SD,
    MEAN,
    KernelSettings,
    _surprise,
    factorise,
    kernel,
    maximise,
)


def _problem(num=12, size=3, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((num, size))
    targets = np.sin(points[:, 0]) + 0.1 * rng.standard_normal(num)
    return points, (targets - targets.mean()) / targets.std(), rng.uniform(0.5, 2, num)


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_is_that_of_finite_differences(seed):
    points, targets, row_weights = _problem(seed=seed)
    vector = KernelSettings.start(3).to_vector() + np.random.default_rng(seed).normal(0, 0.5, 5)
    _, gradient = _surprise(vector, points, targets, row_weights, LENGTH_SD)
    step = 1e-6 * np.eye(5)
    both = [
        [
            _surprise(vector + sign * row, points, targets, row_weights, LENGTH_SD)[0]
            for sign in (1, -1)
        ]
        for row in step
    ]
    numeric = [(up - down) / 2e-6 for up, down in both]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-6)


def test_the_density_is_that_of_the_textbook():
    points, targets, row_weights = _problem()
    settings = KernelSettings(
        np.full(3, 2 * np.sqrt(3)), 1.0, 0.01
    )  # centre of the prior: no prior term
    covariance = kernel(points, points, settings) + np.diag(settings.noise / row_weights)
    expected = 0.5 * targets @ np.linalg.solve(covariance, targets)
    expected += 0.5 * np.linalg.slogdet(covariance)[1]
    assert _surprise(settings.to_vector(), points, targets, row_weights, LENGTH_SD)[
        0
    ] == pytest.approx(expected)


def test_searching_never_ends_higher_than_it_started():
    points, targets, row_weights = _problem(num=30)
    start = KernelSettings.start(3)
    _, before = maximise(points, targets, row_weights, start, 0)
    found, after = maximise(points, targets, row_weights, start, 60)
    assert after <= before
    # The first coordinate alone matters, so its length is the shortest.
    assert found.lengths.argmin() == 0


def test_the_kernel_is_greatest_at_its_own_point_and_a_constant_far_away():
    settings = KernelSettings(np.ones(2), 0.7, 0.1)
    near, far = np.zeros((1, 2)), np.full((1, 2), 1e3)
    assert kernel(near, near, settings)[0, 0] == pytest.approx(MEAN + 0.7)
    assert kernel(near, far, settings)[0, 0] == pytest.approx(MEAN)


def test_the_factor_gives_back_the_covariance():
    points, _, row_weights = _problem()
    settings = KernelSettings.start(3)
    factor = factorise(points, row_weights, settings)
    expected = kernel(points, points, settings) + np.diag(settings.noise / row_weights)
    np.testing.assert_allclose(factor @ factor.T, expected)
