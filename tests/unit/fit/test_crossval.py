from dataclasses import replace

import numpy as np
import pytest

from fit_fixtures import flat, log_linear, log_weight, plant
from olmix.errors import DataError
from olmix.fit.crossval import assign_folds, cross_validate, noise_of
from olmix.fit.scoring import rank_p_value, scores
from olmix.fit.swarm import read_swarm
from olmix.laws.log_linear import LogLinear
from olmix.laws.log_weight import LogWeight

stats = pytest.importorskip("scipy.stats")

LAWS = (LogLinear(), LogWeight())


def _load(tmp_path, truths=None, **how):
    return read_swarm(plant(tmp_path, truths or {"y": log_linear}, **how).config())


def _validate(swarm, num_folds=5, seed=0):
    return cross_validate(swarm, LAWS, assign_folds(swarm.num_groups, num_folds, seed))


@pytest.mark.parametrize(("num", "folds"), [(10, 5), (11, 5), (3, 3), (34, 7)])
def test_folds_differ_in_size_by_one_at_most(num, folds):
    sizes = np.bincount(assign_folds(num, folds, 0), minlength=folds)
    assert sizes.sum() == num
    assert np.ptp(sizes) <= 1


def test_folds_depend_on_the_seed_alone():
    assert (assign_folds(30, 5, 1) == assign_folds(30, 5, 1)).all()
    assert (assign_folds(30, 5, 1) != assign_folds(30, 5, 2)).any()


def _main_law(fit):
    """Return the law that was chosen, or that makes up nearly all of the stack that was."""
    law = fit.best.law
    if fit.chosen != "stacked":
        return fit.chosen
    return next(one.name for one, w in zip(law.members, law.law_weights, strict=True) if w > 0.9)


@pytest.mark.parametrize("seed", range(4))
def test_the_law_that_was_planted_is_chosen(tmp_path, seed):
    swarm = _load(tmp_path, {"line": log_linear, "power": log_weight}, num=36, seed=seed)
    assert [_main_law(fit) for fit in _validate(swarm)] == ["log_linear", "log_weight"]


def test_the_choice_is_the_smaller_held_out_loss(tmp_path):
    swarm = _load(tmp_path, {"y": log_linear, "z": log_weight}, noise=0.5)
    for fit in _validate(swarm):
        losses = {name: candidate.cv_loss for name, candidate in fit.candidates.items()}
        assert losses[fit.chosen] == min(losses.values())


def test_held_out_predictions_never_see_their_own_run(tmp_path):
    swarm = _load(tmp_path, num=24)
    before = _validate(swarm)[0]
    for group in (0, 7, 19):
        values = swarm.values.copy()
        values[swarm.group == group] += 0.5
        after = _validate(replace(swarm, values=values))[0]
        for law in ("log_linear", "log_weight"):
            old, new = before.candidates[law], after.candidates[law]
            assert new.cv_predictions[group] == old.cv_predictions[group]
            assert (new.cv_predictions != old.cv_predictions).any()


def test_replicates_are_left_out_together(tmp_path):
    swarm = _load(tmp_path, num=20, replicates=4)
    assert (swarm.group == 0).sum() == 4
    before = _validate(swarm)[0].best.cv_predictions[0]
    values = swarm.values.copy()
    # Were one replicate fitted while another is left out, this would leak.
    values[np.flatnonzero(swarm.group == 0)[1:]] += 3.0
    assert _validate(replace(swarm, values=values))[0].best.cv_predictions[0] == before


def test_as_many_folds_as_mixtures_leave_one_out(tmp_path):
    swarm = _load(tmp_path, num=12)
    fit = cross_validate(swarm, (LogLinear(),), np.arange(12))[0]
    x, y = swarm.unique_mixtures, swarm.averaged()[0][0]
    counts = swarm.averaged()[1][0]
    kept = np.arange(12) != 5
    # The features keep the centre of all mixtures, so rows are weighed and not dropped.
    alone = LogLinear().fit(x, y, counts * kept)
    assert fit.best.cv_predictions[5] == pytest.approx(alone.predict(x[[5]])[0], rel=1e-9)


