import json
import math
from dataclasses import replace

import numpy as np
import pytest

from olmix.config import LaunchConfig
from olmix.errors import ConfigError, DataError
from olmix.records.fit.columns import Columns
from olmix.records.fit.ledger import add_entry, entry_of, read_ledger
from olmix.records.fit.proposal import PredictedValue
from olmix.records.fit.scores import Fit, FittedMetric, LawScores, UsedRuns
from olmix.records.fit.verification import read_verification, write_verification
from olmix.records.mmlu import QUESTIONS
from olmix.text.files import write_json
from olmix.verify import compare, plan_verification
from olmix.verify.compare import paired_gain

WEIGHTS = {
    "natural": {"a": 0.6, "b": 0.3, "c": 0.1},
    "uniform": {"a": 0.4, "b": 0.3, "c": 0.3},
    "best_seen": {"a": 0.2, "b": 0.2, "c": 0.6},
    "proposed": {"a": 0.1, "b": 0.2, "c": 0.7},
}


def _fit(folder, *, objective=None, lower_is_better=True, weights=WEIGHTS, config=None):
    proposal = {
        "objective": objective
        or {
            "name": "a_bpb",
            "lower_is_better": lower_is_better,
            "metrics": {"a_bpb": 1.0, "b_bpb": 0.0},
        },
        "mixtures": {name: {"weights": mix} for name, mix in weights.items()},
        "gains": {"natural": {"mean": 0.1, "low": 0.05, "high": 0.15}},
        "reliable": True,
        "statement": "It is better.",
    }
    write_json(folder / "proposal.json", proposal)
    tables = {"swarm": {"ratios": str(folder / "ratios.csv")}}
    write_json(folder / "config.json", {**tables, **(config or {})})
    (folder / "runs.csv").write_text("run,state,seed\nr0,finished,0\nr1,finished,2001\n")
    return folder


def _plan(tiny, num_seeds=3, **changes):
    folder = tiny.folder / "fit"
    return plan_verification(
        _fit(folder, **changes), LaunchConfig.from_yaml(tiny.launch), num_seeds
    )


def _metrics(plan, gain=0.1, spread=0.01):
    """Return metrics in which the proposal is better than all others by `gain`."""
    rng = np.random.default_rng(0)
    level = {seed: 2 + rng.normal() for seed in plan.seeds}
    values = {}
    for (mixture, seed), run in plan.run_of.items():
        shift = -gain if mixture == "proposed" else 0.0
        value = level[seed] + shift + spread * rng.normal()
        values[run] = {"a_bpb": value, "b_bpb": 5.0}
    return values


def test_every_mixture_is_trained_with_every_seed_and_no_seed_was_used_before(tiny):
    plan = _plan(tiny, num_seeds=4)
    assert plan.seeds == (2000, 2002, 2003, 2004)
    assert len(plan.runs) == 16
    seeds = {run.name: run.training.seed for run in plan.runs}
    for (_, seed), run in plan.run_of.items():
        assert seeds[run] == seed


def test_mixtures_that_are_the_same_share_their_runs(tiny):
    plan = _plan(tiny, weights={**WEIGHTS, "best_seen": WEIGHTS["uniform"]})
    assert len(plan.runs) == 9
    assert plan.run_of["best_seen", 2000] == plan.run_of["uniform", 2000]


def test_fewer_than_three_seeds_give_no_error_bar_and_are_refused(tiny):
    with pytest.raises(ConfigError, match="at least 3"):
        _plan(tiny, num_seeds=2)


def test_a_fit_without_a_proposal_cannot_be_verified(tiny, tmp_path):
    with pytest.raises(DataError, match=r"holds no proposal\.json"):
        plan_verification(tmp_path, LaunchConfig.from_yaml(tiny.launch), 3)


def test_a_base_with_other_domains_is_refused(tiny):
    mixture = {"a": 0.5, "x": 0.5}
    with pytest.raises(ConfigError, match="no domain x"):
        _plan(tiny, weights=dict.fromkeys(WEIGHTS, mixture))


