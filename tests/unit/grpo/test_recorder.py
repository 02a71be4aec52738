import json
import logging

import numpy as np
import pytest

from olmix.errors import DataError, DivergedError
from olmix.grpo.asking import pass_at_k
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.own_rewards import Reward
from olmix.grpo.recorder import Recorder
from olmix.records.run import RunFolder
from olmix.records.run_writer import RunWriter, keep_steps

MEASURED = {"kl": 0.1, "loss": 0.0, "grad_norm": 1.0, "pg_clipfrac": 0.0, "entropy": 0.5}


@pytest.fixture
def recorder(tmp_path):
    words = ["+experiment=quick_test", "grpo.num_generations=2", "training.samples_per_step=2"]
    rewards = [Reward("length", lambda completions, **_: [len(t) for t in completions], 0.5)]
    with RunWriter(RunFolder(tmp_path)) as run:
        made = Recorder(run, RunConfig.from_dict(compose(words)), rewards, rate=float)
        yield made, made.watch(rewards[0]), tmp_path


def play(recorder, weighted, step, completions, ended, measured=MEASURED):
    """Go through one step as the trainer does."""
    recorder.on_rollout([list(text.encode()) for text in completions], ended)
    prompts = np.array(["p", "p", "q", "q"])
    totals = np.array(weighted(prompts, np.array(completions), answer=np.array(["1"] * 4)))
    recorder.on_answers(prompts, completions, totals, totals - totals.mean())
    recorder.on_step(step, measured)


def test_a_row_holds_means_and_shares(recorder):
    made, weighted, folder = recorder
    play(made, weighted, 1, ["a", "abc", "ab", "ab"], [True, False, True, True])
    row = json.loads((folder / "metrics.jsonl").read_text())
    assert row["reward"] == 1.0
    assert row["reward/length"] == 2.0
    assert row["clipped_fraction"] == 0.25
    assert row["zero_variance_fraction"] == 0.5
    assert row["completion_length"] == 2.0
    assert row["tokens"] == 8


def test_samples_are_of_different_prompts(recorder):
    made, weighted, folder = recorder
    play(made, weighted, 1, ["a", "abc", "ab", "abcd"], [True] * 4)
    kept = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [(each["prompt"], each["completion"]) for each in kept] == [("p", "a"), ("q", "ab")]
    assert kept[1]["rewards"] == {"length": 2.0}
    assert kept[1]["reward"] == 1.0


def test_a_hopeless_state_is_said_once_and_in_words(recorder, caplog):
    made, weighted, _ = recorder
    with caplog.at_level(logging.WARNING):
        for step in range(1, 6):
            play(made, weighted, step, ["ab"] * 4, [False] * 4)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "raise generation.max_new_tokens" in said[0]
    assert "nothing to learn" in said[1]


def test_rows_after_a_checkpoint_are_dropped(recorder):
    made, weighted, folder = recorder
    for step in (1, 2, 3):
        play(made, weighted, step, ["a", "ab", "a", "ab"], [True] * 4)
    with (folder / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 4, "rew')
    made.resume(2)
    assert [row["step"] for row in made.rows] == [1, 2]
    assert len(keep_steps(folder / "samples.jsonl", 9)) == 4
    assert keep_steps(folder / "none.jsonl", 9) == []


def test_a_reward_may_abstain_and_its_mean_is_over_the_others(tmp_path):
    def even(completions, completion_ids):
        assert [len(ids) for ids in completion_ids] == [len(text) for text in completions]
        return [None if len(text) % 2 else len(text) for text in completions]

    reward = Reward("even", even, 0.5)
    config = RunConfig.from_dict(compose(["+experiment=quick_test", "grpo.num_generations=2"]))
    with RunWriter(RunFolder(tmp_path)) as run:
        made = Recorder(run, config, [reward], rate=float)
        play(made, made.watch(reward), 1, ["a", "ab", "abc", "abcd"], [True] * 4)
        play(made, made.watch(reward), 2, ["a", "a", "abc", "abc"], [True] * 4)
    first, second = RunFolder(tmp_path).read_metrics()
    assert first["reward/even"] == 3.0
    assert first["reward"] == (0 + 1 + 0 + 2) / 4
    assert "reward/even" not in second, "no answer was scored: there is no mean"
    sample = json.loads((tmp_path / "samples.jsonl").read_text().splitlines()[0])
    assert sample["rewards"] == {"even": None}


def test_what_is_no_score_stops_the_run_before_the_step_is_written(tmp_path):
    reward = Reward("late", lambda completions, **_: [float("nan")] * len(completions), 1.0)
    config = RunConfig.from_dict(compose(["+experiment=quick_test", "grpo.num_generations=2"]))
    with RunWriter(RunFolder(tmp_path)) as run:
        made = Recorder(run, config, [reward], rate=float)
        with pytest.raises(DataError, match=r"grpo.rewards.late: it returned nan for the answer"):
            play(made, made.watch(reward), 1, ["a", "ab", "abc", "abcd"], [True] * 4)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_loss_that_is_not_finite_ends_the_run_once_it_is_written(recorder):
    made, weighted, folder = recorder
    lost = {**MEASURED, "loss": float("nan")}
    with pytest.raises(DivergedError, match="the training loss became nan at step 1"):
        play(made, weighted, 1, ["a", "ab", "a", "ab"], [True] * 4, lost)
    (row,) = RunFolder(folder).read_metrics()
    assert row["step"] == 1


@pytest.mark.parametrize(
    ("n", "c", "k", "value"), [(4, 0, 2, 0.0), (4, 4, 1, 1.0), (4, 1, 2, 0.5), (4, 2, 4, 1.0)]
)
def test_pass_at_k_is_the_chance_of_a_right_answer_among_k(n, c, k, value):
    assert pass_at_k(n, c, k) == pytest.approx(value)
