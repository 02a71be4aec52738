import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from olmix.fit.propose.exact import solve_exact
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.gradient import optimality_gap, search, starting_points
from olmix.fit.propose.objective import ProposerObjective
from olmix.laws.log_linear import FittedLogLinear
from olmix.laws.log_weight import FittedLogWeight
from olmix.simplex import project_to_caps

seeds = st.integers(0, 2**32 - 1)
kl_weights = st.sampled_from([0.0, 1e-3, 0.05, 1.0, 1e4])
sizes = st.integers(2, 7)


def _feasible(rng, size):
    """Draw caps and pins that leave room."""
    pinned = rng.random(size) < 0.3
    pinned[rng.integers(size)] = False
    fixed = np.where(pinned, rng.dirichlet(np.ones(size)) * rng.random(), 0.0)
    left = 1 - fixed.sum()
    free = ~pinned
    caps = rng.uniform(0.2, 1.5, size)
    caps[free] *= max(1.0, 1.05 * left / caps[free].sum())
    return Feasible(np.where(pinned, fixed, np.minimum(caps, 1.0)), pinned, fixed)


def _reachable(feasible):
    return feasible.caps[feasible.free].sum() >= feasible.free_total


def _problem(size, kl_weight, seed, kinds):
    rng = np.random.default_rng(seed)
    laws = []
    for kind in kinds:
        slopes = rng.normal(0, 1.5, size)
        intercept = float(rng.normal(0, 1))
        if kind == "line":
            laws.append(FittedLogLinear(1.0, intercept, slopes, 0.1))
        else:
            laws.append(FittedLogWeight(1.0, intercept, 0.2 * slopes, 0.1, 0.03))
    weights = rng.dirichlet(np.ones(len(laws)))
    prior = rng.dirichlet(np.full(size, 3.0)) + 1e-6
    return ProposerObjective(laws, weights, kl_weight, prior / prior.sum()), _feasible(rng, size)


def _scale(objective, size):
    points = np.random.default_rng(0).dirichlet(np.ones(size), 50)
    return float(objective.average(points).std())


def _multiplier_gap(objective, feasible, mixture):
    """How far a mixture is from the conditions of Karush, Kuhn and Tucker.

    One multiplier fits all domains between their limits; the slope of those at 0 is not below it,
    that of those at their cap not above.
    """
    free = feasible.free
    # The divergence is infinitely steep at 0.
    slope = objective.gradient(np.where(free, np.maximum(mixture, 1e-6), mixture)[None])[0]
    up = free & (mixture < feasible.caps - 1e-5)
    down = free & (mixture > 1e-5)
    if not up.any() or not down.any():
        return 0.0
    # The steepest way up for weight against the flattest way down.
    return float(slope[down].max() - slope[up].min())


@settings(max_examples=60)
@given(sizes, kl_weights, seeds)
def test_exact_solutions_are_allowed_and_satisfy_the_optimality_conditions(size, kl_weight, seed):
    objective, feasible = _problem(size, kl_weight, seed, ["line", "line"])
    if not _reachable(feasible):
        return
    scale = _scale(objective, size)
    found = solve_exact(objective, feasible, scale)
    assert feasible.contains(found, 1e-8)
    np.testing.assert_array_equal(found[feasible.pinned], feasible.fixed[feasible.pinned])
    assert abs(found.sum() - 1) < 1e-9
    assert (found >= 0).all()
    size_of_values = scale + kl_weight
    assert optimality_gap(objective, feasible, found) <= 2e-3 * size_of_values
    assert _multiplier_gap(objective, feasible, found) <= 5e-2 * size_of_values


@settings(max_examples=40)
@given(sizes, kl_weights, seeds)
def test_gradient_solutions_of_any_law_are_allowed_and_stationary(size, kl_weight, seed):
    objective, feasible = _problem(size, kl_weight, seed, ["power", "line", "power"])
    if not _reachable(feasible):
        return
    scale = _scale(objective, size)
    starts = starting_points(feasible, [objective.reference], 6, 0)
    found = search(objective, feasible, starts, scale)
    assert feasible.contains(found, 1e-8)
    np.testing.assert_array_equal(found[feasible.pinned], feasible.fixed[feasible.pinned])
    assert abs(found.sum() - 1) < 1e-9
    assert optimality_gap(objective, feasible, found) <= 2e-3 * (scale + kl_weight)
    ends = objective.value(feasible.expand(starts))
    assert objective.value(found[None])[0] <= ends.min() + 1e-12


@settings(max_examples=30)
@given(sizes, kl_weights, seeds)
def test_both_proposers_reach_the_same_value_for_convex_laws(size, kl_weight, seed):
    objective, feasible = _problem(size, kl_weight, seed, ["line", "line", "line"])
    if not _reachable(feasible):
        return
    scale = _scale(objective, size)
    exact = solve_exact(objective, feasible, scale)
    starts = starting_points(feasible, [objective.reference], 6, 0)
    other = search(objective, feasible, starts, scale)
    values = objective.value(np.stack([exact, other]))
    assert abs(values[0] - values[1]) <= 1e-5 * (scale + kl_weight)


@settings(max_examples=25)
@given(sizes, seeds)
def test_a_large_divergence_pulls_to_the_prior_whatever_the_laws_say(size, seed):
    objective, _ = _problem(size, 0.0, seed, ["line", "power"])
    everything = Feasible(np.ones(size), np.zeros(size, bool), np.zeros(size))
    scale = _scale(objective, size)
    strong = ProposerObjective(
        objective.laws, objective.metric_weights, 1e5 * scale, objective.reference
    )
    starts = starting_points(everything, [objective.reference], 4, 0)
    found = search(strong, everything, starts, scale)
    np.testing.assert_allclose(found, objective.reference, atol=5e-3)


@given(sizes, seeds, st.floats(0, 14))
def test_projected_shares_are_a_scaled_copy_below_the_caps_however_small_some_are(
    size, seed, digits
):
    rng = np.random.default_rng(seed)
    shares = 10 ** (-digits * rng.random((4, size)))
    caps = np.minimum(rng.dirichlet(np.ones(size)) * rng.uniform(1.0001, 3), 1.0)
    caps = caps / min(1.0, caps.sum())
    found = project_to_caps(shares, caps)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert ((found > 0) & (found <= caps)).all()
    for row, own in zip(found, shares, strict=True):
        free = row < caps * (1 - 1e-9)
        if free.any():
            scale = row[free] / own[free]
            np.testing.assert_allclose(scale, scale[0], rtol=1e-9)
            assert (scale[0] * own[~free] >= caps[~free] * (1 - 1e-6)).all()
