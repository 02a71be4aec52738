"""What another round of runs is worth, on draws whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmix.fit.evidence.another_round import another_round, expected_gain
from olmix.fit.evidence.judged_proposal import propose_judged
from olmix.fit.session import fit_laws, load_swarm
from olmix.text.csv import write_table


def _gain(draws, noise, num_runs=32, penalty=None):
    zero = np.zeros(draws.shape[1]) if penalty is None else penalty
    return expected_gain(draws, zero, noise, num_runs, np.random.default_rng(0))


def test_laws_that_agree_have_nothing_to_learn():
    draws = np.tile([1.0, 2.0, 3.0], (50, 1))
    assert _gain(draws, 0.1) == (pytest.approx(0, abs=1e-4), pytest.approx(0, abs=1e-9))


def test_two_mixtures_that_could_each_be_better():
    """Two independent normals: knowing both gains 1 / sqrt(pi) of their spread."""
    draws = np.random.default_rng(1).normal(size=(4000, 2))
    gain, most = _gain(draws, noise=1e-3)
    assert most == pytest.approx(1 / np.sqrt(np.pi), rel=0.1)
    assert gain == pytest.approx(most, rel=0.1)


@settings(max_examples=20)
@given(st.integers(0, 100), st.floats(0.01, 3))
def test_a_gain_lies_between_nothing_and_all_there_is(seed, noise):
    draws = np.random.default_rng(seed).normal(size=(60, 20))
    gain, most = _gain(draws, noise)
    assert 0 <= gain <= most


def test_noise_makes_a_round_worth_less_and_runs_make_it_worth_more():
    draws = np.random.default_rng(2).normal(size=(200, 40))
    assert _gain(draws, 3.0)[0] < _gain(draws, 0.3)[0]
    assert _gain(draws, 0.3, num_runs=4)[0] < _gain(draws, 0.3, num_runs=32)[0]


def test_a_penalty_keeps_mixtures_out():
    draws = np.random.default_rng(3).normal(size=(200, 2))
    gain, most = _gain(draws, 0.1, penalty=np.array([0.0, 100.0]))
    assert (gain, most) == (pytest.approx(0, abs=0.2), pytest.approx(0, abs=0.2))


def _swarm(tmp_path, runs, noise, seed=0, copies=1):
    """A swarm whose first mixture was trained `copies` times."""
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.ones(4), runs)
    mixtures[:copies] = mixtures[0]
    truth = ((mixtures - [0.4, 0.3, 0.2, 0.1]) ** 2).sum(axis=1)
    names = [f"r{index}" for index in range(runs)]
    weights = dict(zip("abcd", mixtures.T.tolist(), strict=True))
    write_table(tmp_path / "ratios.csv", names, weights)
    values = truth + noise * rng.normal(size=runs)
    write_table(tmp_path / "metrics.csv", names, {"loss": values.tolist()})
    tables = (tmp_path / "ratios.csv", tmp_path / "metrics.csv")
    counts = dict.fromkeys("abcd", 1000)
    return fit_laws(load_swarm(*tables, token_counts=counts))


def test_many_runs_leave_less_to_gain_than_few(tmp_path):
    found = []
    for runs in (24, 160):
        fit = _swarm(tmp_path, runs, 0.02, copies=5).fit
        found.append(another_round(fit, propose_judged(fit)))
    few, many = found
    assert many.gain < few.gain
    assert many.gain <= many.most
    assert not many.worth
    assert "below the noise of" in many.statement
    assert many.statement.endswith("stop and verify.")


def test_without_replicates_there_is_no_verdict(tmp_path):
    """What laws leave over at their own runs says little of how much runs differ."""
    fit = _swarm(tmp_path, 40, 0.02).fit
    found = another_round(fit, propose_judged(fit))
    assert np.isnan(found.noise)
    assert not found.worth
    assert "since no mixture was trained twice" in found.statement


def test_two_metrics_that_cancel_in_one_pair_of_replicates_are_not_free_of_noise(tmp_path):
    """Their average is the same twice by chance; another round is not worth it for that."""
    rng = np.random.default_rng(0)
    mixtures = rng.dirichlet(np.ones(3), 30)
    mixtures[1] = mixtures[0]
    names = [f"r{index}" for index in range(30)]
    weights = dict(zip("abc", mixtures.T.tolist(), strict=True))
    write_table(tmp_path / "ratios.csv", names, weights)
    truth = ((mixtures - [0.5, 0.3, 0.2]) ** 2).sum(axis=1)
    error = np.zeros(30)
    error[:2] = [0.1, -0.1]
    metrics = {"one": (truth + error).tolist(), "two": (truth - error).tolist()}
    write_table(tmp_path / "metrics.csv", names, metrics)
    tables = (tmp_path / "ratios.csv", tmp_path / "metrics.csv")
    fit = fit_laws(load_swarm(*tables, token_counts=dict.fromkeys("abc", 1000))).fit
    found = another_round(fit, propose_judged(fit))
    one = 0.2 / np.sqrt(2)
    assert found.noise == pytest.approx(one / np.sqrt(2))
