"""Fitting the categories of MMLU where a table holds its subtasks."""

import numpy as np
import pytest

from fit_fixtures import log_linear, plant
from olmix.errors import DataError
from olmix.fit.swarm import read_swarm
from olmix.records.mmlu import QUESTIONS

SUFFIX = ":rc::olmes"


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
    swarm = read_swarm(planted.config(eval={"type": "offline", "tasks": tasks}))
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
    with pytest.raises(DataError, match=f"of which mmlu_sociology{SUFFIX} are missing"):
        read_swarm(planted.write().config(eval={"type": "offline", "tasks": tasks}))


def test_the_direction_of_the_subtasks_is_that_of_their_category(tmp_path):
    planted = _planted(tmp_path)
    category = f"mmlu_social_sciences{SUFFIX}"
    tasks = {"type": "offline", "tasks": {"qa": [category]}}
    given = dict.fromkeys(planted.metrics, False)
    assert read_swarm(planted.config(eval=tasks, lower_is_better=given)).lower_is_better == (False,)
    given[f"mmlu_sociology{SUFFIX}"] = True
    with pytest.raises(DataError, match=f"give the direction of {category} itself"):
        read_swarm(planted.config(eval=tasks, lower_is_better=given))
    given[category] = True
    assert read_swarm(planted.config(eval=tasks, lower_is_better=given)).lower_is_better == (True,)
