import pytest

from olmix.grpo.config import GrpoConfig
from olmix.grpo.marks import extract_answer, has_exact_format, write_answer
from olmix.grpo.own_rewards import load_rewards

MARKS = ["tags", "boxed", "hashes", "none"]


@pytest.mark.parametrize("mark", MARKS)
def test_an_answer_as_it_is_written_here_is_in_the_format_and_found(mark):
    text = write_answer("3 + 4 = 7", "7", mark)
    assert has_exact_format(text, mark)
    assert extract_answer(text, mark) == "7"


@pytest.mark.parametrize(
    ("mark", "text", "answer", "is_exact"),
    [
        ("boxed", r"So $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}", True),
        ("boxed", r"\boxed{7}", "7", False),  # no reasoning
        ("boxed", r"a \boxed{1} b \boxed{2}", "2", False),
        ("boxed", r"a \boxed{7} and more", "7", False),
        ("boxed", r"a \boxed{7", None, False),
        ("boxed", r"a \boxed{}", None, False),
        ("hashes", "a\n#### 7", "7", True),
        ("hashes", "a\n#### 7\nand more", "7", False),
        ("hashes", "a #### 1 #### 2", "2", False),
        ("hashes", "a\n####", None, False),
        ("none", " 7 ", "7", True),
        ("none", " ", None, False),
    ],
)
def test_where_an_answer_stands(mark, text, answer, is_exact):
    assert extract_answer(text, mark) == answer
    assert has_exact_format(text, mark) is is_exact


@pytest.mark.parametrize("mark", MARKS)
def test_the_rewards_follow_the_mark_and_abstain_without_a_true_answer(mark):
    rewards = {"exact_format": 1, "approximate_format": 1, "check_answer": 1, "numeric_answer": 1}
    given = [write_answer("3 + 4 = 7", "7", mark)] * 2
    for reward in load_rewards(GrpoConfig.from_dict({"answer_mark": mark, "rewards": rewards})):
        columns = {"question": ["?"] * 2, "answer": ["7", None]}
        scores = reward.score(["?"] * 2, given, columns, [[0]] * 2)
        needs_answers = reward.name in ("check_answer", "numeric_answer")
        assert scores == [1.0, None if needs_answers else 1.0]
