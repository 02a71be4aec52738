import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.errors import InfeasibleError
from olmix.simplex import fill_to_caps, hellinger, normalise, project_to_caps, sparsify, temper

seeds = st.integers(0, 2**32 - 1)
sizes = st.lists(st.floats(0.01, 1), min_size=2, max_size=12)


def _sparse(rows, floor, caps, must=False):
    """Sparsify rows that share their limits."""
    rows = np.atleast_2d(rows)
    floor, caps, must = (np.broadcast_to(limit, rows.shape) for limit in (floor, caps, must))
    return sparsify(rows, floor, caps, must)


def _draw(sizes, seed, slack=1.5):
    prior = np.array(sizes) / sum(sizes)
    rng = np.random.default_rng(seed)
    caps = np.minimum(slack * prior, 1)
    return rng.dirichlet(np.ones(len(prior)), size=5), caps, prior


@given(sizes, seeds)
def test_filled_mixtures_stay_mixtures_within_caps(sizes, seed):
    drawn, caps, _ = _draw(sizes, seed)
    filled = fill_to_caps(drawn, caps)
    np.testing.assert_allclose(filled.sum(axis=1), 1)
    assert (filled <= caps + 1e-12).all()


@given(sizes, seeds)
def test_mixtures_inside_the_caps_are_left_alone(sizes, seed):
    drawn, _, _ = _draw(sizes, seed)
    np.testing.assert_allclose(fill_to_caps(drawn, np.ones(drawn.shape[1])), drawn)


@given(sizes, seeds)
def test_projected_mixtures_are_scaled_copies_below_the_caps(sizes, seed):
    drawn, caps, _ = _draw(sizes, seed)
    for row in drawn:
        projected = project_to_caps(row, caps)
        assert projected.sum() == pytest.approx(1)
        assert (projected <= caps + 1e-12).all()
        free = projected < caps - 1e-9
        if free.sum() > 1:
            ratio = projected[free] / row[free]
            np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


@given(sizes, seeds, st.floats(0, 0.2))
def test_sparse_mixtures_hold_nothing_between_zero_and_the_minimum(sizes, seed, minimum):
    drawn, caps, _ = _draw(sizes, seed, slack=3.0)
    usable = np.minimum(caps, 1)[caps >= minimum]
    if usable.sum() < 1 + 1e-6:
        return
    sparse = _sparse(drawn, minimum, caps)
    np.testing.assert_allclose(sparse.sum(axis=1), 1)
    assert ((sparse == 0) | (sparse >= minimum - 1e-9)).all()
    assert (sparse <= caps + 1e-9).all()


@given(sizes, seeds)
def test_required_domains_keep_their_minimum(sizes, seed):
    drawn, _, _ = _draw(sizes, seed)
    required = np.zeros(drawn.shape[1], dtype=bool)
    required[0] = True
    sparse = _sparse(drawn, 0.05, np.ones(drawn.shape[1]), required)
    assert (sparse[:, 0] >= 0.05 - 1e-12).all()
    np.testing.assert_allclose(sparse.sum(axis=1), 1)


@given(sizes, st.floats(0, 3))
def test_temperature_zero_is_uniform_and_one_changes_nothing(sizes, temperature):
    prior = normalise(sizes)
    np.testing.assert_allclose(temper(prior, 1.0), prior)
    np.testing.assert_allclose(temper(prior, 0.0), 1 / len(prior))
    order = np.argsort(prior)
    assert (np.diff(temper(prior, temperature)[order]) >= -1e-12).all()


def test_caps_that_do_not_reach_one_are_infeasible():
    for move in (fill_to_caps, project_to_caps):
        with pytest.raises(InfeasibleError, match="the caps add up to 0.9"):
            move(np.array([0.5, 0.5]), np.array([0.4, 0.5]))
    assert np.isnan(_sparse([0.5, 0.5], 0.3, [0.8, 0.2])).all(), "0.2 is below the minimum"


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-0.1, 1.1], [np.nan, 1.0]])
def test_what_is_no_mixture_is_refused(weights):
    with pytest.raises(ValueError, match="weight"):
        normalise(weights)


@given(seeds, st.integers(2, 8))
def test_hellinger_distances_are_those_of_their_definition(seed, size):
    rng = np.random.default_rng(seed)
    left, right = rng.dirichlet(np.ones(size), 4), rng.dirichlet(np.ones(size), 3)
    plain = [[np.linalg.norm(np.sqrt(x) - np.sqrt(y)) / np.sqrt(2) for y in right] for x in left]
    np.testing.assert_allclose(hellinger(left, right), plain, atol=1e-7)


def test_equal_mixtures_have_no_distance_and_disjoint_ones_have_distance_one():
    np.testing.assert_allclose(hellinger([[1, 0], [0, 1]], [[1, 0]]), [[0], [1]])


def test_of_domains_below_the_minimum_the_one_drawn_largest_comes_back():
    row, caps = np.array([0.1, 0.3, 0.6]), np.full(3, 0.5)
    np.testing.assert_allclose(_sparse(row, 0.35, caps), [[0, 0.5, 0.5]])


def test_the_domain_drawn_smallest_makes_room_for_a_required_one():
    row, required = np.array([0.55, 0.45, 0.0]), np.array([False, False, True])
    np.testing.assert_allclose(_sparse(row, 0.4, np.ones(3), required), [[0.6, 0, 0.4]])


def test_caps_of_domains_without_weight_do_not_help():
    with pytest.raises(InfeasibleError):
        project_to_caps([0.7, 0.3, 0.0], [0.4, 0.4, 1.0])
