"""Conformal intervals of single runs."""

import numpy as np
import pytest

from olmix.fit.calibration import LEVELS, bounds_of, calibrate, error_at_trained, student
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


def test_far_out_intervals_are_at_least_those_that_hold_the_ends_of_the_swarm():
    found = Calibration(0.1, 0.0, 1.0, reach=0.4, outer=0.5)
    # Inside the reach held-out runs tell; from 3/4 of it on the ends count, wholly at its end.
    far = [0.0, 0.3, 0.35, 0.4, 0.8]
    np.testing.assert_allclose(found.half_width(far), [0.1, 0.1, 0.25, 0.5, 2.0])
    assert Calibration.from_plain(found.to_plain()) == found


@pytest.mark.parametrize("sign", [1, -1], ids=["lower is better", "higher is better"])
def test_intervals_widen_where_the_objective_is_better_than_what_was_tried(sign):
    found = Calibration(
        0.1, 0.0, 1.0, reach=0.4, beyond=0.5, good=sign * 2.0, best=sign * 1.0, lowest=-9.0
    )
    # Worse than the best tenth, in the middle of it, as good as the best run, better than all.
    objective = sign * np.array([2.5, 1.5, 1.0, -0.25, -90.0])
    far = found.ahead(objective, np.full(5, 0.3))
    np.testing.assert_allclose(far, [0.0, 0.5, 1.0, 1.5, 2.0])
    half = found.half_width(np.full(5, 0.3), far)
    np.testing.assert_allclose(half, [0.1, 0.25, 0.5, 0.75, 1.0])
    # Near a run less is unknown, and at its mixture nothing.
    np.testing.assert_allclose(found.ahead(objective[[2, 2, 2]], [0.0, 0.1, 0.2]), [0, 0.5, 1])


def test_a_best_tenth_of_equal_runs_widens_no_interval_without_end():
    found = Calibration(0.1, 0.0, 1.0, reach=0.4, beyond=0.5, good=1.0, best=1.0)
    np.testing.assert_allclose(found.ahead([0.9, 1.1], [0.4, 0.4]), [0.0, 1.0])


def test_without_the_best_tenth_left_out_nothing_is_added():
    found = Calibration(0.1, 0.0, 1.0, reach=0.4)
    np.testing.assert_array_equal(found.ahead([0.0, 1.0], [0.3, 0.3]), [0.0, 0.0])
    np.testing.assert_allclose(found.half_width([0.3], 1.0), [0.1])


def test_intervals_end_where_the_metric_does():
    found = Calibration(0.1, 0.0, 1.0, {}, lowest=0.0, highest=1.0)
    low, high = found.interval([0.05, 0.5, 0.95], np.zeros(3))
    np.testing.assert_allclose(low, [0.0, 0.4, 0.85])
    np.testing.assert_allclose(high, [0.15, 0.6, 1.0])


def test_the_coverage_of_a_fold_comes_from_the_other_folds():
    """One fold is badly predicted: intervals of the others do not hold it, and this is told."""
    residuals, folds = np.full(50, 0.1), np.arange(50) % 5
    residuals[folds == 0] = 1.0
    found = calibrate(residuals, np.full(50, 0.2), folds)
    assert found.coverage[0.8] == pytest.approx(0.8)
    assert found.coverage[0.9] <= 0.8 + 1e-9


def test_the_noise_at_a_trained_mixture_is_the_larger_of_residuals_and_replicates():
    rng = np.random.default_rng(0)
    noise = 0.3 * rng.standard_normal(4000)
    leverage = 0.2
    own, held_out = (1 - leverage) * noise, noise
    plain = error_at_trained(own, held_out, None, 0)
    assert plain == pytest.approx(0.3 * np.sqrt(0.8 * 1.2), rel=0.05)
    assert error_at_trained(own, held_out, 0.01, 8) == plain
    doubted = 0.6 * np.sqrt(10 / 8 * 1.2)
    assert error_at_trained(own, held_out, 0.6, 8) == pytest.approx(doubted, rel=0.01)


@pytest.mark.parametrize(
    ("values", "lower", "expected"),
    [
        ([0.2, 0.9], False, (0.0, 1.0)),
        ([0.2, 0.9], True, (0.0, np.nan)),
        ([0.2, 1.9], False, (0.0, np.nan)),
        ([-0.2, 0.9], False, (np.nan, np.nan)),
    ],
)
def test_only_a_rate_of_success_ends_at_1(values, lower, expected):
    found = bounds_of(np.array(values), lower_is_better=lower)
    np.testing.assert_array_equal(found, expected)


def test_nine_tenths_lie_within_as_many_standard_deviations_as_tables_of_t_say():
    assert student(10) == pytest.approx(1.8125, abs=1e-4)


def test_the_coverage_of_a_fold_is_by_a_line_that_has_not_seen_its_errors():
    """Far runs with large errors make a fold of their own: the others tell nothing of them."""
    rng = np.random.default_rng(0)
    near, far = rng.uniform(0.5, 1.5, 60), rng.uniform(4.5, 5.5, 20)
    residuals, distances = np.concatenate([near, far]), np.repeat([0.0, 10.0], [60, 20])
    folds = np.concatenate([np.arange(60) % 6, np.full(20, 6)])
    found = calibrate(residuals, distances, folds, 0.1, (-np.inf, np.inf))
    assert max(found.coverage.values()) <= 60 / 80
