"""The simulation proposer, and the others that need no slope."""

import numpy as np
import pytest

from fit_fixtures import log_weight, plant
from olmix.fit import fit_swarm


@pytest.fixture
def planted(tmp_path):
    """A swarm whose best mixture is inside a face."""
    return plant(tmp_path, {"y": log_weight}, num=48, noise=0.05)


def _proposal(planted, **changes):
    return fit_swarm(planted.config(**changes), planted.folder / "fit").proposal


def test_it_finds_what_the_gradient_finds(planted):
    law, kl = {"type": "log_weight"}, {"kl_reg": 0.05}
    one = _proposal(planted, regression=law, proposer={"type": "gradient", **kl})
    other = _proposal(planted, regression=law, proposer={"type": "simulation", **kl})
    assert other.proposer == "simulation"
    left, right = (p.weights("proposed") for p in (one, other))
    assert max(abs(left[name] - right[name]) for name in left) < 0.02


def test_it_stays_within_the_caps(planted):
    found = _proposal(
        planted,
        regression={"type": "log_weight"},
        proposer={"type": "simulation", "temperature": 1.0},
        constraints={"enabled": True, "target_tokens": 2_500_000, "repetition_factor": 1.0},
    )
    weights = found.weights("proposed")
    assert sum(weights.values()) == pytest.approx(1.0)
    assert all(weights[name] <= cap + 1e-8 for name, cap in found.caps.items())


def test_trees_are_proposed_from_by_simulation(planted):
    found = _proposal(planted, regression={"type": "lightgbm"})
    assert found.proposer == "simulation"
    mixture = np.array(list(found.weights("proposed").values()))
    assert log_weight(mixture)[0] < log_weight(np.full(4, 0.25))[0]


def test_search_is_the_best_run(planted):
    found = _proposal(planted, regression={"type": "search"})
    assert found.proposer == "search"
    assert found.weights("proposed") == found.weights("best_seen")


@pytest.mark.parametrize("kl", ["auto", 0.0])
def test_the_divergence_may_be_chosen_by_regret(planted, kl):
    found = _proposal(planted, regression={"type": "log_weight"}, proposer={"kl_reg": kl})
    assert 0 <= found.kl_reg <= 1
    assert (found.kl_reg == 0) == (kl == 0.0) or kl == "auto"
