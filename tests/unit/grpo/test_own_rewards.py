import sys
from dataclasses import replace

import pytest

from olmix.errors import ConfigError, DataError, MissingPackageError
from olmix.grpo.config import GrpoConfig
from olmix.grpo.own_rewards import Reward, load_rewards, try_rewards
from olmix.grpo.questions import Question
from patience import wait_for

SOURCE = '''
import asyncio
import time

def short(prompts, completions, level, **columns):
    return [len(text) < 10 * each for text, each in zip(completions, level)]

def broken(text):
    return 1

class Novelty:
    """Counts how often it was called."""

    def __init__(self):
        self.calls = 0

    def __call__(self, completions):
        self.calls += 1
        return [self.calls] * len(completions)

async def judge(completions, answer):
    await asyncio.sleep(0)
    return [float(true in text) for text, true in zip(completions, answer)]

class Judge:
    async def __call__(self, completions):
        return [0.5] * len(completions)

def slow(completions):
    time.sleep(30)

class PatientJudge:
    """Has a lock that outlives a call, and tidies up."""

    def __init__(self):
        self.lock, self.tidied = asyncio.Lock(), False

    async def __call__(self, completions, answer):
        async def judge(text):
            async with self.lock:
                await asyncio.sleep(float(text))
            return 1.0
        try:
            return await asyncio.gather(*map(judge, completions))
        finally:
            self.tidied = True

def impatient(completions):
    raise TimeoutError("the judge does not answer")

def lazy(completions):
    for text in completions:
        yield 1 / (text != "b")

def leaves(completions):
    raise SystemExit(0)

async def leaves_too(completions):
    raise SystemExit(0)

constant = 3
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a module of rewards, which nothing has put on the path."""
    (tmp_path / "my_grpo_rewards.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    sys.modules.pop("my_grpo_rewards", None)


def load(answer="number", **functions):
    entries = {
        name: {"function": f"my_grpo_rewards:{f}" if ":" not in f else f}
        for name, f in functions.items()
    }
    return load_rewards(GrpoConfig.from_dict({"answer": answer, "rewards": entries}))


def score(reward, completions=("a", "b"), **columns):
    return reward.score(["?"] * len(completions), completions, columns, [[1]] * len(completions))


def test_a_reward_is_found_where_one_works(folder):
    [reward] = load(short="short")
    assert score(reward, ["x" * 15] * 2, level=[1, 2], answer=["1", "2"]) == [0.0, 1.0]


def test_a_reward_is_found_from_the_folder_of_a_sweep(folder, monkeypatch):
    (folder / "sweep" / "runs").mkdir(parents=True)
    monkeypatch.chdir(folder / "sweep" / "runs")
    assert load(short="short")


def test_what_cannot_be_imported_is_said_at_once(folder):
    (folder / "my_ending_rewards.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(ConfigError) as caught:
        load(a="missing", b="no_module:f", c="broken", d="constant", e="my_ending_rewards:f")
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert f"there is no `missing` in the module my_grpo_rewards ({folder}" in text
    assert "my_ending_rewards:f: SystemExit: 0" in text
    assert str(folder) in text
    assert "a reward takes `prompts`, `completions`" in text
    assert "found int; a function or a class is needed" in text


def test_a_reward_may_be_a_class_with_a_state_or_asynchronous(folder):
    novelty, judge, other = load(novelty="Novelty", judge="judge", other="Judge")
    assert [score(novelty), score(novelty)] == [[1.0, 1.0], [2.0, 2.0]]
    assert score(judge, ["it is 7", "8"], answer=["7", "7"]) == [1.0, 0.0]
    assert score(other) == [0.5, 0.5]


def test_a_reward_that_takes_too_long_is_named(folder):
    entry = {"function": "my_grpo_rewards:slow", "timeout_s": 0.05}
    [slow] = load_rewards(GrpoConfig.from_dict({"rewards": {"slow": entry}}))
    with pytest.raises(DataError, match=r"grpo.rewards.slow: it took longer than timeout_s = 0.05"):
        score(slow)


def test_an_asynchronous_reward_keeps_its_loop_and_is_cancelled(folder):
    entry = {"function": "my_grpo_rewards:PatientJudge", "timeout_s": 0.2}
    [judge] = load_rewards(GrpoConfig.from_dict({"rewards": {"judge": entry}}))
    quick = ["0.001", "0.001"]
    assert [score(judge, quick, answer=quick) for _ in range(2)] == [[1.0, 1.0]] * 2
    judge.function.tidied = False
    with pytest.raises(DataError, match="longer than timeout_s"):
        score(judge, ["30", "30"], answer=quick)
    wait_for(lambda: judge.function.tidied, "the end of the coroutine")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("impatient", "TimeoutError: the judge does not answer (my_grpo_rewards.py:"),
        ("lazy", "ZeroDivisionError: "),
        ("leaves", "SystemExit: 0"),
        ("leaves_too", "SystemExit: 0"),
    ],
)
def test_whatever_a_reward_raises_is_said_with_its_name(folder, function, text):
    [reward] = load(r=function)
    for limit in (None, 5.0):
        with pytest.raises(DataError) as caught:
            score(replace(reward, timeout_s=limit))
        assert str(caught.value).startswith("grpo.rewards.r: ")
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([0.5, float("nan")], "it returned nan for the answer 'b'"),
        ([float("inf"), 1], "it returned inf for the answer 'a'"),
        ([1.0], r"it returned \[1.0\] for 2 answers"),
        (1.0, "it returned 1.0 for 2 answers"),
        (None, "it returned None for 2 answers"),
        ("10", "it returned '10' for 2 answers"),
        (["1.0", "1.0"], "it returned '1.0' for the answer 'a'"),
        ({"a": 1, "b": 2}, "it returned {'a': 1, 'b': 2} for 2 answers"),
        ([[1], [2]], r"it returned \[1\] for the answer 'a'"),
        ({1.0, 2.0}, "it returned {1.0, 2.0} for 2 answers"),
        ([10**400, 1], "it returned 1000"),
    ],
)
def test_what_is_no_number_per_answer_is_refused(given, text):
    reward = Reward("mine", lambda completions: given, 1.0)
    with pytest.raises(DataError, match=f"grpo.rewards.mine: {text}"):
        score(reward)


def test_none_abstains_and_numbers_of_arrays_count():
    import numpy as np

    assert score(Reward("r", lambda completions: [None, True], 1.0)) == [None, 1.0]
    assert score(Reward("r", lambda completions: np.array([1, 2]), 1.0)) == [1.0, 2.0]


def test_a_trial_names_every_reward_that_fails_and_where():
    def fails(completions):
        raise KeyError("level")

    rewards = [
        Reward("a", fails, 1.0),
        Reward("b", lambda completions, level: [level], 1.0),
        Reward("c", lambda completions: [0, 1], 1.0),
    ]
    with pytest.raises(DataError) as caught:
        try_rewards(rewards, Question("1 + 1?", "2", {"source": "made up"}))
    first, second = str(caught.value).splitlines()
    assert "grpo.rewards.a: KeyError: 'level' (test_own_rewards.py:" in first
    assert "<answer>2</answer>" in first
    assert "it needs level, which the data do not have as columns; they have: source" in second


def test_mathematics_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "math_verify", None)
    grpo = GrpoConfig.from_dict({"answer": "math", "rewards": {"check_answer": 1.0}})
    with pytest.raises(MissingPackageError, match=r"pip install '\.\[grpo\]'"):
        load_rewards(grpo)
