"""The categories of MMLU, from its subtasks."""

import numpy as np
import pytest

from fit_fixtures import log_linear, plant
from olmix.errors import DataError
from olmix.fit.mmlu import CATEGORIES, QUESTIONS, subtasks_of
from olmix.fit.swarm import load_swarm

SUFFIX = ":rc::olmes"


def test_the_test_set_has_14042_questions_in_57_subtasks():
    assert sum(len(tasks) for tasks in QUESTIONS.values()) == 57
    assert [sum(QUESTIONS[name].values()) for name in CATEGORIES] == [3018, 4705, 3077, 3242]


def test_weights_follow_the_questions():
    parts = subtasks_of("mmlu_humanities" + SUFFIX, ())
    assert sum(parts.values()) == pytest.approx(1.0)
    assert parts["mmlu_professional_law" + SUFFIX] == pytest.approx(1534 / 4705)


@pytest.mark.parametrize("name", ["mmlu", "mmlu_stemming", "arc_easy", "mmlu_anatomy:rc::olmes"])
def test_other_metrics_are_no_category(name):
    assert subtasks_of(name, ()) is None


def test_a_column_that_is_there_is_taken_as_it_is():
    assert subtasks_of("mmlu_stem", ["mmlu_stem"]) is None


def _planted(folder):
    truths = {
        f"mmlu_{task}{SUFFIX}": (lambda x, k=k: log_linear(x) + 0.1 * k * x[:, 0])
        for k, task in enumerate(QUESTIONS["social_sciences"])
    }
    return plant(folder, truths, num=20)


def test_a_category_is_fitted_where_the_eval_asks_for_it(tmp_path):
    planted = _planted(tmp_path)
    name = f"mmlu_social_sciences{SUFFIX}"
    tasks = {"qa": [name, f"mmlu_sociology{SUFFIX}"]}
    swarm = load_swarm(planted.config(eval={"type": "offline", "tasks": tasks}))
    assert swarm.metrics == (name, f"mmlu_sociology{SUFFIX}")
    questions = QUESTIONS["social_sciences"]
    columns = np.array([planted.metrics[f"mmlu_{task}{SUFFIX}"] for task in questions])
    expected = np.average(columns, axis=0, weights=list(questions.values()))
    order = [planted.runs.index(run) for run in swarm.runs]
    np.testing.assert_allclose(swarm.values[:, 0], expected[order])


def test_a_category_with_missing_subtasks_is_refused_by_name(tmp_path):
    planted = _planted(tmp_path)
    del planted.metrics[f"mmlu_sociology{SUFFIX}"]
    tasks = {"qa": [f"mmlu_social_sciences{SUFFIX}"]}
    with pytest.raises(DataError, match=f"of which mmlu_sociology{SUFFIX} are not there"):
        load_swarm(planted.write().config(eval={"type": "offline", "tasks": tasks}))


def test_the_direction_of_the_subtasks_is_that_of_their_category(tmp_path):
    planted = _planted(tmp_path)
    category = f"mmlu_social_sciences{SUFFIX}"
    tasks = {"type": "offline", "tasks": {"qa": [category]}}
    given = dict.fromkeys(planted.metrics, False)
    assert load_swarm(planted.config(eval=tasks, lower_is_better=given)).lower_is_better == (False,)
    given[f"mmlu_sociology{SUFFIX}"] = True
    with pytest.raises(DataError, match=f"give the direction of {category} itself"):
        load_swarm(planted.config(eval=tasks, lower_is_better=given))
    given[category] = True
    assert load_swarm(planted.config(eval=tasks, lower_is_better=given)).lower_is_better == (True,)
