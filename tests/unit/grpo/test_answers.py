import threading
from fractions import Fraction

import pytest

from olmix.grpo.answers import (
    first_number,
    is_readable,
    read_number,
    score_answer,
)
from olmix.grpo.marks import extract_answer

EQUAL = [
    ("1/2", "0.5"),
    (r"\frac{1}{2}", "1/2"),
    ("1,200", "1200.0"),
    ("1e5", "100000"),
    ("18", "$18"),
    ("18", "18 dollars"),
    ("18 apples", "18"),
    ("50", "50%"),
    ("41", "x = 41"),
    ("-3", "\u22123"),
    ("18", r"$\boxed{18}$"),
    ("18", "**18**."),
    ("(3, 4)", "(3,4)"),
    ("Paris", " paris. "),
]
DIFFERENT = [
    ("1/2", "3/2"),
    (r"\frac{1}{2}", r"\frac{3}{2}"),
    ("2x+3", "5x+3"),
    ("(3, 4)", "(1, 4)"),
    ("x^2", "y^2"),
    ("10:30", "9:30"),
    ("10:30", "20:60"),
    ("1e5", "2e5"),
    ("B2", "A2"),
    ("2 apples", "2 oranges"),
    ("x = 3", "y = 3"),
    ("18", "18 million"),
    ("18", "18 or 19"),
    ("12", "1,2"),
    ("7", "7x"),
    ("3", "-3"),
    ("Paris", "siraP"),
    ("5", ""),
]


@pytest.mark.parametrize("kind", ["number", "math"])
@pytest.mark.parametrize(("true", "given"), EQUAL)
def test_equal_numbers_and_texts_are_right_however_they_are_written(true, given, kind):
    assert score_answer(given, true, kind) == 1.0
    assert score_answer(true, given, kind) == 1.0


@pytest.mark.parametrize("kind", ["number", "math"])
@pytest.mark.parametrize(("true", "given"), DIFFERENT)
def test_a_number_they_share_makes_no_two_answers_equal(true, given, kind):
    assert score_answer(given, true, kind) == 0.0
    assert score_answer(true, given, kind) == 0.0


@pytest.mark.parametrize(
    ("true", "given"),
    [
        ("2x+3", "3 + 2x"),
        ("x^2+2x+1", "(x+1)^2"),
        (r"\sqrt{2}", "sqrt(2)"),
        (r"\sin(x)", "sin(x)"),
        (r"\{1, 2\}", r"\{2, 1\}"),
        (r"\frac12", "0.5"),
    ],
)
def test_mathematics_is_compared_by_its_meaning(true, given):
    assert score_answer(given, true, "math") == 1.0
    assert score_answer(given, true, "number") == 0.0


def test_mathematics_is_compared_off_the_main_thread_too():
    found = []
    thread = threading.Thread(target=lambda: found.append(score_answer("x*x", "x^2", "math")))
    thread.start()
    thread.join()
    assert found == [1.0]


@pytest.mark.parametrize(
    "text", ["9^9^9^9", "9^{9^{9}}", "99999999!", "9**9**9", "((((1", "x" * 999]
)
def test_no_expression_takes_the_run_with_it(text):
    assert score_answer(text, "2x", "math") == 0.0


@pytest.mark.parametrize("given", ["B", "(b)", "B. because", "Answer: B", r"\text{B}", "option B)"])
def test_a_choice_is_its_letter(given):
    assert score_answer(given, "B", "choice") == 1.0
    assert score_answer(given, "A", "choice") == 0.0
    assert score_answer("Bad", "B", "choice") == 0.0


def test_exact_is_the_text_alone():
    assert score_answer(" New  York.", "new york", "exact") == 1.0
    assert score_answer("1/2", "0.5", "exact") == 0.0
    assert score_answer("19", "20", "exact") == 0.0


def test_a_number_near_by_is_half_right_where_numbers_count():
    assert score_answer("41", "40", "number") == 0.5
    assert score_answer("41 apples", "40 apples", "math") == 0.5
    assert score_answer("45", "40", "number") == 0.0
    assert score_answer(None, "40", "number") == 0.0


def test_true_answers_that_only_their_own_text_meets_are_known():
    assert is_readable("$1,200", "number")
    assert not is_readable("2x+3", "number")
    assert is_readable("2x+3", "math")
    assert not is_readable("Paris", "choice")


def test_the_last_answer_and_the_first_number_count():
    assert extract_answer("<answer>1</answer><answer>2</answer>") == "2"
    assert read_number("-1,234.5") == Fraction("-1234.5")
    assert read_number("3 of 4") is None
    assert read_number("1/0") is None
    assert first_number("It is 1/2, or 3") == Fraction(1, 2)
    assert first_number("2x + 7") is None
