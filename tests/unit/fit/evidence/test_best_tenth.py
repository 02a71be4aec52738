"""Laws judged by what they would have proposed: the best tenth of the mixtures left out."""

from dataclasses import replace

import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant
from olmix.fit import fit_swarm
from olmix.fit.calibration import student
from olmix.fit.evidence.best_tenth import (
    LeftOut,
    best_tenth,
    judge_picks,
    leave_out_best,
    leave_out_outermost,
    outermost_tenth,
    widened,
)
from olmix.fit.models_file import restore_left_out
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws
from olmix.fit.uncertainty import bootstrap, estimate
from olmix.laws.log_weight import LogWeight
from olmix.laws.stack import STACKED
from olmix.records.fit.scores import AUTO, read_fit


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    planted = plant(tmp_path_factory.mktemp("two"), {"a": log_linear, "b": log_weight}, num=40)
    config = planted.config()
    return fit_laws(config, read_swarm(config))


def test_a_tenth_of_the_mixtures_with_the_best_objective_is_left_out(two):
    rows = best_tenth(two.swarm)
    assert len(rows) == 4
    values, _ = two.swarm.averaged()
    objective = two.swarm.objective_weights @ values
    assert set(rows) == set(np.argsort(objective)[:4])


def test_of_few_mixtures_none_are_left_out(tmp_path):
    config = plant(tmp_path, {"a": log_weight}, num=19).config(regression={"type": "log_weight"})
    fit = fit_laws(config, read_swarm(config))
    assert leave_out_best(fit) is None


def test_predictions_are_those_of_a_law_that_has_not_seen_the_best_runs(two):
    left_out = leave_out_best(two)
    swarm = two.swarm
    values, counts = swarm.averaged()
    kept = np.setdiff1d(np.arange(swarm.num_groups), left_out.rows)
    mixtures = swarm.unique_mixtures
    alone = LogWeight().fit_many(mixtures[kept], values[:, kept], counts[:, kept])
    for name, law in zip(swarm.metrics, alone, strict=True):
        there = left_out.predictions[name]["log_weight"]
        np.testing.assert_allclose(there, law.predict(mixtures[left_out.rows]), rtol=1e-3)


def test_promise_truth_optimism_and_regret_are_of_the_mixture_that_a_law_picks(two):
    left_out = leave_out_best(two)
    # A law that promises 1 and 2 of the first two, and of the third what comes true.
    swarm = two.swarm
    values, _ = swarm.averaged()
    truth = (swarm.objective_weights @ values)[left_out.rows]
    promised = truth + 1.0
    promised[2] = truth.min() - 0.25
    own = {**left_out.predictions["a"], "log_weight": promised}
    both = {"a": own, "b": {**left_out.predictions["b"], "log_weight": promised}}
    pick = judge_picks(two, LeftOut(left_out.rows, both)).laws["log_weight"]
    assert pick.promise == pytest.approx(truth.min() - 0.25)
    assert pick.truth == pytest.approx(truth[2])
    assert pick.optimism == pytest.approx(truth[2] - truth.min() + 0.25)
    assert pick.regret == pytest.approx(truth[2] - truth.min())


def test_intervals_beyond_the_runs_are_as_wide_as_the_best_tenth_was_missed(two):
    left_out, swarm = leave_out_best(two), two.swarm
    rows = left_out.rows
    measured = swarm.averaged()[0][:, rows]
    misses = {"a": np.full(len(rows), 0.3), "b": np.full(len(rows), -0.1)}
    names = {name: {*laws, *two.candidates} for name, laws in left_out.predictions.items()}
    off = {
        name: dict.fromkeys(names[name], values - misses[name])
        for name, values in zip(swarm.metrics, measured, strict=True)
    }
    found = widened(two, LeftOut(rows, off))
    t = student(len(rows))
    for fitted, miss in zip(found.fits, (0.3, 0.1), strict=True):
        assert fitted.calibration.beyond == pytest.approx(t * miss)
    errors = found.objective.calibration
    assert errors.beyond == pytest.approx(t * 0.1)
    objective = swarm.objective_weights @ measured
    assert (errors.good, errors.best) == (objective.max(), objective.min())
    assert widened(two, None) is two


def test_the_mixtures_farthest_from_the_mean_are_left_out_too(two):
    rows, mixtures = outermost_tenth(two.swarm), two.swarm.unique_mixtures
    assert len(rows) == 4
    centre = mixtures.mean(axis=0)
    near = (np.sqrt(mixtures) * np.sqrt(centre)).sum(axis=1)
    assert set(rows) == set(np.argsort(near)[:4])


