"""How the metrics of a fit come from what runs measure."""

import json

import pytest

from olmix.errors import DataError
from olmix.records.fit.columns import Columns
from olmix.records.fit.settings import FitSettings
from olmix.records.metric import Metric, Objective
from olmix.records.mmlu import QUESTIONS
from olmix.records.typed_json import parse


def _settings(plain):
    return parse(FitSettings, json.dumps(plain).encode(), "config.json", "")


LAW = {f"mmlu_{task}": float(n) for n, task in enumerate(QUESTIONS["humanities"])}
FAMILIES = Columns.of(
    _settings(
        {
            "regression": {"aggregate_task_families": True},
            "eval": {
                "tasks": {"qa": ["arc", "mmlu_humanities", "gone"], "code": {"1": "human_eval"}}
            },
            "filtering": {"drop_metrics": ["gone"]},
        }
    )
)


def _objective(*metrics):
    return Objective.build(metrics)


def test_a_category_of_mmlu_is_the_mean_of_its_subtasks_by_their_questions():
    questions = QUESTIONS["humanities"]
    wanted = sum(n * LAW[f"mmlu_{task}"] for task, n in questions.items()) / sum(questions.values())
    objective = _objective(Metric("mmlu_humanities", lower_is_better=False))
    assert Columns().value(objective, LAW) == pytest.approx(wanted)
    assert Columns().value(objective, {**LAW, "mmlu_humanities": 0.5}) == 0.5


def test_a_family_that_was_averaged_is_the_plain_mean_of_its_members():
    values = {"arc": 0.2, "mmlu_humanities": 0.6, "human_eval": 3.0, "gone": 9.0}
    objective = _objective(Metric("qa", lower_is_better=False, weight=3.0), Metric("code"))
    assert FAMILIES.value(objective, values) == pytest.approx((-3 * 0.4 + 3.0) / 4)
    assert FAMILIES.missing(objective, {"arc"}) == ("mmlu_humanities", "human_eval")


def test_without_families_in_the_config_all_columns_are_one():
    columns = Columns.of(_settings({"regression": {"aggregate_task_families": True}}), ["b", "a"])
    assert columns.value(_objective(Metric("all")), {"a": 1.0, "b": 2.0, "c": 9.0}) == 1.5


def test_what_is_missing_is_named_beside_what_is_measured():
    objective = _objective(Metric("code_bpd"), Metric("math_bpb"))
    with pytest.raises(DataError, match=r"code_bpd \(did you mean code_bpb\?\).*measures code_bpb"):
        Columns().value(objective, {"code_bpb": 1.0, "math_bpb": 1.0})
    some = dict(list(LAW.items())[:-1])
    assert Columns().missing(_objective(Metric("mmlu_humanities")), some) == (
        "mmlu_world_religions",
    )
    assert Columns().missing(_objective(Metric("mmlu_humanities")), {"a"}) == ("mmlu_humanities",)
