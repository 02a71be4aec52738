import numpy as np
import pytest

from olmix.config import FitConfig
from olmix.errors import InfeasibleError
from olmix.fit.propose.feasible import feasible_mixtures


def _config(counts, **sections):
    tables = {"ratios": "r.csv", "metrics": "m.csv"}
    return FitConfig.from_dict({"swarm": tables, "priors": {"token_counts": counts}, **sections})


def _budget(target, factor):
    return {"enabled": True, "target_tokens": target, "repetition_factor": factor}


COUNTS = {"a": 100, "b": 300, "c": 600}


def test_caps_are_the_tokens_that_passes_give_as_a_share_of_the_target():
    found = feasible_mixtures(_config(COUNTS, constraints=_budget(1000, 2.0)))
    np.testing.assert_allclose(found.caps, [0.2, 0.6, 1.0])
    assert found.contains(np.array([0.2, 0.3, 0.5]))
    assert not found.contains(np.array([0.3, 0.2, 0.5]))


def test_without_constraints_nothing_is_capped():
    assert feasible_mixtures(_config(COUNTS)).caps.tolist() == [1, 1, 1]
    limits = {**_budget(1000, 2.0), "enabled": False}
    assert feasible_mixtures(_config(COUNTS, constraints=limits)).caps.tolist() == [1, 1, 1]


def test_shares_of_the_free_domains_become_mixtures_and_back():
    found = feasible_mixtures(_config(COUNTS, filtering={"fixed_weight": {"b": 0.4}}))
    whole = found.expand(np.array([[0.25, 0.75], [1.0, 0.0]]))
    np.testing.assert_allclose(whole, [[0.15, 0.4, 0.45], [0.6, 0.4, 0.0]])
    np.testing.assert_allclose(found.restrict(whole[0]), [0.25, 0.75])


def test_a_budget_that_the_tokens_do_not_reach_is_refused_with_what_would_do():
    with pytest.raises(InfeasibleError) as caught:
        feasible_mixtures(_config(COUNTS, constraints=_budget(10_000, 4.0)))
    message = str(caught.value)
    assert "4 passes over their tokens are only 0.4" in message
    assert "Lower constraints.target_tokens to 4000" in message
    assert "raise constraints.repetition_factor to 10." in message


@pytest.mark.parametrize(("target", "factor"), [(4000, 4.0), (10_000, 10.0)])
def test_what_the_message_advises_does(target, factor):
    feasible_mixtures(_config(COUNTS, constraints=_budget(target, factor)))


def test_a_pin_above_its_cap_is_refused_by_name():
    config = _config(COUNTS, constraints=_budget(1000, 2.0), filtering={"fixed_weight": {"a": 0.3}})
    with pytest.raises(InfeasibleError, match=r"fixed_weight: a is pinned to 0\.3, but 2 passes"):
        feasible_mixtures(config)


def test_pins_that_leave_too_little_room_are_refused():
    config = _config(COUNTS, filtering={"fixed_weight": {"a": 0.3}})
    with pytest.raises(InfeasibleError, match=r"the pinned weights leave 0\.7, but no domain"):
        feasible_mixtures(config, np.array([True, False, False]))


def test_domains_that_no_run_has_get_a_pinned_weight_only():
    live = np.array([True, True, False])
    assert feasible_mixtures(_config(COUNTS), live).caps.tolist() == [1, 1, 0]
    pinned = _config(COUNTS, filtering={"fixed_weight": {"c": 0.25}})
    assert feasible_mixtures(pinned, live).caps.tolist() == [1, 1, 0.25]


@pytest.mark.parametrize("pins", [{"b": 1.0}, {"a": 0.5, "c": 0.5}])
def test_pins_that_take_everything_leave_no_domain_free(pins):
    found = feasible_mixtures(_config(COUNTS, filtering={"fixed_weight": pins}))
    assert not found.free.any()
    only = found.expand(np.empty((1, 0)))[0]
    np.testing.assert_allclose(only, [pins.get(name, 0.0) for name in COUNTS])
    assert found.restrict(only).shape == (0,)
