import sys
from decimal import Decimal

import pytest

from olmix.errors import ConfigError
from olmix.grpo.config import RewardConfig
from olmix.grpo.rewards import (
    REWARDS,
    approximate_format,
    check_answer,
    exact_format,
    extract_answer,
    load_rewards,
    numeric_answer,
    read_number,
)

GOOD = "<reasoning>3 + 4 = 7</reasoning><answer>7</answer>"


def score(reward, text, answer="7"):
    [value] = reward(prompts=["?"], completions=[text], answer=[answer], other=[1])
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (GOOD, 1.0),
        (f"  {GOOD}\n", 1.0),
        ("<reasoning>a\nb</reasoning>\n\n<answer>7</answer>", 1.0),
        (f"{GOOD} and more", 0.0),
        (f"Sure! {GOOD}", 0.0),
        (GOOD + GOOD, 0.0),
        ("<answer>7</answer><reasoning>7</reasoning>", 0.0),
        ("<reasoning></reasoning><answer>7</answer>", 0.0),
        ("<reasoning>a<answer>7</answer></reasoning><answer>7</answer>", 0.0),
        ("<reasoning>a</reasoning><answer>7", 0.0),
        ("", 0.0),
    ],
)
def test_the_exact_format_is_both_parts_and_nothing_else(text, value):
    assert score(exact_format, text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [(GOOD, 1.0), ("<reasoning>a</reasoning>7", 0.5), ("7", 0.0), (GOOD + "<answer>", 0.75)],
)
def test_the_approximate_format_counts_tags_that_occur_once(text, value):
    assert score(approximate_format, text) == value


@pytest.mark.parametrize(
    ("given", "true", "value"),
    [
        ("7", "7", 1.0),
        (" 7 ", "7", 1.0),
        ("7.0", "7", 1.0),
        ("$1,200", "1200", 1.0),
        ("Paris", "paris", 1.0),
        ("x = 41", "40", 0.5),
        ("-41", "-40", 0.5),
        ("45", "40", 0.0),
        ("London", "Paris", 0.0),
        ("1", "0", 0.0),
    ],
)
def test_an_answer_is_right_near_or_wrong(given, true, value):
    assert score(check_answer, f"<answer>{given}</answer>", true) == value


def test_an_answer_without_its_tags_is_wrong():
    assert score(check_answer, "7") == 0.0


@pytest.mark.parametrize(
    ("text", "value"),
    [(GOOD, 1.0), ("<answer>It is 7", 1.0), ("7", 0.0), ("<answer>8 or 7", 0.0), ("<answer>", 0.0)],
)
def test_a_number_behind_the_tag_counts_closed_or_not(text, value):
    assert score(numeric_answer, text) == value


def test_the_last_answer_and_the_last_number_count():
    assert extract_answer("<answer>1</answer><answer>2</answer>") == "2"
    assert read_number("3 of 1,234.5") == Decimal("1234.5")
    assert read_number("none") is None


def test_every_reward_stays_between_0_and_1_whatever_it_reads():
    texts = ["", "<answer>", "\x00", "9" * 5000, "<answer>1e999</answer>", "<reasoning>" * 99]
    for reward in REWARDS.values():
        scores = reward(prompts=texts, completions=texts, answer=["7"] * len(texts))
        assert all(0 <= value <= 1 for value in scores)


def test_a_reward_of_ones_own_gets_the_columns(tmp_path, monkeypatch):
    (tmp_path / "my_grpo_rewards.py").write_text(
        "def short(prompts, completions, level, **columns):\n"
        "    return [len(text) < 10 * each for text, each in zip(completions, level)]\n"
        "def broken(text):\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = {"short": RewardConfig(function="my_grpo_rewards:short", weight=2.0)}
    [loaded] = load_rewards(entry)
    assert loaded.weight == 2.0
    assert loaded.function(prompts=["a"] * 2, completions=["x" * 15] * 2, level=[1, 2]) == [0, 1]
    wrong = {
        "a": RewardConfig(function="my_grpo_rewards:missing"),
        "b": RewardConfig(function="my_missing_module:f"),
        "c": RewardConfig(function="my_grpo_rewards:broken"),
    }
    with pytest.raises(ConfigError) as caught:
        load_rewards(wrong)
    assert len(caught.value.problems) == 3
    sys.modules.pop("my_grpo_rewards")
