"""Which domains matter, and how far the runs came at what cost."""

import math

import pytest

from olmix.records.fit.folder import read_fit_folder
from olmix.report.swarm_figures import swarm_plans
from sample_fit import write_sample_fit


def plans(tmp_path, objective, **how):
    content = read_fit_folder(write_sample_fit(tmp_path / "fit" / "abc", **how))
    return {plan.stem: plan for plan in swarm_plans(content, objective(content))}, content


def values(content):
    return {run: 2.0 - 0.01 * i for i, run in enumerate(content.runs)}


def test_the_domains_are_those_of_the_objective_the_largest_effect_first(tmp_path):
    found, content = plans(tmp_path, values)
    row = dict(zip(content.domains, content.effects[0], strict=True))
    largest = max(row, key=lambda domain: abs(row[domain]))
    # Lower is better: what raises the metric harms.
    gain = f"{-0.1 * row[largest]:+.3f}".replace("-", "−")
    assert f"positive is better. {largest} {gain}" in found["domains"].alt
    assert content.objective.name in found["domains"].title


def test_of_many_domains_those_with_most_effect_are_drawn(tmp_path):
    found, _ = plans(tmp_path, values, num_domains=64, num_runs=40)
    assert "The 20 of 64 domains with the largest effect" in found["domains"].caption


def test_the_best_run_is_told_with_its_number(tmp_path):
    found, content = plans(tmp_path, values)
    assert f"number {len(content.runs)} of {len(content.runs)}" in found["best_so_far"].alt
    assert "fresh seeds" in found["best_so_far"].caption


@pytest.mark.parametrize("kept", [0, 1])
def test_without_runs_to_compare_there_is_no_best_so_far(tmp_path, kept):
    def few(content):
        return dict(list(values(content).items())[:kept])

    assert "best_so_far" not in plans(tmp_path, few)[0]


def test_runs_without_a_value_are_left_out(tmp_path):
    def half(content):
        return {r: v if i % 2 else math.nan for i, (r, v) in enumerate(values(content).items())}

    found, content = plans(tmp_path, half)
    assert found["best_so_far"].caption.startswith(f"{len(content.runs) // 2} runs")