def test_scores_agree_with_scipy():
    rng = np.random.default_rng(0)
    for _ in range(20):
        measured = rng.integers(0, 8, 25).astype(float)
        predicted = np.round(measured + rng.normal(0, 3, 25))
        found = scores(measured, predicted)
        assert found.spearman == pytest.approx(stats.spearmanr(measured, predicted).statistic)
        assert found.pearson == pytest.approx(stats.pearsonr(measured, predicted).statistic)
        assert found.rmse == pytest.approx(np.sqrt(np.mean((measured - predicted) ** 2)))
        residual = ((measured - predicted) ** 2).sum() / ((measured - measured.mean()) ** 2).sum()
        assert found.r2 == pytest.approx(1 - residual)
        p_value = stats.spearmanr(measured, predicted, alternative="greater").pvalue
        assert rank_p_value(measured, predicted) == pytest.approx(p_value)


def test_predictions_that_do_not_vary_have_no_correlation():
    found = scores(np.arange(5.0), np.full(5, 2.0))
    assert (found.spearman, found.pearson) == (0.0, 0.0)
    assert found.r2 == pytest.approx(0.0)
    assert scores(np.full(5, 2.0), np.arange(5.0)).r2 == 0.0


def test_perfect_ranks_have_a_small_p_value_and_two_runs_none():
    assert rank_p_value(np.arange(20.0), np.arange(20.0)) < 1e-10
    assert rank_p_value(np.arange(20.0), -np.arange(20.0)) > 0.999
    assert rank_p_value(np.arange(2.0), np.arange(2.0)) == 1.0


def test_noise_is_the_pooled_deviation_between_replicates(tmp_path):
    swarm = _load(tmp_path, num=12, replicates=5)
    own = swarm.values[swarm.group == 0, 0]
    assert noise_of(swarm, 0)[0] == pytest.approx(np.std(own, ddof=1))
    lone = _load(tmp_path, num=12, replicates=1)
    assert noise_of(lone, 0) == (None, 0)


def test_pure_noise_is_seldom_called_a_signal(tmp_path):
    called = [_validate(_load(tmp_path, {"y": flat}, seed=s))[0].signal for s in range(30)]
    # 5% are expected at most; 6 of 30 would be one in a thousand.
    assert sum(called) <= 5


def test_a_metric_of_which_more_is_better_is_predicted_as_well(tmp_path):
    planted = plant(tmp_path, {"y": log_linear})
    planted.metrics["up"] = [-v for v in planted.metrics["y"]]
    config = planted.write().config(lower_is_better={"up": False})
    y, up = _validate(read_swarm(config))[::-1]
    assert up.best.cv.spearman > 0.9
    assert up.best.cv.rmse < 3 * y.best.cv.rmse


def test_runs_held_out_of_every_fit_are_scored_apart(tmp_path):
    planted = plant(tmp_path, {"y": log_linear}, num=30)
    swarm = read_swarm(planted.config(regression={"n_test": 6}))
    assert swarm.held_out.sum() >= 6
    fit = _validate(swarm)[0]
    assert fit.best.test.spearman > 0.8
    values = swarm.values.copy()
    values[swarm.held_out] = 99.0
    again = _validate(replace(swarm, values=values))[0]
    np.testing.assert_array_equal(again.best.cv_predictions, fit.best.cv_predictions)
    assert again.best.law.to_plain() == fit.best.law.to_plain()


def test_a_metric_whose_runs_lie_in_one_fold_is_refused(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "z": log_linear}, num=40, replicates=1)
    swarm = read_swarm(planted.config())
    folds = assign_folds(swarm.num_groups, 5, 0)
    values = swarm.values.copy()
    values[folds != 2, 1] = np.nan
    with pytest.raises(DataError, match="z: nearly all its runs are in one fold"):
        cross_validate(replace(swarm, values=values), LAWS, folds)


def test_a_diverged_run_does_not_change_the_choice(tmp_path):
    for value in (20.0, 1e6, 1e30):
        planted = plant(tmp_path, {"y": log_linear, "z": log_weight}, num=36)
        for column in planted.metrics.values():
            column[9] = value
        swarm = read_swarm(planted.write().config())
        assert [_main_law(fit) for fit in _validate(swarm)] == ["log_linear", "log_weight"]
