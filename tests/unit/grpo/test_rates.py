import math

import numpy as np
import pytest

from olmix.grpo.rates import Measured, mean_interval, paired_change, rate_interval
from olmix.records.fit.scores import LEVEL, NORMAL_QUANTILE

RNG = np.random.default_rng(0)
THREE_ERRORS = 3 * (LEVEL * (1 - LEVEL) / 400) ** 0.5
"""Of a share of 400 draws."""


@pytest.mark.parametrize("p", [0.02, 0.3, 0.95])
@pytest.mark.parametrize("answers", [1, 4])
def test_intervals_hold_the_true_rate_as_often_as_they_say(p, answers):
    """Questions differ: some are answered more often than others."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(400):
        chances = rng.beta(4 * p, 4 * (1 - p), size=80)
        low, high = rate_interval(rng.binomial(answers, chances) / answers, answers)
        hits += low <= p <= high
    # Counts jump: with 1 or 2 right answers in 80 Wilson's interval misses 14 % of the time.
    assert hits / 400 > LEVEL - THREE_ERRORS - (0.05 if p < 0.05 else 0.02)


def test_a_rate_that_never_varied_still_has_a_width():
    low, high = rate_interval(np.ones(61))
    assert low == pytest.approx(61 / (61 + NORMAL_QUANTILE**2))
    assert high == 1.0
    assert rate_interval(np.zeros(61), 8)[1] == pytest.approx(1 - low)


def test_several_answers_to_a_question_narrow_its_interval_but_not_as_more_questions_do():
    chances = RNG.uniform(0, 1, 60)
    several = RNG.binomial(8, chances) / 8

    def width(values, answers):
        low, high = rate_interval(values, answers)
        return high - low

    once = width(RNG.binomial(1, chances).astype(float), 1)
    eight_times = width(several, 8)
    as_questions = width(np.repeat(several, 8), 1)
    assert as_questions < eight_times < once


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_a_paired_change_holds_the_true_one_as_often_as_it_says(gain):
    rng, hits, widths = np.random.default_rng(2), 0, []
    risen = 0.0667 + gain / 0.6  # of the answers that were wrong, those that become right
    for _ in range(400):
        before = rng.uniform(size=100) < 0.4
        after = rng.uniform(size=100) < np.where(before, 0.9, risen)
        found = paired_change(before.astype(float), after.astype(float), is_rate=True)
        hits += abs(found.difference - (0.4 * 0.9 + 0.6 * risen - 0.4)) <= found.half_width
        widths.append(found.half_width)
    assert hits / 400 > LEVEL - THREE_ERRORS
    assert np.mean(widths) < 0.14, "pairing is narrower than two rates apart"


def test_a_change_of_nothing_has_a_width_and_means_leave_out_what_is_not_known():
    same = paired_change(np.ones(61), np.ones(61), is_rate=True)
    assert same.difference == 0.0
    assert 0.02 < same.half_width < 0.05
    values = np.array([1.0, math.nan, 3.0])
    found = Measured({"reward": values}, frozenset(), 1, ("a", "b", "a"))
    assert found.means() == {"reward": 2.0, "reward/a": 2.0}
    low, high = mean_interval(values)
    assert (low + high) / 2 == 2.0
    other = Measured({"reward": values + 1.5}, frozenset(), 1)
    assert other.change_from(found)["reward"].difference == 1.5
    assert other.change_from(found)["reward"].half_width == 0.0