@pytest.mark.parametrize("off", [0.0, 0.7])
def test_far_out_intervals_hold_what_was_missed_of_the_best_and_of_the_outermost(two, off):
    best, farthest = leave_out_best(two), leave_out_outermost(two)
    measured = two.swarm.averaged()[0][:, farthest.rows]
    missed = {
        name: dict.fromkeys({*laws, *two.candidates}, values - off)
        for (name, laws), values in zip(farthest.predictions.items(), measured, strict=True)
    }
    found = widened(two, best, LeftOut(farthest.rows, missed))
    for fitted, alone in zip(found.fits, widened(two, best).fits, strict=True):
        errors = fitted.calibration
        assert errors.beyond == alone.calibration.beyond
        assert errors.outer == pytest.approx(max(errors.beyond, student(4) * off))


def test_a_gain_is_as_unsure_as_the_best_tenth_was_missed(two):
    best = two.swarm.unique_mixtures[leave_out_best(two).rows].mean(axis=0)
    rows = np.stack([best, two.natural])
    errors = replace(two.objective.calibration, beyond=5.0, good=9.0, best=8.0)
    unsure = replace(two.objective, calibration=errors)
    known, told = (
        estimate(bootstrap(two.swarm, two.fits, rows, two.draw(rows), fit), 0)
        for fit in (two.objective, unsure)
    )
    assert known.high - known.mean < 1
    assert told.high - told.mean == pytest.approx(5.0, rel=0.2)


def test_every_law_and_the_choice_are_judged(two):
    judged = judge_picks(two, leave_out_best(two))
    assert (judged.num_mixtures, judged.out_of) == (4, 40)
    assert set(judged.laws) == {*two.fits[0].candidates, AUTO}
    assert {STACKED, "gp_sqrt"} <= set(judged.laws)
    assert all(pick.regret >= 0 for pick in judged.laws.values())
    assert "of 40 mixtures" in judged.statement


def test_of_accuracies_a_promise_that_is_too_high_is_optimism(two):
    left_out = leave_out_best(two)
    turned = replace(two, swarm=replace(two.swarm, lower_is_better=(False, False)))
    values = -two.swarm.values
    turned = replace(turned, swarm=replace(turned.swarm, values=values, measured=values))
    for name, pick in judge_picks(two, left_out).laws.items():
        other = judge_picks(turned, left_out).laws[name]
        assert other.promise == pytest.approx(-pick.promise)
        assert other.optimism == pytest.approx(pick.optimism)
        assert other.regret == pytest.approx(pick.regret)


def test_of_families_each_law_is_judged_by_the_mean_over_their_metrics(tmp_path):
    truths = {"arc_bpb": log_linear, "arc_easy_bpb": log_weight, "mmlu_bpb": log_weight}
    planted = plant(tmp_path, truths, num=24)
    families = {"x": ["arc_bpb", "arc_easy_bpb"], "y": ["mmlu_bpb"]}
    settings = {"type": "log_weight", "aggregate_task_families": True}
    config = planted.config(eval={"type": "offline", "tasks": families}, regression=settings)
    fit = fit_laws(config, read_swarm(config))
    left_out = leave_out_best(fit)
    assert set(left_out.predictions) == set(truths)
    own = [left_out.predictions[name]["log_weight"] for name in truths]
    promised = fit.swarm.objective_weights @ np.stack([(own[0] + own[1]) / 2, own[2]])
    pick = judge_picks(fit, left_out).laws["log_weight"]
    assert pick.promise == pytest.approx(promised.min())


def test_components_of_many_metrics_are_judged_too(tmp_path):
    truths = {f"m{index:02}": log_weight for index in range(12)}
    config = plant(tmp_path, truths, num=24).config(regression={"type": "gp", "num_folds": 2})
    fit = fit_laws(config, read_swarm(config))
    assert "components" in judge_picks(fit, leave_out_best(fit)).laws


def test_another_proposer_takes_over_what_was_left_out_and_another_objective_does_not(tmp_path):
    planted = plant(tmp_path, {"a": log_linear, "b": log_weight}, num=24)
    laws = {"regression": {"type": "log_weight"}}
    first = fit_swarm(planted.config(**laws), tmp_path / "fit")
    known = restore_left_out(first.folder / "models.json")
    assert set(known) == {"best_tenth", "outermost_tenth"}
    second = fit_swarm(planted.config(**laws, proposer={"kl_reg": 0.5}), tmp_path / "fit")
    assert second.folder != first.folder
    assert read_fit(second.folder).objective.best_tenth == first.fit.objective.best_tenth
    only_b = {"obj_weights": {"a": 0.0, "b": 1.0}}
    third = fit_swarm(planted.config(**laws, filtering=only_b), tmp_path / "fit")
    there = restore_left_out(third.folder / "models.json")["best_tenth"]
    assert set(there.rows) != set(known["best_tenth"].rows)
    config = planted.config(**laws, filtering=only_b)
    anew = leave_out_best(fit_laws(config, read_swarm(config)))
    assert set(there.predictions) == {"b"}
    np.testing.assert_allclose(
        there.predictions["b"]["log_weight"], anew.predictions["b"]["log_weight"], rtol=1e-6
    )
