"""A condition that can never hold is an error, not a run that is missing or one too many."""

import pytest
from sweep_studies import BASE

from olmix.sweep import ExperimentSchemaError, build_plan


def plan(when, **sections):
    made = {
        "experiment_name": "x",
        "base_config": BASE,
        "variables": {"lora_rank": [8, 16], "learning_rate": [1e-4, 3e-4]},
        "conditions": [{"when": when, "skip": True}],
    }
    return build_plan(made | sections)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"lora_rank": "8"}, 'no run has lora_rank = "8", it is 8 or 16; drop the quotes'),
        ({"lora_rank": 12}, "no run has lora_rank = 12, it is 8 or 16"),
        ({"lora_rank": True}, "no run has lora_rank = true"),
        ({"lora_rank": [4, 5]}, "no run has lora_rank = 5"),
        ({"lora_rank": 8, "learning_rate": 2e-4}, "no run has learning_rate = 0.0002"),
    ],
)
def test_a_value_that_no_run_has_is_an_error(when, said):
    with pytest.raises(ExperimentSchemaError) as found:
        plan(when)
    assert said in str(found.value)


def test_values_that_never_meet_are_an_error():
    paired = [{"batch_size": [2, 4], "gradient_accumulation_steps": [16, 8]}]
    sections = {"paired": paired, "variables": {"lora_rank": [8]}}
    with pytest.raises(ExperimentSchemaError, match="no run has all of these values together"):
        plan({"batch_size": 2, "gradient_accumulation_steps": 8}, **sections)


def test_one_value_too_many_in_a_list_is_a_warning():
    found = plan({"lora_rank": [8, 12]})
    assert len(found.runs) == 2
    assert any("no run has lora_rank = 12" in finding.what for finding in found.findings)


def test_what_holds_is_left_in_peace():
    assert len(plan({"lora_rank": 8.0}).runs) == 2
    sections = {"controls": {"lora_alpha": "${mul:2,${lora_rank}}"}}
    assert len(plan({"lora_alpha": 32}, **sections).runs) == 2


@pytest.mark.parametrize(("value", "fits"), [(20, True), (21, False), (4, True), (36, False)])
def test_a_condition_on_a_range_may_hold_where_the_range_has_the_value(value, fits):
    sections = {
        "variables": {"lora_rank": {"min": 4, "max": 34, "step": 8}},
        "sampler": {"type": "random", "runs": 2, "seed": 1},
    }
    if fits:
        plan({"lora_rank": value}, **sections)
        return
    with pytest.raises(ExperimentSchemaError, match=f"no run has lora_rank = {value}, its range"):
        plan({"lora_rank": value}, **sections)
