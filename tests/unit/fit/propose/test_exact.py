import numpy as np
import pytest

from fit_fixtures import POWERS, SLOPES
from olmix.errors import OlmixError
from olmix.fit.propose.exact import solve_exact
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


def _objective(kl_weight, seed=0, num_laws=2):
    rng = np.random.default_rng(seed)
    laws = [FittedLogLinear(1.0, 0.0, rng.normal(0, 1.5, 3), 0.1) for _ in range(num_laws)]
    return ProposerObjective(laws, np.full(num_laws, 1 / num_laws), kl_weight, PRIOR)


def grid(step):
    """Every mixture of three domains on a lattice."""
    n = round(1 / step)
    rows = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
    return np.array(rows) / n


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kl_weight", [0.0, 0.1])
def test_nothing_on_a_fine_grid_is_better(seed, kl_weight):
    objective, feasible = _objective(kl_weight, seed), _free(caps=[0.7, 0.8, 0.6])
    found = solve_exact(objective, feasible, 1.0)
    allowed = [mixture for mixture in grid(0.005) if feasible.contains(mixture)]
    best = objective.value(np.array(allowed)).min()
    assert objective.value(found[None])[0] <= best + 1e-9
    assert objective.value(found[None])[0] >= best - 1e-3
    assert feasible.contains(found, 1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_the_gradient_proposer(seed):
    objective, feasible = _objective(0.05, seed), _free(caps=[0.9, 0.6, 0.5])
    exact = solve_exact(objective, feasible, 1.0)
    starts = starting_points(feasible, [PRIOR], 4, 0)
    other = search(objective, feasible, starts, 1.0)
    assert objective.value(exact[None])[0] == pytest.approx(
        objective.value(other[None])[0], abs=1e-8
    )
    np.testing.assert_allclose(exact, other, atol=1e-3)


def test_for_one_metric_alone_the_best_mixture_is_a_vertex():
    law = FittedLogLinear(2.0, -0.5, SLOPES, 0.1)
    objective = ProposerObjective([law], np.ones(1), 0.0, np.full(4, 0.25))
    np.testing.assert_allclose(solve_exact(objective, _free(4), 1.0), [1, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("kl_weight", [1e2, 1e6, 1e12])
def test_a_large_divergence_gives_the_prior(kl_weight):
    found = solve_exact(_objective(kl_weight), _free(), 1.0)
    np.testing.assert_allclose(found, PRIOR, atol=1e-2 if kl_weight == 1e2 else 1e-4)


def test_pinned_weights_are_kept_to_the_last_digit():
    feasible = Feasible(
        np.array([1.0, 0.25, 1.0]), np.array([False, True, False]), np.array([0.0, 0.25, 0.0])
    )
    found = solve_exact(_objective(0.1), feasible, 1.0)
    assert found[1] == 0.25
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert optimality_gap(_objective(0.1), feasible, found) < 1e-6


def test_the_size_of_the_metric_does_not_matter():
    small = FittedLogLinear(0.0, -14.0, np.array([-1.0, 1.0, 0.5]), 0.1)
    one = FittedLogLinear(0.0, 0.0, np.array([-1.0, 1.0, 0.5]), 0.1)
    scale = np.exp(-14.0)
    found = [
        solve_exact(ProposerObjective([law], np.ones(1), 0.2 * unit, PRIOR), _free(), unit)
        for law, unit in ((small, scale), (one, 1.0))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_a_law_that_is_not_convex_is_refused():
    law = FittedLogWeight(1.5, -1.0, POWERS, 0.1, 0.03)
    objective = ProposerObjective([law], np.ones(1), 0.0, np.full(4, 0.25))
    with pytest.raises(OlmixError, match="the exact proposer cannot use the law log_weight"):
        solve_exact(objective, _free(4), 1.0)
