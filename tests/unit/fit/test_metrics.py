import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant
from olmix.fit.metrics import select_metrics
from olmix.text.csv import read_table


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path, {"code_bpb": log_linear, "acc": log_weight, "docs_bpb": log_linear})


def _select(planted, **changes):
    found = select_metrics(planted.config(**changes), read_table(planted.folder / "metrics.csv"))
    return found, list(found.problems)


def _tasks(**families):
    return {"type": "offline", "tasks": families}


def test_without_eval_all_columns_take_part_in_the_order_of_their_names(planted):
    found, problems = _select(planted)
    assert found.names == ("acc", "code_bpb", "docs_bpb")
    assert found.weights.tolist() == [1, 1, 1]
    assert problems == []


def test_directions_are_said_by_name(planted):
    found, _ = _select(planted, lower_is_better={"acc": False})
    assert dict(zip(found.names, found.lower_is_better, strict=True)) == {
        "acc": False,
        "code_bpb": True,
        "docs_bpb": True,
    }


def test_unknown_names_are_all_reported_with_the_nearest(planted):
    _, problems = _select(
        planted,
        eval=_tasks(loss=["code_bqb", "docs_bpb"]),
        lower_is_better={"docs_bpd": False},
        filtering={"drop_metrics": ["acx"]},
    )
    assert len(problems) == 3
    assert "eval.tasks: there is no metric code_bqb; did you mean code_bpb?" in problems[0]
    assert "filtering.drop_metrics: there is no metric acx; did you mean acc?" in problems[1]
    assert "lower_is_better: there is no metric docs_bpd; did you mean docs_bpb?" in problems[2]


def test_an_objective_without_weight_is_refused(planted):
    weights = dict.fromkeys(("acc", "code_bpb", "docs_bpb"), 0.0)
    _, problems = _select(planted, filtering={"obj_weights": weights})
    assert problems == ["filtering.obj_weights: all weights are 0, so there is nothing to optimise"]


def test_an_unknown_metric_in_the_objective_is_refused(planted):
    _, problems = _select(planted, filtering={"obj_weights": {"code": 1.0}})
    assert "filtering.obj_weights: there is no metric code; did you mean" in problems[0]


def test_dropping_every_metric_leaves_nothing(planted):
    _, problems = _select(planted, filtering={"drop_metrics": ["acc", "code_bpb", "docs_bpb"]})
    assert "no metric is left to fit" in problems[0]


def test_families_are_averaged(planted):
    found, problems = _select(
        planted,
        eval=_tasks(loss=["code_bpb", "docs_bpb"], skill=["acc"]),
        lower_is_better={"acc": False},
        regression={"aggregate_task_families": True},
    )
    assert problems == []
    assert found.names == ("loss", "skill")
    assert found.lower_is_better == (True, False)
    mean = np.mean([planted.metrics["code_bpb"], planted.metrics["docs_bpb"]], axis=0)
    np.testing.assert_allclose(found.values[:, 0], mean)


def test_a_family_of_both_directions_has_no_average(planted):
    _, problems = _select(
        planted,
        eval=_tasks(all=["code_bpb", "acc"]),
        lower_is_better={"acc": False},
        regression={"aggregate_task_families": True},
    )
    assert "eval.tasks.all: lower is better for some of its metrics and worse for" in problems[0]
