import numpy as np
import pytest

from fit_fixtures import draw_mixtures, flat, log_linear, plant
from olmix.fit.calibration import LEVELS
from olmix.fit.crossval import assign_folds, cross_validate
from olmix.fit.scoring import rank_p_value
from olmix.fit.swarm import read_swarm
from olmix.fit.uncertainty import (
    Bootstrap,
    ObjectiveFit,
    bootstrap,
    draw_metrics,
    estimate,
    gain,
    objective_fit,
)
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight
from olmix.records.fit.scores import Calibration, Scores

stats = pytest.importorskip("scipy.stats")

LAWS = {"log_linear": LogLinear(), "log_weight": LogWeight()}


def _fitted(tmp_path, truth, **how):
    swarm = read_swarm(plant(tmp_path, {"y": truth}, **how).config())
    fits = cross_validate(swarm, tuple(LAWS.values()), _folds(swarm))
    return swarm, fits


def _folds(swarm):
    return assign_folds(swarm.num_groups, 5, 0)


def _bootstrap(swarm, fits, rows, seed, number=None):
    draws = draw_metrics(swarm, fits, LAWS, rows, seed, number)
    return bootstrap(swarm, fits, rows, draws, objective_fit(swarm, fits, _folds(swarm)))


def _boot(samples, trained, cv=0.2, train=0.1, freedom=20, far=(0.0, 1.0), beyond=(0.0, 0.0)):
    known = Calibration(cv, 0.0, 1.6, dict.fromkeys(LEVELS, 0.9))
    fit = ObjectiveFit(Scores(0.9, 0.9, 0.8, cv, 0.0), cv**2, train**2, 1e-6, freedom, known)
    return Bootstrap(samples.mean(axis=0), samples, trained, far, beyond, fit)


def test_the_bootstrap_gives_the_same_numbers_twice_and_others_with_another_seed(tmp_path):
    swarm, fits = _fitted(tmp_path, log_linear)
    rows = draw_mixtures(3, 4)
    one, two, three = (_bootstrap(swarm, fits, rows, seed, 20) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.samples, two.samples)
    assert (one.samples != three.samples).any()
    np.testing.assert_array_equal(one.mean, three.mean)


def test_refits_scatter_about_the_fit(tmp_path):
    swarm, fits = _fitted(tmp_path, log_linear, noise=0.2)
    boot = _bootstrap(swarm, fits, swarm.unique_mixtures, 0)
    error = np.abs(np.median(boot.samples, axis=0) - boot.mean)
    assert (error < 2 * boot.samples.std(axis=0) + 1e-3).all()
    assert all(boot.trained)


def test_an_interval_adds_the_error_of_the_law_to_the_spread_of_refits():
    samples = np.random.default_rng(0).normal(0, 0.3, (4000, 2))
    boot = _boot(samples, [True, False])
    t = stats.t.ppf(0.95, 20)
    for index, own in ((0, 0.1), (1, 0.2)):
        found = estimate(boot, index)
        half = t * np.hypot(0.3, own)
        assert found.high - found.mean == pytest.approx(half, rel=0.05)
        assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_far_from_every_run_the_error_of_the_law_grows_with_the_distance():
    samples = np.zeros((10, 2))
    near, far, run = (
        estimate(_boot(samples, trained, far=ratio), 0)
        for trained, ratio in (
            ([False, True], (0.5, 0.0)),
            ([False, True], (3.0, 0.0)),
            ([True, True], (0.0, 0.0)),
        )
    )
    assert far.high - far.mean == pytest.approx(3 * (near.high - near.mean))
    assert near.high - near.mean == pytest.approx(2 * (run.high - run.mean))


def test_errors_that_refits_share_cancel_in_a_gain():
    common = np.random.default_rng(0).normal(0, 5.0, (500, 1))
    boot = _boot(np.hstack([common, common + 1]), [True, True])
    found = gain(boot, 0, 1)
    assert found.mean == pytest.approx(1.0)
    assert found.std_error == pytest.approx(np.hypot(0.1, 0.1), rel=1e-6)
    assert found.probability == pytest.approx(stats.t.cdf(1 / found.std_error, 20))


def test_a_few_exploding_refits_do_not_decide():
    samples = np.random.default_rng(0).normal(0, 0.3, (400, 2))
    wild = samples.copy()
    wild[:5] = 1e9
    calm, hit = (estimate(_boot(s, [True, True]), 0) for s in (samples, wild))
    assert hit.high - hit.mean < 1.5 * (calm.high - calm.mean)


def test_a_mixture_against_itself_is_even():
    boot = _boot(np.zeros((10, 2)), [True, True], train=0.0)
    assert gain(boot, 0, 1).probability == 0.5


def test_intervals_of_gains_hold_the_truth_as_often_as_they_say(tmp_path):
    inside = []
    for seed in range(25):
        swarm, fits = _fitted(tmp_path, log_linear, noise=0.3, seed=seed, num=24)
        rows = draw_mixtures(5, 4, seed + 500)
        boot = _bootstrap(swarm, fits, rows, 0, 100)
        true = log_linear(rows)
        for other in range(1, 5):
            found = gain(boot, 0, other)
            inside.append(found.low <= true[other] - true[0] <= found.high)
    assert np.mean(inside) >= 0.85


def test_the_objective_of_a_swarm_without_signal_is_not_told_from_chance(tmp_path):
    p_values = []
    for seed in range(20):
        swarm, fits = _fitted(tmp_path, flat, seed=seed)
        p_values.append(objective_fit(swarm, fits, _folds(swarm)).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.2
    swarm, fits = _fitted(tmp_path, log_linear)
    assert objective_fit(swarm, fits, _folds(swarm)).p_value < 1e-6


def test_a_diverged_run_widens_intervals_and_no_more(tmp_path):
    planted = plant(tmp_path, {"y": log_linear}, num=30)
    planted.metrics["y"][12] = 1e6
    swarm = read_swarm(planted.write().config())
    fits = cross_validate(swarm, tuple(LAWS.values()), _folds(swarm))
    clean, clean_fits = _fitted(tmp_path / "clean", log_linear, num=30)
    hit = objective_fit(swarm, fits, _folds(swarm))
    calm = objective_fit(clean, clean_fits, _folds(clean))
    assert calm.cv_mse < hit.cv_mse < 10 * calm.cv_mse
    assert hit.p_value < 1e-3


def test_the_p_value_pays_for_every_law_that_was_tried(tmp_path):
    swarm, fits = _fitted(tmp_path, log_linear, noise=1.0)
    found = objective_fit(swarm, fits, _folds(swarm))
    [fitted] = fits
    alone = rank_p_value(swarm.averaged()[0][0], fitted.best.cv_predictions)
    assert len(fitted.candidates) > 1
    assert found.p_value == pytest.approx(min(1.0, len(fitted.candidates) * alone))


def test_where_nothing_was_measured_the_error_is_at_least_what_the_best_tenth_showed():
    boot = _boot(np.zeros((4, 2)), [True, False], beyond=(5.0, 5.0))
    assert boot.error(0) == pytest.approx(0.1**2)
    assert boot.error(1) == pytest.approx((5.0 / stats.t.ppf(0.95, 20)) ** 2)
