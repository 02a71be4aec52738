import threading
from fractions import Fraction

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from olmix.grpo.answers import first_number_is, is_readable, score_answer
from olmix.grpo.marks import extract_answer
from olmix.grpo.quantities import read_quantity

EQUAL = {
    "fractions": [
        ("1/2", "0.5"), (r"\frac{1}{2}", "1/2"), (r"-\dfrac{1}{2}", "-.50"), (r"\frac12", "(1/2)"),
        ("1 1/2", "1.5"), (r"1\frac{1}{2}", "3/2"), ("-1 1/2", "-1.5"), ("1\u00bd", "1 and 1/2"),
        (r"0.\overline{3}", "1/3"), (r"0.1\overline{6}", "1/6"),
    ],
    "thousands": [
        ("1,200", "1200.0"), ("1000000", "1 000 000"), (r"1,\!000", "1000"), ("1{,}000", "1_000"),
        ("$1.5 million", "1500000 dollars"), ("2 dozen", "24"),
    ],
    "powers": [
        ("1e5", "100000"), (r"1.5 \times 10^{5}", "150000"), ("10^{-3}", "0.001"),
        ("2 \u00d7 10\u2075", "2e+5"), ("-3", "\u22123"),
    ],
    "percentages": [
        ("50", "50%"), ("50%", "0.5"), ("1/2", r"50\%"), ("12.5%", "1/8"), ("50%", "50 percent"),
    ],
    "units": [
        ("18 apples", "18"), ("18 apples", "18 apple"), ("5", r"5\,\text{cm}"), ("5 m/s", "5"),
        ("5 km per hour", "5 kilometers/hour"), ("5 ft^2", "5 square feet"), ("5", "5m"),
        ("45", r"45^\circ"), ("45\u00b0", "45 degrees"), ("25_8", "25_{8}"),
    ],
    "currencies": [
        ("18", "$18"), ("18", "18 dollars"), (r"\$18.00", "USD 18"), ("-$18", "$-18"),
        ("\u20ac18", "18 EUR"),
    ],
    "words and marks before and around": [
        ("41", "x = 41"), (r"\theta = 3", "3"), ("total cost = 3", "3"), ("The answer is 3.", "3"),
        ("~3", "3"), ("18", r"$\boxed{18}$"), ("18", "**18**."), ("3", r"\(3\)"), ("(3)", "`3`"),
    ],
    "texts": [("(3, 4)", "(3,4)"), ("Paris", " paris. "), ('"Paris"', "Paris")],
}  # fmt: skip
DIFFERENT = {
    "fractions": [
        ("1/2", "3/2"), (r"\frac{1}{2}", r"\frac{3}{2}"), ("1 1/2", "1"), ("1 1/2", "11/2"),
        ("1 1/2", "1/2"), (r"0.\overline{3}", "0"), (r"0.\overline{3}", r"0.\overline{7}"),
        ("1 1/0", "1"),
    ],
    "thousands": [("12", "1,2"), ("1000", "1,00"), ("12", "1 2"), ("18", "18 million")],
    "powers": [("1e5", "2e5"), ("105", "10\u2075"), ("3", "-3"), ("3", "3^2")],
    "percentages": [("50%", "5"), ("0.5", "5%"), ("50%", "0.5%"), ("5", "5%5")],
    "units": [
        ("2 apples", "2 oranges"), ("5 cm", "5 m"), ("5 feet", "5 square feet"), ("25_8", "25_7"),
        ("45\u00b0", "45 radians"), ("5", "5 tenths"), ("58", "5\u2088"),
    ],
    "currencies": [("$18", "\u20ac18"), ("18 apples", "$18")],
    "letters": [
        ("7", "7x"), ("3", "3xy"), ("3", "3 ab"), ("7", "7n"), ("2x+3", "5x+3"), ("x^2", "y^2"),
        ("x\u00b2", "x2"), ("x = 3", "y = 3"), ("B2", "A2"), ("f'(x)", "f(x)"),
    ],
    "several": [
        ("(3, 4)", "(1, 4)"), ("10:30", "9:30"), ("10:30", "20:60"), ("18", "18 or 19"),
        ("5", "5 minutes and 3 seconds"), ("(1, 2)", "{1, 2}"), ("1, 2", "(2, 1)"),
    ],
    "texts": [("Paris", "siraP"), ("5", ""), ("5", "not 5")],
}  # fmt: skip