def test_pairing_removes_the_noise_that_seeds_share(tiny):
    plan = _plan(tiny)
    result = compare(plan, _metrics(plan))
    gain = result.gains["natural"]
    assert gain.mean == pytest.approx(0.1, abs=0.03)
    assert gain.std_error < 0.02 < result.mixtures["natural"].std_error
    assert result.statement.startswith(
        "The proposed mixture is better than natural by a gain of 0."
    )
    assert "bits per byte (lower is better); better than uniform by" in result.statement


def test_a_gain_within_the_noise_is_called_that(tiny):
    plan = _plan(tiny)
    result = compare(plan, _metrics(plan, gain=0.0))
    assert "not distinguishable from natural" in result.statement


def test_a_loss_is_called_a_loss(tiny):
    plan = _plan(tiny)
    assert "worse than natural" in compare(plan, _metrics(plan, gain=-0.5)).statement


def test_where_higher_is_better_a_rise_is_a_gain(tiny):
    plan = _plan(tiny, lower_is_better=False)
    assert compare(plan, _metrics(plan, gain=-0.5)).gains["natural"].mean > 0


def test_runs_that_are_not_finished_are_named(tiny):
    plan = _plan(tiny)
    metrics = _metrics(plan)
    metrics.pop("uniform-seed-2000")
    with pytest.raises(DataError, match="uniform-seed-2000"):
        compare(plan, metrics)


def test_a_paired_gain_agrees_with_the_textbook():
    differences = np.array([0.1, 0.2, 0.3, 0.2])
    gain = paired_gain(differences)
    assert gain.mean == pytest.approx(0.2)
    assert gain.std_error == pytest.approx(np.std(differences, ddof=1) / 2)
    # t(0.95, 3 degrees of freedom) = 2.353363
    assert gain.high - gain.mean == pytest.approx(2.353363 * gain.std_error, rel=1e-6)
    # Two-sided, of t = 4.898979.
    assert gain.p_value == pytest.approx(0.016275, rel=1e-3)


def test_the_same_mixture_twice_is_no_gain():
    gain = paired_gain(np.zeros(3))
    assert (gain.mean, gain.p_value) == (0.0, 1.0)


def test_the_files_hold_every_run(tiny):
    plan = _plan(tiny)
    metrics = _metrics(plan)
    result = compare(plan, metrics)
    write_verification(tiny.folder / "fit", result, plan.run_of, metrics)
    assert json.loads((tiny.folder / "fit/verification.json").read_text()) == result.to_plain()
    assert read_verification(tiny.folder / "fit").level == 0.9
    assert len((tiny.folder / "fit/verification.csv").read_text().splitlines()) == 13


MIXED = {
    "name": "average of all metrics",
    "lower_is_better": True,
    "metrics": {"a_bpb": 0.75, "b_bpb": 0.25},
    "signs": {"a_bpb": 1, "b_bpb": -1},
}


def test_a_metric_of_the_other_direction_enters_with_its_sign(tiny):
    """The proposal has the same a, and more of b, which is better."""
    plan = _plan(tiny, objective=MIXED)
    better = {
        run: {"a_bpb": 2.0, "b_bpb": 0.5 + 0.001 * i} for i, run in enumerate(plan.run_of.values())
    }
    for (mixture, _), run in plan.run_of.items():
        if mixture == "proposed":
            better[run]["b_bpb"] += 0.4
    result = compare(plan, better)
    assert result.gains["natural"].mean == pytest.approx(0.25 * 0.4, abs=0.01)
    assert result.unit == ""
    assert "better than natural by a gain of 0.10" in result.statement
    assert "(positive is better)" in result.statement
    assert "BPB" not in result.statement


def test_where_all_metrics_are_better_when_higher_the_words_say_so(tiny):
    plan = _plan(tiny, lower_is_better=False)
    result = compare(plan, _metrics(plan, gain=-0.5))
    assert "bits per byte (higher is better)" in result.statement


def test_a_metric_that_the_trainer_does_not_measure_is_refused_before_anything_is_trained(tiny):
    objective = {**MIXED, "metrics": {"a_bpb": 0.5, "arc_challenge_bpb": 0.5, "d_bpb": 0.0}}
    with pytest.raises(DataError, match="needs arc_challenge_bpb.*it measures a_bpb, b_bpb"):
        _plan(tiny, objective=objective)


