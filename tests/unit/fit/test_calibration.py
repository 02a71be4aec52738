"""Conformal intervals of single runs."""

import numpy as np
import pytest

from olmix.fit.calibration import LEVELS, calibrate
from olmix.records.fit.scores import LEVEL, Calibration


@pytest.mark.parametrize("seed", range(6))
def test_new_runs_lie_inside_as_often_as_they_should(seed):
    rng = np.random.default_rng(seed)
    distances = rng.uniform(0, 0.5, 200)
    residuals = rng.standard_t(4, 200) * (0.1 + 0.4 * distances)
    found = calibrate(residuals, distances, rng.permutation(200) % 5)
    fresh = rng.uniform(0, 0.5, 4000)
    errors = rng.standard_t(4, 4000) * (0.1 + 0.4 * fresh)
    inside = np.abs(errors) <= found.half_width(fresh)
    assert abs(inside.mean() - LEVEL) < 0.06
    np.testing.assert_allclose(list(found.coverage.values()), LEVELS, atol=0.1)


def test_errors_that_grow_with_distance_widen_the_intervals():
    rng = np.random.default_rng(0)
    distances = rng.uniform(0, 0.5, 300)
    found = calibrate(rng.standard_normal(300) * distances, distances, np.arange(300) % 5)
    assert found.half_width([0.5])[0] > 3 * found.half_width([0.05])[0]


def test_few_runs_give_wide_intervals():
    found = calibrate(np.array([0.1, -0.2, 0.3]), np.full(3, 0.1), np.arange(3))
    assert found.half_width([0.1])[0] > 0.3


def test_exact_predictions_still_have_an_interval():
    found = calibrate(np.zeros(20), np.zeros(20), np.arange(20) % 4)
    assert found.half_width([0.0])[0] >= 0
    assert np.isfinite(found.half_width([0.3])).all()


def test_a_calibration_goes_through_plain_values():
    found = Calibration(0.1, 0.2, 1.7, dict(zip(LEVELS, LEVELS, strict=True)))
    assert Calibration.from_plain(found.to_plain()) == found


def test_beyond_the_reach_intervals_grow_with_the_square_of_the_distance():
    found = Calibration(base=0.1, slope=0.0, quantile=1.0, coverage={}, reach=0.2)
    np.testing.assert_allclose(found.half_width([0.1, 0.2, 0.4]), [0.1, 0.1, 0.4])


def test_intervals_end_where_the_metric_does():
    found = Calibration(0.1, 0.0, 1.0, {}, lowest=0.0, highest=1.0)
    low, high = found.interval([0.05, 0.5, 0.95], np.zeros(3))
    np.testing.assert_allclose(low, [0.0, 0.4, 0.85])
    np.testing.assert_allclose(high, [0.15, 0.6, 1.0])
