import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.fit.surface.polynomial import SweptFactor, design_matrix, fit_terms, held_out, terms_of

RATE = SweptFactor("rate", (1e-4, 1e-3, 1e-2), is_log=True)
RANK = SweptFactor("rank", (8.0, 64.0), is_log=False)


def test_a_tested_range_is_coded_from_minus_one_to_one_on_its_scale():
    np.testing.assert_allclose(RATE.code(np.array([1e-4, 1e-3, 1e-2])), [-1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(RANK.code(np.array([8.0, 36.0, 64.0])), [-1, 0, 1])


@given(st.floats(-1, 1), st.sampled_from([RATE, RANK]))
def test_decoding_is_the_inverse_of_coding(coded, factor):
    np.testing.assert_allclose(factor.code(np.array([factor.value(coded)])), [coded], atol=1e-9)


def test_a_setting_is_written_with_three_digits_or_whole_and_stays_in_range():
    assert RATE.setting(0.1234) == 0.00133
    assert RANK.setting(0.51) == 50
    assert RANK.setting(1.0) == 64


def test_two_levels_have_no_square():
    assert terms_of("mean", (RATE, RANK)) == ((),)
    assert terms_of("linear", (RATE, RANK)) == ((), (0,), (1,))
    assert terms_of("interactions", (RATE, RANK)) == ((), (0,), (1,), (0, 1))
    assert terms_of("squares", (RATE, RANK)) == ((), (0,), (1,), (0, 0))
    assert terms_of("quadratic", (RATE, RANK)) == ((), (0,), (1,), (0, 1), (0, 0))


def test_planted_coefficients_are_recovered_and_their_errors_are_honest():
    """The 90 % interval of a coefficient holds the planted one in about 90 % of 400 data sets."""
    grid = np.array([(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 1.0)] * 2)
    terms = terms_of("quadratic", (RATE, RANK))
    planted = np.array([2.0, -0.3, 0.1, 0.05, 0.4])
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        values = design_matrix(grid, terms) @ planted + 0.1 * rng.normal(size=len(grid))
        surface = fit_terms("quadratic", terms, grid, values)
        assert surface.degrees == 7
        error = np.sqrt(surface.covariance[4, 4])
        inside += abs(surface.coefficients[4] - planted[4]) < 1.895 * error  # t with 7 degrees
    assert 0.86 < inside / 400 < 0.94


def test_points_that_do_not_determine_the_terms_give_no_surface():
    coded = np.array([(-1.0, -1.0), (0.0, 0.0), (1.0, 1.0), (0.5, 0.5)])
    assert fit_terms("linear", ((), (0,), (1,)), coded, np.arange(4.0)) is None


def test_replicates_are_left_out_together():
    coded = np.array([[-1.0], [-1.0], [0.0], [1.0], [1.0]])
    values = np.array([5.0, 7.0, 0.0, 1.0, 1.0])
    predicted = held_out(((),), coded, values, np.array([0, 0, 1, 2, 2]))
    np.testing.assert_allclose(predicted, [2 / 3, 2 / 3, 3.5, 4.0, 4.0])
    assert held_out(((), (0,)), coded[:3], values[:3], np.array([0, 0, 1])) is None


def test_a_difference_has_no_error_where_the_points_are_one():
    coded = np.array([[-1.0], [0.0], [1.0], [1.0]])
    surface = fit_terms("linear", ((), (0,)), coded, np.array([1.0, 2.0, 3.5, 3.4]))
    point = np.array([[0.3]])
    assert surface.standard_error(point, point)[0] == pytest.approx(0)
    assert surface.standard_error(point)[0] > 0