def test_what_a_run_did_not_measure_is_named(tiny):
    plan = _plan(tiny, objective=MIXED)
    metrics = _metrics(plan)
    del metrics["uniform-seed-2002"]["b_bpb"]
    with pytest.raises(
        DataError, match="needs b_bpb, which run uniform-seed-2002 does not measure.*a_bpb"
    ):
        compare(plan, metrics)


def test_a_metric_beside_the_objective_may_be_missing_from_a_run(tiny):
    plan = _plan(tiny)
    metrics = _metrics(plan)
    metrics["uniform-seed-2002"]["extra"] = 1.0
    del metrics["natural-seed-2000"]["b_bpb"]
    result = compare(plan, metrics)
    assert math.isnan(result.metrics["b_bpb"]["natural"].mean)
    assert result.metrics["b_bpb"]["uniform"].mean == 5.0
    assert math.isnan(result.metrics["extra"]["uniform"].mean)
    write_verification(tiny.folder / "fit", result, plan.run_of, metrics)
    rows = (tiny.folder / "fit/verification.csv").read_text().splitlines()
    assert rows[1].endswith(",,")
    assert read_verification(tiny.folder / "fit").metrics["b_bpb"]["uniform"].mean == 5.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_run_that_measured_no_finite_value_is_not_compared(tiny, value):
    plan = _plan(tiny)
    metrics = _metrics(plan)
    metrics["natural-seed-2000"]["a_bpb"] = value
    result = compare(plan, metrics)
    assert "not comparable with natural, since a run has no finite value" in result.statement
    assert "better than uniform" in result.statement
    json.dumps(result.to_plain(), allow_nan=False)


def test_families_and_categories_are_averaged_as_in_the_fit(tiny):
    tasks = QUESTIONS["other"]
    config = {
        "regression": {"aggregate_task_families": True},
        "eval": {"tasks": {"qa": ["a_bpb", "b_bpb"], "mmlu": ["c_bpb"]}},
    }
    objective = {"name": "qa", "lower_is_better": True, "metrics": {"qa": 1.0}}
    plan = _plan(tiny, objective=objective, config=config)
    metrics = _metrics(plan)
    run = plan.run_of["natural", 2000]
    expected = (metrics[run]["a_bpb"] + 5.0) / 2
    assert compare(plan, metrics).mixtures["natural"].values[0] == pytest.approx(expected)
    with pytest.raises(DataError, match="needs mmlu_other, which the trainer"):
        _plan(tiny, objective={**objective, "metrics": {"mmlu_other": 1.0}})
    category = replace(plan, columns=Columns(), proposal=_category(plan.proposal))
    for n, values in enumerate(metrics.values()):
        values |= {f"mmlu_{task}": float(n) for task in tasks}
    assert compare(category, metrics).mixtures["natural"].values[0] == pytest.approx(
        list(metrics).index(run)
    )


def _category(proposal):
    return replace(
        proposal, objective=replace(proposal.objective, metrics={"mmlu_other": 1.0}, signs={})
    )


def test_a_verification_is_noted_in_the_ledger_of_the_study(tiny):
    plan = _plan(tiny)
    result = compare(plan, _metrics(plan))
    proposal = replace(
        plan.proposal,
        mixtures={
            **plan.proposal.mixtures,
            "proposed": replace(
                plan.proposal.mixtures["proposed"], predicted=PredictedValue(1.5, 1.4, 1.6)
            ),
        },
    )
    law = FittedMetric(True, 9, 1.0, "gp_sqrt", {"gp_sqrt": LawScores()}, name="a_bpb")
    fit = Fit(domains=("a",), metrics={"a_bpb": law}, runs=UsedRuns(("r0", "r1")))
    folder = tiny.folder / "fit"
    entry = entry_of(folder, fit, proposal, result, (6_400, None))
    add_entry(folder, entry)
    (found,) = read_ledger(folder)
    assert found == entry
    assert found.laws == {"a_bpb": "gp_sqrt"}
    assert (found.promise, found.num_runs, found.seeds) == (1.5, 2, plan.seeds)
    assert found.optimism == pytest.approx(result.mixtures["proposed"].mean - 1.5)
    assert found.measured_gain.mean == pytest.approx(0.1, abs=0.05)