def _pairs(table):
    return [(group, *pair) for group, pairs in table.items() for pair in pairs]


@pytest.mark.parametrize("kind", ["number", "math"])
@pytest.mark.parametrize(("group", "true", "given"), _pairs(EQUAL))
def test_equal_numbers_and_texts_are_right_however_they_are_written(group, true, given, kind):
    del group
    assert score_answer(given, true, kind) == 1.0
    assert score_answer(true, given, kind) == 1.0


@pytest.mark.parametrize("kind", ["number", "math"])
@pytest.mark.parametrize(("group", "true", "given"), _pairs(DIFFERENT))
def test_a_number_they_share_makes_no_two_answers_equal(group, true, given, kind):
    del group
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
        (r"\frac{\sqrt{3}}{2}", "sqrt(3)/2"),
        ("{1, 2}", r"\{2, 1\}"),
        (r"(-\infty, 2]", "(-inf, 2]"),
        ("1 < x < 2", "(1, 2)"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        ("x\u2081 + 1", "1 + x_1"),
        ("2\u03c0", "pi*2"),
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


@pytest.mark.parametrize(
    "given",
    ["B", "(b)", "[B]", "{B}", "B. because", "B) 12", "(B) 12", "B - Paris", "B\nA is wrong",
     "Answer: B", "The correct answer is (B).", r"\text{B}", r"\mathbf{(B)}", "option B)", '"B"'],
)  # fmt: skip
def test_a_choice_is_its_letter(given):
    assert score_answer(given, "B", "choice") == 1.0
    assert score_answer(given, "A", "choice") == 0.0


@pytest.mark.parametrize("given", ["Bad", "B or C", "B, C", "B. or C.", "b) or c)", "not B", "AB"])
def test_a_word_or_two_letters_are_no_choice(given):
    assert score_answer(given, "B", "choice") == 0.0


def test_a_choice_may_be_a_number_or_yes_and_no():
    assert score_answer("(2)", "2", "choice") == 1.0
    assert score_answer("No, because it is odd", "no", "choice") == 1.0
    assert score_answer("[Yes]", "no", "choice") == 0.0


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


def test_the_last_answer_counts():
    assert extract_answer("<answer>1</answer><answer>2</answer>") == "2"


@pytest.mark.parametrize(
    ("text", "true"),
    [("It is 1/2, or 3", "0.5"), ("1 1/2 cups", "1.5"), ("$1,200 in all", "1200"),
     ("50% of them", "0.5"), ("2 million people", "2000000")],
)  # fmt: skip
def test_the_first_number_counts_whatever_follows_it(text, true):
    assert first_number_is(text, true)


@pytest.mark.parametrize("text", ["2x + 7", "11/2", "2:30", "-2", "no number"])
def test_a_first_number_that_is_a_part_of_something_longer_does_not_count(text):
    assert not first_number_is(text, "2")


@drawn(st.fractions(0, 1, max_denominator=1000), st.integers(0, 10**9))
def test_a_number_is_the_same_in_all_its_spellings(part, whole):
    exact, part = part % 1 + whole, part % 1
    spellings = [str(exact), rf"\frac{{{exact.numerator}}}{{{exact.denominator}}}"]
    if part:
        latex = rf"{whole}\frac{{{part.numerator}}}{{{part.denominator}}}"
        spellings += [f"{whole} {part}", latex]
    assert {read_quantity(each).value for each in spellings} == {exact}
    for separator in (",", " ", "_"):
        assert read_quantity(f"{whole:_}".replace("_", separator)).value == whole
    assert read_quantity(f"{whole}%").closeness(read_quantity(str(Fraction(whole, 100)))) == 1.0


@drawn(st.text(max_size=40), st.text(alphabet="0123456789/%. ,-\\{}()x^_e", max_size=12))
def test_any_two_texts_can_be_compared(one, other):
    for kind in ("number", "choice", "exact"):
        is_right = score_answer(one + other, other, kind) == 1.0
        assert is_right == (score_answer(other, one + other, kind) == 1.0)
    assert first_number_is(one + other, other) in (True, False)
