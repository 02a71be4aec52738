"""A task of one's own: several datasets, a reward with a state, evaluation while training."""

import json

import numpy as np
import pytest

from grpo_fixtures import SMALL, kill_after, start, train_here, weights
from olmix.records.run import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]

REWARD = '''
class Novelty:
    """1 for an answer that it has not seen, and for that it remembers all."""

    def __init__(self):
        self.seen = []

    def __call__(self, completions, dataset):
        assert set(dataset) <= {"sums", "words"}
        scores = [float(text not in self.seen) for text in completions]
        self.seen.extend(completions)
        return scores
'''
WORDS = (
    '+grpo.rewards.novelty={function:"my_novelty:Novelty",weight:0.3}',
    "+training.datasets.sums={data_source:synthetic}",
    "+training.datasets.words={data_source:jsonl,data_path:../words.jsonl,"
    "question_column:messages,answer_column:''}",
    "training.mixture=../mix.json",
    "training.curriculum={num_samples:2,max_pass_rate:0.9}",
    "evaluation.every=2",
    "evaluation.num_prompts=8",
    "evaluation.at_end=true",
    "evaluation.at_start=true",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_novelty.py").write_text(REWARD)
    chats = [{"messages": [{"role": "user", "content": f"Say {n}."}]} for n in range(30)]
    (folder / "words.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    mix = {"sums": {"weight": 0.75, "repetition_factor": 1.0}, "words": [0.25, 1.0]}
    (folder / "mix.json").write_text(json.dumps(mix))
    (folder / "work").mkdir()
    return folder / "work"


@pytest.fixture(scope="module")
def whole(place):
    """Four steps, not interrupted."""
    words = [w for w in WORDS if "curriculum" not in w]
    status, err = train_here(place, *SMALL, *words, "hydra.run.dir=whole")
    assert status == 0, err
    assert "held-out questions: accuracy" in err
    assert "before and after" in err
    return place / "whole"


def test_a_killed_run_has_the_states_of_its_rewards_and_its_measurements(place, whole):
    words = [w for w in WORDS if "curriculum" not in w]
    run = place / "killed"
    process = start(place, *SMALL, *words, "hydra.run.dir=killed")
    assert kill_after(process, run, 2), "it ended before it was killed"
    again = ("hydra.run.dir=killed", "training.resume=must")
    status, err = train_here(place, *SMALL, *words, *again)
    assert status == 0, err
    assert "resuming after step 2" in err
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(array, weights(run)[name], err_msg=name)
    names = ("reward/novelty", "eval/accuracy", "eval/accuracy_low", "eval/reward", "entropy")
    for one, other in zip(
        RunFolder(whole).read_metrics(), RunFolder(run).read_metrics(), strict=True
    ):
        assert [one.get(name) for name in names] == [other.get(name) for name in names]
        assert ("eval/accuracy" in one) == (one["step"] in (2, 4))
    state = json.loads((run / "checkpoints" / "rewards" / "4.json").read_text())
    assert len(state["novelty"]["seen"]) == 16


def test_what_a_run_of_several_datasets_measures(whole):
    summary = json.loads((whole / "summary.json").read_text())
    found = summary["evaluation"]
    assert set(found) == {"start", "end", "intervals", "level", "change"}
    assert {"format_rate/sums", "format_rate/words", "accuracy/sums", "reward"} <= set(found["end"])
    assert "accuracy/words" not in found["end"], "they have no true answers"
    low, high = found["intervals"]["end"]["format_rate"]
    assert low <= found["end"]["format_rate"] <= high
    change = found["change"]["format_rate"]
    assert change["half_width"] > 0
    samples = [json.loads(line) for line in (whole / "samples.jsonl").read_text().splitlines()]
    asked = [sample["prompt"].startswith("Say ") for sample in samples]
    assert 0 < sum(asked) < len(asked) / 2


def test_a_curriculum_by_measured_pass_rates_is_kept_for_a_resumed_run(place):
    again = ("hydra.run.dir=lesson", "training.num_batches=1", "evaluation.at_start=false")
    data = [word for word in WORDS if "words" not in word and "mixture" not in word]
    words = [word for word in data if "every" not in word and "novelty" not in word]
    status, err = train_here(place, *SMALL, *words, *again)
    assert status == 0, err
    assert "of 549 questions have pass rates from 0 to 0.9" in err
    rates = json.loads((place / "lesson" / "checkpoints" / "pass_rates.json").read_text())
    assert len(rates) == 549
    assert set(rates.values()) <= {0.0, 0.5, 1.0}
