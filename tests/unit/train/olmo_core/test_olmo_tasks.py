import importlib.util
import logging

import pytest

from olmix.config.evaluation import InLoopEval
from olmix.errors import MissingPackageError
from olmix.train.olmo_core.tasks import add_tasks, check_tasks, find_problems, pick_metrics

BPB = "eval/downstream/copa (BPB v2)"


def _evaluation(**tasks):
    return InLoopEval.from_dict({"type": "inloop", "tasks": {"qa": tasks}})


def test_a_task_and_a_metric_of_it_are_accepted():
    assert not find_problems(_evaluation(copa=BPB), ["copa"])


def test_a_misspelt_task_and_a_metric_of_another_task_are_found_at_once():
    evaluation = _evaluation(cpoa=BPB, sciq=BPB, copa=BPB)
    first, second = find_problems(evaluation, ["copa", "sciq"])
    assert (first.where, second.where) == ("eval.tasks.qa.cpoa", "eval.tasks.qa.sciq")
    assert "did you mean `copa`?" in first.what
    assert "`eval/downstream/sciq (BPB v2)` or so" in second.what


def test_a_metric_that_its_task_does_not_have_is_named_with_those_it_has(caplog):
    wrong = "eval/downstream/sciq (accuracy v3)"
    logged = {BPB: 1.5, "eval/downstream/sciq (accuracy v2)": 0.5, "train/CE loss": 2.0}
    with caplog.at_level(logging.WARNING):
        assert pick_metrics(_evaluation(copa=BPB, sciq=wrong), logged) == {BPB: 1.5}
    assert f"{wrong} was not measured; there are: eval/downstream/sciq (acc" in caplog.text


@pytest.mark.skipif(importlib.util.find_spec("olmo_eval") is not None, reason="elsewhere: tasks")
def test_without_the_package_of_tasks_it_is_said_how_to_install_it():
    with pytest.raises(MissingPackageError, match=r"pip install '\.\[olmo-core-eval\]'"):
        check_tasks(_evaluation(copa=BPB), "run")


def test_tasks_are_measured_every_interval_and_once_at_the_end(monkeypatch):
    callbacks = pytest.importorskip("olmo_core.train.callbacks")
    asked = {}
    monkeypatch.setattr(
        callbacks.DownstreamEvaluatorCallbackConfig,
        "build",
        lambda self, trainer: asked.update(vars(self)),
    )

    class Trainer:
        def add_callback(self, name, callback):
            asked["name"] = name

    add_tasks(Trainer(), _evaluation(copa=BPB), None, interval=4, num_steps=12)
    assert (asked["name"], asked["tasks"]) == ("downstream", ["copa"])
    assert (asked["eval_interval"], asked["fixed_steps"]) == (None, [4, 8])
    assert asked["eval_on_finish"]
