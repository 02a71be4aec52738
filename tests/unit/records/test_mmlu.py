"""The categories of MMLU, from its subtasks."""

import pytest

from olmix.records.mmlu import QUESTIONS, subtasks_of

SUFFIX = ":rc::olmes"


def test_the_test_set_has_14042_questions_in_57_subtasks():
    assert sum(len(tasks) for tasks in QUESTIONS.values()) == 57
    assert [sum(subtasks.values()) for subtasks in QUESTIONS.values()] == [3018, 4705, 3077, 3242]


def test_weights_follow_the_questions():
    parts = subtasks_of("mmlu_humanities" + SUFFIX, ())
    assert sum(parts.values()) == pytest.approx(1.0)
    assert parts["mmlu_professional_law" + SUFFIX] == pytest.approx(1534 / 4705)


@pytest.mark.parametrize("name", ["mmlu", "mmlu_stemming", "arc_easy", "mmlu_anatomy:rc::olmes"])
def test_other_metrics_are_no_category(name):
    assert subtasks_of(name, ()) is None


def test_a_column_that_is_there_is_taken_as_it_is():
    assert subtasks_of("mmlu_stem", ["mmlu_stem"]) is None
