import numpy as np
import pytest

from olmix.laws.outliers import mean_square, winsorise


def test_normal_numbers_are_left_alone():
    values = np.random.default_rng(0).standard_normal(500)
    np.testing.assert_array_equal(winsorise(values), values)
    assert mean_square(values) == pytest.approx(np.mean(values**2), rel=1e-12)


@pytest.mark.parametrize("value", [50.0, -50.0, 1e12])
def test_how_far_out_a_value_lies_does_not_count(value):
    values = np.append(np.random.default_rng(0).standard_normal(40), value)
    assert np.abs(winsorise(values)).max() < 12
    assert mean_square(values) < 4


def test_values_that_are_mostly_the_same_are_left_alone():
    values = np.array([1.0] * 9 + [2.0])
    np.testing.assert_array_equal(winsorise(values), values)
    assert mean_square(np.array([0.0] * 9 + [2.0])) == pytest.approx(0.4)
