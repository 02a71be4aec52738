"""Quotas: every prefix of a run has each domain's share, to within one sequence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.mixing.quota import assign_slots

weight = st.one_of(st.just(0.0), st.floats(1e-6, 1.0))
weights = st.lists(weight, min_size=1, max_size=12).filter(lambda found: sum(found) > 0)


@given(weights, st.integers(0, 300))
def test_every_prefix_has_each_share_within_the_chairman_bound(found, num_slots):
    share = np.array(found) / sum(found)
    slots = assign_slots(found, num_slots)
    counts = np.cumsum(slots[:, None] == np.arange(len(share)), axis=0)
    error = np.abs(counts - share * np.arange(1, num_slots + 1)[:, None])
    live = (share > 0).sum()
    bound = 1 - 1 / (2 * live - 2) if live > 1 else 0.0
    assert (error <= bound + 1e-6).all()


@given(weights, st.integers(1, 200))
def test_domains_without_weight_take_no_slot(found, num_slots):
    assert all(found[domain] > 0 for domain in assign_slots(found, num_slots))


@given(weights, st.integers(0, 100), st.integers(0, 100))
def test_a_longer_run_begins_like_a_shorter_one(found, short, extra):
    longer = assign_slots(found, short + extra)
    np.testing.assert_array_equal(longer[:short], assign_slots(found, short))


def test_equal_weights_take_turns():
    assert assign_slots([1, 1, 1], 6).tolist() == [0, 1, 2, 0, 1, 2]


def test_ten_thousand_slots_of_rounding_errors_stay_within_the_bound():
    share = np.full(10, 0.1)
    slots = assign_slots(share, 10_000)
    assert np.bincount(slots).tolist() == [1000] * 10


@pytest.mark.parametrize("bad", [[0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]])
def test_weights_that_are_no_mixture_are_refused(bad):
    with pytest.raises(ValueError, match="weight"):
        assign_slots(bad, 5)
