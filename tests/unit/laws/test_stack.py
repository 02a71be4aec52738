"""Averages of laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fit_fixtures import draw_mixtures, log_weight
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.laws.stack import FittedStack, stack_weights, stacked_samples


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=40)
def test_weights_are_the_best_of_a_fine_grid(seed, size):
    rng = np.random.default_rng(seed)
    errors = rng.standard_normal((size, 30)) * rng.uniform(0.5, 2, (size, 1))
    weights = stack_weights(errors)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    products = errors @ errors.T / 30
    matrix = products + 0.1 * np.diag(products).min() * np.eye(size)
    others = rng.dirichlet(np.ones(size), 2000)
    best = np.einsum("ni,ij,nj->n", others, matrix, others).min()
    # Weights below a fiftieth are dropped, which may cost a little.
    assert weights @ matrix @ weights <= best * 1.02


def test_laws_that_err_alike_share_the_weight():
    error = np.random.default_rng(0).standard_normal(40)
    np.testing.assert_allclose(stack_weights(np.stack([error, error])), [0.5, 0.5])


def test_a_law_that_is_far_worse_gets_nothing():
    rng = np.random.default_rng(0)
    errors = np.stack([0.1 * rng.standard_normal(50), 10 * rng.standard_normal(50)])
    assert stack_weights(errors).tolist() == [1.0, 0.0]


def test_draws_come_from_the_laws_in_proportion_to_their_weights():
    parts = [np.full((1000, 2), 1.0), np.full((1000, 2), 3.0)]
    uniforms = np.arange(1000) / 1000
    samples = stacked_samples(parts, np.array([0.25, 0.75]), uniforms)
    assert samples[:, 0].mean() == pytest.approx(2.5)
    assert samples.std() > 0.8


def test_a_stack_predicts_and_slopes_as_the_average_of_its_members():
    x = draw_mixtures(30, 4)
    members = {law.name: law.fit(x, log_weight(x)) for law in (LogLinear(), LogWeight())}
    stack = FittedStack.from_members({"log_linear": 0.25, "log_weight": 0.75}, members)
    for ask in ("predict", "gradient"):
        parts = [getattr(members[name], ask)(x) for name in ("log_linear", "log_weight")]
        np.testing.assert_allclose(getattr(stack, ask)(x), 0.25 * parts[0] + 0.75 * parts[1])
    assert stack.to_plain()["weights"] == {"log_linear": 0.25, "log_weight": 0.75}
