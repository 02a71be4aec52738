import numpy as np
import pytest

from fit_fixtures import POWERS, SLOPES, draw_mixtures
from olmix.fit.propose.objective import MetricFloor, ProposerObjective, Risk
from olmix.laws.log_linear import FittedLogLinear
from olmix.laws.log_weight import FittedLogWeight

LINE = FittedLogLinear(2.0, -0.5, SLOPES, 0.1)
POWER = FittedLogWeight(1.5, -1.0, POWERS, 0.1, 0.03)
PRIOR = np.array([0.4, 0.3, 0.2, 0.1])


def test_it_is_the_weighted_average_and_the_divergence():
    x = draw_mixtures(7, 4)
    found = ProposerObjective([LINE, POWER], np.array([0.25, 0.75]), 0.2, PRIOR).value(x)
    divergence = (x * np.log(x / PRIOR)).sum(axis=1)
    expected = 0.25 * LINE.predict(x) + 0.75 * POWER.predict(x) + 0.2 * divergence
    np.testing.assert_allclose(found, expected)


def test_at_the_prior_the_divergence_is_0_and_at_a_weight_of_0_it_is_finite():
    objective = ProposerObjective([LINE], np.ones(1), 5.0, PRIOR)
    assert objective.value(PRIOR[None])[0] == pytest.approx(LINE.predict(PRIOR)[0])
    corner = np.array([[0.0, 0.0, 0.0, 1.0]])
    assert objective.value(corner)[0] == pytest.approx(LINE.predict(corner)[0] + 5 * np.log(10))


@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
def test_its_gradient_agrees_with_finite_differences(kl_weight):
    x, h = draw_mixtures(5, 4), 1e-6
    objective = ProposerObjective([LINE, POWER], np.array([0.4, -0.6]), kl_weight, PRIOR)
    numeric = np.stack(
        [(objective.value(x + h * e) - objective.value(x - h * e)) / (2 * h) for e in np.eye(4)],
        axis=1,
    )
    np.testing.assert_allclose(objective.gradient(x), numeric, rtol=1e-4, atol=1e-5)


def test_only_convex_laws_with_weights_above_0_are_convex():
    assert ProposerObjective([LINE], np.ones(1), 0.0, PRIOR).convex
    assert not ProposerObjective([LINE], -np.ones(1), 0.0, PRIOR).convex
    assert not ProposerObjective([LINE, POWER], np.array([0.5, 0.5]), 0.0, PRIOR).convex


FLOOR = MetricFloor("y", LINE, bound=2.2, scale=0.5)


def test_a_floor_counts_in_standard_deviations_of_its_metric():
    x = draw_mixtures(7, 4)
    np.testing.assert_allclose(FLOOR.excess(x), np.maximum(LINE.predict(x) - 2.2, 0) / 0.5)


@pytest.mark.parametrize("risk", [None, Risk(np.eye(4), 0.1, 0.4)])
def test_the_gradient_of_floors_and_risk_agrees_with_finite_differences(risk):
    x, h = draw_mixtures(5, 4)[1:], 1e-6
    objective = ProposerObjective([POWER], np.ones(1), 0.0, PRIOR, risk, (FLOOR,), penalty=3.0)
    numeric = np.stack(
        [(objective.value(x + h * e) - objective.value(x - h * e)) / (2 * h) for e in np.eye(4)],
        axis=1,
    )
    # The distance is one of mixtures: off the simplex its slope differs by the same in all weights.
    along = np.eye(4) - 0.25
    np.testing.assert_allclose(objective.gradient(x) @ along, numeric @ along, rtol=1e-3, atol=1e-4)
