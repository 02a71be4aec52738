import pytest

from olmix.grpo.rewards import (
    REWARDS,
    approximate_format,
    built_in_rewards,
    check_answer,
    exact_format,
    numeric_answer,
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
    [
        (GOOD, 1.0),
        ("<answer>It is 7", 1.0),
        ("7", 0.0),
        ("<answer>8 or 7", 0.0),
        ("<answer>", 0.0),
        ("<answer>7x", 0.0),
        ("<answer>7/2", 0.0),
        ("<answer>14/2", 1.0),
    ],
)
def test_a_number_behind_the_tag_counts_closed_or_not(text, value):
    assert score(numeric_answer, text) == value


def test_the_answer_is_compared_as_the_kind_says():
    def answer_reward(kind):
        return built_in_rewards(kind, "tags")["check_answer"]

    assert score(answer_reward("number"), "<answer>3+2x</answer>", "2x+3") == 0.0
    assert score(answer_reward("math"), "<answer>3+2x</answer>", "2x+3") == 1.0
    assert score(answer_reward("choice"), "<answer>(B)</answer>", "B") == 1.0
    assert score(answer_reward("exact"), "<answer>7.0</answer>", "7") == 0.0


def test_every_reward_stays_between_0_and_1_whatever_it_reads():
    texts = ["", "<answer>", "\x00", "9" * 5000, "<answer>1e999</answer>", "<reasoning>" * 99]
    for reward in REWARDS.values():
        scores = reward(prompts=texts, completions=texts, answer=["7"] * len(texts))
        assert all(0 <= value <= 1 for value in scores)
