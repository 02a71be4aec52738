import numpy as np
import pytest

from fit_fixtures import POWERS
from olmix.fit.propose import gradient
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.gradient import optimality_gap, search, starting_points
from olmix.fit.propose.objective import ProposerObjective
from olmix.laws.log_linear import FittedLogLinear
from olmix.laws.log_weight import FittedLogWeight

PRIOR = np.array([0.5, 0.3, 0.2])


def _free(size=3, caps=None):
    return Feasible(
        np.ones(size) if caps is None else np.array(caps), np.zeros(size, bool), np.zeros(size)
    )


def _search(objective, feasible, scale=1.0):
    starts = starting_points(feasible, [objective.reference], 8, 0)
    return search(objective, feasible, starts, scale)


def grid(step):
    """Every mixture of three domains on a lattice."""
    n = round(1 / step)
    rows = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
    return np.array(rows) / n


def _power(slopes, eps=0.03):
    return FittedLogWeight(1.5, -1.0, np.array(slopes), 0.1, eps)


def test_the_best_mixture_of_a_log_weight_law_is_the_one_of_its_formula():
    # Weights x + eps in proportion to -b.
    law = FittedLogWeight(1.5, -1.0, POWERS[:3], 0.1, 0.03)
    expected = POWERS[:3] / POWERS[:3].sum() * 1.09 - 0.03
    found = _search(ProposerObjective([law], np.ones(1), 0.0, PRIOR), _free())
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_on_a_fine_grid_is_better_though_the_law_is_not_convex(seed):
    rng = np.random.default_rng(seed)
    laws = [_power(rng.normal(0, 0.4, 3), 0.01) for _ in range(2)]
    laws.append(FittedLogLinear(1.0, 0.0, rng.normal(0, 1, 3), 0.1))
    objective = ProposerObjective(laws, np.array([0.4, 0.4, 0.2]), 0.01, PRIOR)
    feasible = _free(caps=[0.75, 0.9, 0.8])
    found = _search(objective, feasible)
    allowed = np.array([mixture for mixture in grid(0.005) if feasible.contains(mixture)])
    assert objective.value(found[None])[0] <= objective.value(allowed).min() + 1e-9
    assert feasible.contains(found, 1e-8)


def test_of_two_valleys_the_deeper_one_is_found():
    # Positive slopes of a logarithm: every vertex is a local minimum.
    objective = ProposerObjective([_power([0.30, 0.31, 0.29])], np.ones(1), 0.0, PRIOR)
    values = objective.value(np.eye(3))
    found = _search(objective, _free())
    assert objective.value(found[None])[0] <= values.min() + 1e-9


def test_starts_are_allowed_and_cover_every_corner():
    feasible = _free(caps=[0.5, 0.6, 0.7])
    starts = starting_points(feasible, [PRIOR], 5, 0)
    assert starts.shape == (1 + 3 + 5, 3)
    np.testing.assert_allclose(starts.sum(axis=1), 1)
    assert (starts <= feasible.free_caps + 1e-12).all()
    assert sorted(starts[1:4].argmax(axis=1)) == [0, 1, 2]
    np.testing.assert_array_equal(starts, starting_points(feasible, [PRIOR], 5, 0))


def test_one_free_domain_takes_what_is_left():
    feasible = Feasible(
        np.array([0.3, 0.3, 1.0]), np.array([True, True, False]), np.array([0.3, 0.3, 0.0])
    )
    objective = ProposerObjective([_power([-0.1, 0.2, 0.3])], np.ones(1), 0.0, PRIOR)
    np.testing.assert_allclose(_search(objective, feasible), [0.3, 0.3, 0.4])
    assert optimality_gap(objective, feasible, np.array([0.3, 0.3, 0.4])) == 0.0


def test_no_free_domain_leaves_the_pinned_weights():
    pins = np.array([0.5, 0.3, 0.2])
    feasible = Feasible(pins, np.ones(3, bool), pins)
    objective = ProposerObjective([_power([-0.1, 0.2, 0.3])], np.ones(1), 0.0, PRIOR)
    np.testing.assert_array_equal(_search(objective, feasible), pins)


def test_the_gap_is_0_at_the_best_and_bounds_what_is_left_of_a_convex_law():
    law = FittedLogLinear(1.0, 0.0, np.array([-1.0, 0.5, 0.2]), 0.1)
    objective, feasible = (
        ProposerObjective([law], np.ones(1), 0.05, PRIOR),
        _free(caps=[0.6, 1.0, 1.0]),
    )
    best = _search(objective, feasible)
    assert 0 <= optimality_gap(objective, feasible, best) < 1e-5
    left = objective.value(PRIOR[None])[0] - objective.value(best[None])[0]
    assert optimality_gap(objective, feasible, PRIOR) >= left


@pytest.mark.parametrize("kl", [0.0, 0.01])
@pytest.mark.parametrize("cap", [1.0, 0.08])
def test_in_many_domains_mirror_descent_finds_what_quadratic_programming_finds(
    kl, cap, monkeypatch
):
    rng = np.random.default_rng(0)
    size = 40
    prior = rng.dirichlet(np.ones(size))
    laws = [_power(-np.abs(rng.normal(0, 0.01, size)), 0.01) for _ in range(2)]
    objective = ProposerObjective(laws, np.full(2, 0.5), kl, prior)
    feasible = _free(size, np.full(size, cap))
    few = objective.value(_search(objective, feasible)[None])[0]
    monkeypatch.setattr(gradient, "_MANY", 10)
    found = _search(objective, feasible)
    assert feasible.contains(found, 1e-8)
    assert objective.value(found[None])[0] == pytest.approx(few, abs=1e-6)
