"""The law of epochs: floor, exponential link, and what all domains share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.laws.epochs import Epochs, EpochsShape, FittedEpochs

DOMAINS = 10


def planted(seed, num_domains=DOMAINS):
    """Plant a law of the size that was published: few passes at the optimum, small gains."""
    rng = np.random.default_rng(seed)
    passes = np.exp(rng.uniform(np.log(2), np.log(200), num_domains))
    benefits = rng.gamma(0.5, 0.2, num_domains)
    harms = rng.gamma(0.5, 0.05, num_domains)
    amplitudes = np.concatenate([benefits, harms])
    return FittedEpochs(passes, EpochsShape(0.5, 1.0, 2.0), amplitudes, -0.5, 0.8, 0.01)


def swarm(law, num, seed, noise=0.001):
    rng = np.random.default_rng([seed, 1])
    natural = 1 / law.passes / (1 / law.passes).sum()
    mixtures = np.vstack([natural, rng.dirichlet(np.ones(len(natural)), num - 1)])
    return mixtures, law.predict(mixtures) + noise * rng.standard_normal(num)


def test_benefit_and_harm_are_what_the_formula_says():
    shape = EpochsShape(0.5, 1.0, 1.0)
    benefit, harm = -shape.columns(np.array([[2.0]]))[0, 0], shape.columns(np.array([[0.0]]))[0, 1]
    assert benefit == pytest.approx(1 - np.exp(-1))
    assert harm == pytest.approx(np.log1p(np.exp(-1.0)) ** 2)
    assert shape.columns(np.zeros((1, 1)))[0, 0] == 0


def test_amplitudes_above_0_do_not_mean_that_the_first_tokens_help():
    """The slope at 0 passes of a domain with both amplitudes 1: +0.1185 for rho .05, tau 1."""
    slopes = EpochsShape(0.05, 1.0, 1.0).slopes(np.array([[0.0]]))[0]
    assert slopes.sum() == pytest.approx(0.1185, abs=1e-4)


def test_a_planted_law_is_predicted_where_it_was_not_seen():
    law = planted(0)
    mixtures, values = swarm(law, 80, 0)
    found = Epochs(law.passes).fit(mixtures, values)
    fresh, _ = swarm(law, 300, 9)
    error = np.sqrt(((found.predict(fresh) - law.predict(fresh)) ** 2).mean())
    assert error < 0.2 * law.predict(fresh).std()
    assert found.floor < values.min()


@given(st.integers(0, 50), st.floats(0.5, 20))
def test_a_multiple_of_all_passes_is_another_rho(seed, factor):
    """What counts as one pass is a matter of the shape alone, as far as benefits go."""
    rng = np.random.default_rng(seed)
    passes = rng.uniform(0, 5, (6, 3))
    here, there = EpochsShape(0.5, 0.7, 1.0), EpochsShape(0.5 / factor, 0.7, 1.0)
    np.testing.assert_allclose(
        here.columns(passes)[:, :3], there.columns(passes * factor)[:, :3], rtol=1e-9
    )


def test_promises_stay_above_the_floor_whatever_the_mixture():
    law = planted(3)
    mixtures, values = swarm(law, 60, 3)
    found = Epochs(law.passes).fit(mixtures, values)
    corners = np.vstack([np.eye(DOMAINS), mixtures])
    assert (found.predict(corners) > found.floor).all()
