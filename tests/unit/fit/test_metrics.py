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
    found, problems = _select(planted, lower_is_better={"acc": False})
    assert found.names == ("acc", "code_bpb", "docs_bpb")
    assert found.objective_weights.tolist() == [1, 1, 1]
    assert problems == []


def test_directions_are_said_by_name(planted):
    found, _ = _select(planted, lower_is_better={"acc": False})
    assert dict(zip(found.names, found.lower_is_better, strict=True)) == {
        "acc": False,
        "code_bpb": True,
        "docs_bpb": True,
    }


def test_values_of_an_accuracy_without_a_direction_are_pointed_out(tmp_path):
    """`arc_easy` may be an accuracy: the opposite direction would propose the worst mixture."""
    planted = plant(tmp_path, {"arc_easy": log_linear, "loss": log_linear, "big": log_linear})
    for name, scale in (("arc_easy", 0.1), ("loss", 0.1), ("big", 100)):
        low = min(planted.metrics[name])
        planted.metrics[name] = [scale * (v - low) for v in planted.metrics[name]]
    assert max(planted.metrics["big"]) > 100
    planted.write()
    found, problems = _select(planted)
    assert problems == []
    (warning,) = found.warnings
    assert warning.startswith("arc_easy: no direction in the name")
    assert _select(planted, lower_is_better={"arc_easy": False})[0].warnings == ()
    unused = {"obj_weights": {"arc_easy": 0.0}}
    assert _select(planted, filtering=unused)[0].warnings == ()


@pytest.mark.parametrize(
    ("low", "high", "look"),
    [
        (31.0, 64.5, "within 0 to 100 as of an accuracy in per cent"),
        (-210.0, -140.0, "below 0 as of a log-likelihood"),
        (2.1, 3.4, None),
        (31.0, 640.0, None),
    ],
)
def test_values_of_other_scores_are_pointed_out_too(tmp_path, low, high, look):
    planted = plant(tmp_path, {"mmlu": log_linear})
    values = np.array(planted.metrics["mmlu"])
    share = (values - values.min()) / np.ptp(values)
    planted.metrics["mmlu"] = (low + (high - low) * share).tolist()
    warnings = _select(planted.write())[0].warnings
    assert [look in warning for warning in warnings] == ([True] if look else [])


def test_a_name_that_says_higher_needs_a_direction(planted):
    _, problems = _select(planted)
    assert len(problems) == 1
    assert "metrics.csv: acc: higher is better, judging by the name" in problems[0]
    assert "    lower_is_better:\n      acc: false\n" in problems[0]


@pytest.mark.parametrize("lower", [True, False])
def test_what_is_given_wins_over_the_name(planted, lower):
    found, problems = _select(planted, lower_is_better={"acc": lower, "code_bpb": not lower})
    assert (found.lower_is_better, problems) == ((lower, not lower, True), [])


def test_a_dropped_metric_needs_no_direction(planted):
    found, problems = _select(planted, filtering={"drop_metrics": ["acc"]})
    assert (found.names, problems) == (("code_bpb", "docs_bpb"), [])


def test_the_name_is_believed_where_the_objective_does_not_count_the_metric(planted):
    found, problems = _select(planted, filtering={"obj_weights": {"acc": 0.0}})
    assert problems == []
    assert found.lower_is_better == (False, True, True)
    assert "acc: taken as higher is better" in found.notes[0]


def test_the_name_of_a_family_speaks_for_members_that_say_nothing(planted):
    planted.metrics["math"] = planted.metrics.pop("acc")
    planted.write()
    _, problems = _select(planted, eval=_tasks(accuracy=["math", "code_bpb"]))
    assert "metrics.csv: math: higher is better" in problems[0]


def test_a_family_is_given_its_direction_by_its_own_name_or_by_its_members(planted):
    average = {
        "eval": _tasks(loss=["code_bpb"], skill=["acc"]),
        "regression": {"aggregate_task_families": True},
    }
    _, problems = _select(planted, **average)
    assert "skill (acc): higher is better" in problems[0]
    assert "      skill: false\n" in problems[0]
    for name in ("skill", "acc"):
        found, problems = _select(planted, **average, lower_is_better={name: False})
        assert (found.lower_is_better, problems) == ((True, False), [])
    found, problems = _select(planted, **average, filtering={"obj_weights": {"skill": 0.0}})
    assert (found.lower_is_better, problems) == ((True, False), [])


def _with_columns(planted, **columns):
    for name, value in columns.items():
        planted.metrics[name] = [value + 0.1 * i for i in range(len(planted.runs))]
    planted.metrics["acc_stderr,none"] = [0.01] * len(planted.runs)
    planted.metrics.pop("acc")
    return planted.write()


def test_bookkeeping_and_standard_errors_are_left_out_with_a_note(planted):
    _with_columns(planted, seconds=9.0, lr=0.1, docs_bpb_se=0.01)
    found, problems = _select(planted)
    assert (found.names, problems) == (("code_bpb", "docs_bpb"), [])
    errors, without, others = found.notes
    assert "docs_bpb_se: standard errors, no metrics" in errors
    assert "acc_stderr,none: standard errors of metrics that are not in the table" in without
    assert "lr, seconds: left out, as their names are not those of metrics" in others


@pytest.mark.parametrize(
    "named",
    [
        {"eval": _tasks(all=["code_bpb", "seconds"])},
        {"lower_is_better": {"seconds": True}},
        {"filtering": {"obj_weights": {"seconds": 2.0}}},
    ],
)
def test_bookkeeping_that_is_named_is_a_metric(planted, named):
    found, problems = _select(_with_columns(planted, seconds=9.0), **named)
    assert problems == []
    assert "seconds" in found.names


def test_a_standard_error_is_no_metric_even_where_the_tasks_name_it(planted):
    planted = _with_columns(planted)
    found, _ = _select(planted, eval=_tasks(all=["code_bpb", "acc_stderr,none"]))
    assert found.names == ("code_bpb",)
    assert "acc_stderr,none: standard errors" in found.notes[0]


def test_a_family_of_different_scales_is_pointed_out(planted):
    _with_columns(planted, ppl=200.0)
    planted.metrics["ppl"] = [100.0 * value for value in planted.metrics["code_bpb"]]
    found, _ = _select(
        planted.write(),
        eval=_tasks(all=["code_bpb", "ppl"]),
        regression={"aggregate_task_families": True},
    )
    assert "eval.tasks.all: ppl varies 100 times as much as code_bpb" in found.notes[0]


def test_unknown_names_are_all_reported_with_the_nearest(planted):
    _, problems = _select(
        planted,
        eval=_tasks(loss=["code_bqb", "docs_bpb"]),
        lower_is_better={"docs_bpd": False},
    )
    assert len(problems) == 2
    assert "eval.tasks: there is no metric code_bqb; did you mean code_bpb?" in problems[0]
    assert "lower_is_better: there is no metric docs_bpd; did you mean docs_bpb?" in problems[1]


def test_a_metric_to_drop_that_is_not_there_is_warned_of(planted):
    direction = {"acc": False}
    found, problems = _select(
        planted, lower_is_better=direction, filtering={"drop_metrics": ["acx"]}
    )
    assert problems == []
    assert found.warnings == (
        "filtering.drop_metrics: there is no metric acx to drop; did you mean acc?",
    )


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
