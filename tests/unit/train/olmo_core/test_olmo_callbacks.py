"""Our callbacks as OLMo-core's trainer calls them: after each step, and once at the end."""

import importlib.util

import pytest

pytestmark = [
    pytest.mark.slow,  # the import alone
    pytest.mark.skipif(
        importlib.util.find_spec("olmo_core") is None, reason="the extra olmo-core is not installed"
    ),
]
NUM_STEPS = 4


def measured_by(stop_at):
    """Train with a stub of the trainer; returns its last step, and the steps that were measured."""
    from olmo_core.train.callbacks import EvaluatorCallback

    from olmix.train.olmo_core.callbacks import RunFolderCallback

    class Evaluator(EvaluatorCallback):
        def perform_eval(self, prefix="eval"):
            del prefix
            measured.append(self.step)

    class Trainer:
        global_step = 0
        canceled = False

        def cancel_run(self, reason):
            del reason
            self.canceled = True

    measured, trainer = [], Trainer()
    reports = RunFolderCallback(
        num_steps=NUM_STEPS, should_stop=lambda: trainer.global_step >= stop_at
    )
    evaluator = Evaluator(eval_interval=None, eval_on_finish=True)
    trainer.callbacks = {"run_folder": reports, "tasks": evaluator}
    for callback in trainer.callbacks.values():
        callback.trainer = trainer
    while trainer.global_step < NUM_STEPS and not trainer.canceled:
        trainer.global_step += 1
        for callback in trainer.callbacks.values():
            callback.post_step()
    for callback in trainer.callbacks.values():
        callback.post_train()
    return trainer.global_step, measured


def test_a_run_that_is_told_to_stop_on_its_way_stops_and_is_not_measured():
    assert measured_by(stop_at=2) == (2, [])


def test_a_run_that_is_told_to_stop_during_its_last_step_has_finished_and_is_measured():
    assert measured_by(stop_at=NUM_STEPS) == (NUM_STEPS, [NUM_STEPS])


def test_a_run_that_nobody_stops_is_measured():
    assert measured_by(stop_at=NUM_STEPS + 1) == (NUM_STEPS, [NUM_STEPS])
