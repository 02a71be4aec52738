"""From a budget to runs."""

import csv
import math
import shlex
from dataclasses import replace

import pytest

from fit_fixtures import log_weight, plant
from olmix.cli.main import main
from olmix.config import GenerationConfig, LaunchConfig
from olmix.errors import ConfigError, DataError
from olmix.fit import fit_swarm
from olmix.plan import PUBLIC, Target, curve_of_fit, make_plan, plans_of, write_plan

LARGE = Target(1e5, 1e6)
ROUND = ("generate", "launch preview", "launch run", "collect", "fit")
BUDGET = 1e13
"""Enough for models of some thousand parameters, as those of the fixture are."""


def _run(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


@pytest.mark.parametrize("flops", [1e12, 1e13, 1e14])
def test_a_plan_keeps_the_budget_and_the_tokens_per_parameter(tiny, flops):
    base = LaunchConfig.from_yaml(tiny.launch)
    plans, _ = plans_of(base, flops, LARGE, PUBLIC, 0.1)
    for plan in plans:
        run = base.resized("run", plan.training).training
        assert run.num_parameters == plan.parameters
        assert run.num_tokens / run.num_parameters == pytest.approx(LARGE.ratio, rel=0.01)
        each = 6 * run.num_parameters * run.num_tokens
        # Swarm, verification, and a ladder whose second rung has 16 times the operations.
        assert plan.flops == pytest.approx(each * (plan.num_runs + 20 + 6 * 17))
        assert plan.flops <= flops
        assert plan.num_runs == plan.rounds * plan.first_runs
        assert plan.variants + 2 * (1 + plan.replicates) == plan.first_runs


def test_what_the_base_is_matched_to_says_nothing_of_another_large_run(tiny):
    """A base of an earlier study may name a large run that is shorter than a run of this plan."""
    base = LaunchConfig.from_yaml(tiny.launch)
    matched = base.resized("base", {"target_tokens": base.training.num_tokens})
    assert plans_of(matched, BUDGET, LARGE, PUBLIC, 0.1) == plans_of(
        base, BUDGET, LARGE, PUBLIC, 0.1
    )


def test_more_runs_are_smaller_and_promise_less_error(tiny):
    plans, _ = plans_of(LaunchConfig.from_yaml(tiny.launch), BUDGET, LARGE, PUBLIC, 0.1)
    assert len(plans) > 2
    assert [p.parameters for p in plans] == sorted((p.parameters for p in plans), reverse=True)
    assert [p.error for p in plans] == sorted((p.error for p in plans), reverse=True)


def test_the_fewest_runs_that_reach_the_error_are_recommended(tiny):
    base = LaunchConfig.from_yaml(tiny.launch)
    assert plans_of(base, BUDGET, LARGE, PUBLIC, 0.1)[1].num_runs == 64
    assert plans_of(base, BUDGET, LARGE, PUBLIC, 0.3)[1].num_runs == 32
    plans, best = plans_of(base, BUDGET, LARGE, PUBLIC, 1e-6)
    assert best is plans[-1]


def test_models_are_not_larger_than_the_target(tiny):
    base = LaunchConfig.from_yaml(tiny.launch)
    plan = make_plan(base, 32, 1e30, LARGE, PUBLIC)
    assert plan.parameters <= LARGE.parameters
    assert plan.tokens <= LARGE.tokens


def test_a_budget_for_no_run_is_refused(tiny):
    with pytest.raises(ConfigError, match="not enough for any run"):
        plans_of(LaunchConfig.from_yaml(tiny.launch), 1e3, LARGE, PUBLIC, 0.1)


def test_the_table_is_met_at_its_points_and_many_domains_take_more_runs():
    assert PUBLIC.regret(64, 17) == pytest.approx(0.098)
    assert PUBLIC.regret(64, 24) == pytest.approx(0.098)
    assert PUBLIC.regret(128, 48) == pytest.approx(0.098)
    assert PUBLIC.regret(512, 17) < PUBLIC.regret(256, 17)


def test_two_rounds_have_an_error_of_their_own_and_are_taken_where_it_is_less(tiny):
    base = LaunchConfig.from_yaml(tiny.launch)
    small, large = (make_plan(base, number, BUDGET, LARGE, PUBLIC) for number in (64, 128))
    assert len(small.errors) == 1  # 32 runs are too few for a fit that places the others
    assert large.errors == (PUBLIC.regret(128, 3), PUBLIC.regret(128, 3, in_rounds=True))
    assert large.errors[1] / large.errors[0] == pytest.approx(0.53)
    assert (large.rounds, large.error, large.first_runs) == (2, large.errors[1], 64)
    worse = replace(large, errors=(0.05, 0.07))
    assert (worse.rounds, worse.error, worse.first_runs) == (1, 0.05, 128)


def test_a_fit_says_its_own_error_and_a_learning_curve_how_it_falls(tmp_path):
    planted = plant(tmp_path, {"y": log_weight}, num=40, noise=0.3)
    laws = {"type": "log_weight"}
    plain = fit_swarm(planted.config(regression=laws), tmp_path / "fit")
    alone = curve_of_fit(plain.folder)
    assert alone.runs == len(planted.runs)
    assert alone.error == pytest.approx(math.sqrt(1 - plain.fit.objective.cv.r2))
    shares = {**laws, "train_split": [1, 0.5]}
    split = curve_of_fit(fit_swarm(planted.config(regression=shares), tmp_path / "fit").folder)
    assert "learning curve" in split.source
    assert "slope of public swarms" in alone.source
    assert alone.regret(400, 4) < alone.regret(40, 4)


def test_the_configs_of_a_plan_run_through_generate_and_preview(tiny, capsys):
    out = tiny.folder / "plan"
    words = ["plan", "-c", tiny.generation, "--flops", "1e13", "--target-parameters", "4e3"]
    status, shown, err = _run(capsys, *words, "--target-tokens", "4e4", "-o", out)
    assert status == 0, err
    assert "64 *" in shown
    assert "below 1M parameters" in err
    sampled = GenerationConfig.from_yaml(out / "generation.yaml")
    launch = LaunchConfig.from_yaml(out / "launch.yaml")
    assert sampled.max_tokens == launch.training.num_tokens
    assert sampled.target_tokens == launch.training.target_tokens == 40_000
    assert "# " in (out / "launch.yaml").read_text()
    commands = [shlex.split(line)[1:] for line in shown.splitlines() if line.startswith("olmix ")]
    stages = [" ".join(words[: 2 if words[0] == "launch" else 1]) for words in commands]
    assert stages == [*ROUND, "verify", "verify"]
    status, _, err = _run(capsys, *commands[0], "--no-plots")
    assert status == 0, err
    with (out / "variants" / "swarm.csv").open() as lines:
        assert len(list(csv.DictReader(lines))) == 64
    status, shown, err = _run(capsys, *commands[1])
    assert status == 0, err
    assert "64 runs" in shown + err


def test_a_large_run_that_the_domains_cannot_fill_is_refused_before_anything_is_written(tiny):
    base = LaunchConfig.from_yaml(tiny.launch)
    generation = GenerationConfig.from_yaml(tiny.generation)
    plan = make_plan(base, 32, BUDGET, LARGE, PUBLIC)
    with pytest.raises(ConfigError, match=r"60,000 tokens x 1 passes .* to 16.7"):
        write_plan(tiny.folder / "plan", generation, base, plan, LARGE)
    assert not (tiny.folder / "plan").exists()


def test_configs_that_are_there_are_not_replaced(tiny):
    base, generation = (
        LaunchConfig.from_yaml(tiny.launch),
        GenerationConfig.from_yaml(tiny.generation),
    )
    plan = make_plan(base, 32, BUDGET, LARGE, PUBLIC)
    with pytest.raises(DataError, match="already exists"):
        write_plan(tiny.folder, generation, base, plan, LARGE)


def test_gpu_hours_are_a_budget_too_and_one_of_the_two_is_needed(tiny, capsys):
    words = ["plan", "-c", tiny.generation, "--target-parameters", "1e5", "--target-tokens", "1e6"]
    status, by_hours, _ = _run(capsys, *words, "--gpu-hours", "1", "--flops-per-gpu", "1e10")
    assert status == 0
    assert _run(capsys, *words, "--flops", "3.6e13")[1] == by_hours
    assert _run(capsys, *words)[0] == 2


def test_the_generation_config_is_read_even_if_nothing_is_written(tiny, capsys):
    words = ["plan", "--target-parameters", "1e5", "--target-tokens", "1e6", "--flops", "3e13"]
    missing = tiny.folder / "generatoin.yaml"
    status, _, err = _run(capsys, *words, "-c", missing)
    assert status == 2
    assert "generatoin.yaml" in err
