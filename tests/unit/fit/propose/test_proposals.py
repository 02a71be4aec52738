"""Tests of `olmix.fit.propose.proposal`, from fitted laws to a proposal."""

import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant
from olmix.fit.propose import minimise as minimising
from olmix.fit.propose.exact import ProposerError
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.propose.proposal import propose, propose_each
from olmix.fit.propose.references import (
    find_references,
    measured_objective,
    nearest_run_distance,
    spread,
)
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws

TRUTHS = {"line": log_linear, "power": log_weight}


def _propose(planted, **changes):
    config = planted.config(**changes)
    swarm = read_swarm(config)
    feasible = feasible_mixtures(config, swarm.live)
    references = find_references(config, swarm, feasible, measured_objective(swarm))
    return fit_laws(config, swarm), feasible, references


def _found(planted, **changes):
    parts = _propose(planted, **changes)
    return propose(*parts)


@pytest.mark.parametrize(("kind", "share"), [("log_weight", 0.05), ("gp", 0.2), ("auto", 0.1)])
@pytest.mark.parametrize("seed", range(4))
def test_the_proposal_for_a_planted_law_is_close_to_the_best_mixture(tmp_path, seed, kind, share):
    planted = plant(tmp_path, {"y": log_weight}, num=36, noise=0.1, seed=seed)
    found = _found(planted, proposer={"kl_reg": 0.0}, regression={"type": kind})
    lattice = np.random.default_rng(0).dirichlet(np.ones(4), 20_000)
    lattice[:, 3] *= np.arange(20_000) % 2
    lattice /= lattice.sum(axis=1, keepdims=True)
    best, natural = log_weight(lattice).min(), log_weight(np.full(4, 0.25))[0]
    left = log_weight(found.mixture)[0] - best
    assert left < share * (natural - best)


def test_a_planted_log_linear_law_gives_its_vertex_and_says_so(tmp_path):
    found = _found(plant(tmp_path, {"y": log_linear}, noise=0.1))
    assert found.proposer == "exact"
    assert found.mixture[0] > 0.99
    assert any(w.startswith("The proposal is a vertex: 100 % a.") for w in found.warnings)


def test_within_caps_the_vertex_is_that_of_the_caps(tmp_path):
    limits = {"enabled": True, "target_tokens": 4_000_000, "repetition_factor": 2.0}
    found = _found(plant(tmp_path, {"y": log_linear}), constraints=limits)
    np.testing.assert_allclose(found.mixture, [0.5, 0.5, 0, 0], atol=1e-4)
    assert any("a vertex of what the caps allow: a, b at the cap" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("tokens", "most", "told"), [(4_000_000, 2.0, None), (12_000_000, 9.0, "times: a 9.0")]
)
def test_more_than_four_passes_in_the_large_run_are_told(tmp_path, tokens, most, told):
    """1,000,000 tokens each: `a`, the best, is passed over as often as its cap lets it."""
    limits = {"target_tokens": tokens, "repetition_factor": most}
    found = _found(plant(tmp_path, {"y": log_linear}), constraints=limits)
    said = [warning for warning in found.warnings if "passes over" in warning]
    assert bool(said) == (told is not None)
    assert told is None or told in said[0]


def test_weights_at_their_cap_and_better_runs_outside_are_named(tmp_path):
    limits = {"target_tokens": 4_000_000, "repetition_factor": 1.6}
    planted = plant(tmp_path, {"y": log_linear}, noise=0.1)
    found = _found(planted, constraints=limits, proposer={"kl_reg": 0.5})
    assert found.mixture[0] == pytest.approx(0.4, abs=0.01)
    (capped,) = (w for w in found.warnings if w.startswith("Held back by the cap of 1.6 times"))
    assert "their tokens: a, b. More of" in capped
    (outside,) = (w for w in found.warnings if w.startswith("The best run of all, "))
    assert "is outside the limits of the proposal; `best seen` is the best within them, " in outside


@pytest.mark.parametrize("law", ["line", "power"])
def test_caps_and_pins_are_kept(tmp_path, law):
    limits = {"enabled": True, "target_tokens": 4_000_000, "repetition_factor": 1.7}
    planted = plant(tmp_path, {law: TRUTHS[law]})
    found = _found(planted, constraints=limits, filtering={"fixed_weight": {"c": 0.21}})
    assert found.mixture[2] == 0.21
    assert (found.mixture <= 0.425 + 1e-8).all()
    assert found.mixture.sum() == pytest.approx(1.0, abs=1e-9)


def test_a_raw_kl_weight_is_one_in_units_of_the_spread(tmp_path):
    planted = plant(tmp_path, TRUTHS)
    spread = _found(planted, proposer={"kl_reg": 0.4})
    raw = spread.objective.kl_weight
    found = _found(planted, proposer={"kl_reg": raw, "kl_unit": "raw"})
    assert found.objective.kl_weight == raw
    assert found.kl_reg == pytest.approx(0.4)
    np.testing.assert_allclose(found.mixture, spread.mixture, atol=1e-6)


def test_a_raw_kl_weight_is_the_same_for_each_metric(tmp_path):
    planted = plant(tmp_path, TRUTHS)
    fit, feasible, references = _propose(planted, proposer={"kl_reg": 1e5, "kl_unit": "raw"})
    for mixture in propose_each(fit, feasible, references, kl=0.0).values():
        np.testing.assert_allclose(mixture, references.mixtures["natural"], atol=1e-3)


@pytest.mark.parametrize("kind", ["exact", "gradient"])
def test_a_large_kl_reg_proposes_the_prior(tmp_path, kind):
    planted = plant(tmp_path, {"y": log_linear})
    counts = {"a": 100, "b": 200, "c": 300, "d": 400}
    found = _found(
        planted,
        priors={"token_counts": counts},
        proposer={"type": kind, "kl_reg": 1e5},
        regression={"type": "log_linear"},
    )
    np.testing.assert_allclose(found.mixture, [0.1, 0.2, 0.3, 0.4], atol=1e-3)


def test_the_divergence_refers_to_relative_sizes_or_to_the_counts(tmp_path):
    planted = plant(tmp_path, {"y": log_linear})
    sizes = {"a": 0.7, "b": 0.1, "c": 0.1, "d": 0.1}
    priors = {"token_counts": dict.fromkeys("abcd", 100), "relative_sizes": sizes}
    own = _found(planted, priors=priors, proposer={"kl_reg": 1e5})
    assert own.mixture[0] == pytest.approx(0.7, abs=1e-3)
    counted = _found(planted, priors=priors, proposer={"kl_reg": 1e5, "use_natural_kl": True})
    assert counted.mixture[0] == pytest.approx(0.25, abs=1e-3)


def test_both_proposers_agree_for_log_linear_laws(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "z": log_weight}, noise=0.1)
    regression = {"type": "log_linear"}
    exact = _found(planted, regression=regression, proposer={"type": "exact", "kl_reg": 0.2})
    other = _found(planted, regression=regression, proposer={"type": "gradient", "kl_reg": 0.2})
    assert (exact.proposer, other.proposer) == ("exact", "gradient")
    np.testing.assert_allclose(exact.mixture, other.mixture, atol=1e-4)
    assert exact.gap < 1e-5


def test_an_exact_proposer_that_fails_is_replaced_unless_it_was_asked_for(tmp_path, monkeypatch):
    def fail(*args):
        raise ProposerError("no luck")

    planted = plant(tmp_path, {"y": log_linear})
    monkeypatch.setattr(minimising, "solve_exact", fail)
    assert _found(planted).proposer == "gradient"
    with pytest.raises(ProposerError, match="no luck"):
        _found(planted, regression={"type": "log_linear"}, proposer={"type": "exact"})


def test_the_worst_mixture_is_the_worst_and_is_labelled(tmp_path):
    planted = plant(tmp_path, {"y": log_linear})
    found = _found(planted, proposer={"make_worst_mix": True, "kl_reg": 0.0})
    assert found.mixture[3] > 0.99
    assert found.warnings[0].startswith("This is the worst mixture, not the best")


def test_where_more_is_better_the_proposal_is_the_highest(tmp_path):
    planted = plant(tmp_path, {"y": lambda x: -log_linear(x)})
    found = _found(planted, lower_is_better={"y": False})
    assert found.mixture[0] > 0.95


def test_only_metrics_with_a_weight_count(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "z": lambda x: -log_linear(x)})
    found = _found(planted, filtering={"obj_weights": {"z": 0.0}})
    assert found.mixture[0] > 0.99
    turned = _found(planted, filtering={"obj_weights": {"y": 0.0}})
    assert turned.mixture[3] > 0.9


def test_each_metric_has_a_best_mixture_of_its_own(tmp_path):
    found = propose_each(*_propose(plant(tmp_path, TRUTHS)), 0.05)
    assert found["line"][0] > 0.99
    assert 0.3 < found["power"][0] < 0.7


def test_references_are_natural_uniform_and_the_best_run(tmp_path):
    planted = plant(tmp_path, {"y": log_linear})
    planted.ratios["e"] = [0.0] * 31
    counts = {"a": 10, "b": 20, "c": 30, "d": 40, "e": 900}
    fit, _, references = _propose(planted.write(), priors={"token_counts": counts})
    np.testing.assert_allclose(references.natural, [0.1, 0.2, 0.3, 0.4, 0])
    np.testing.assert_allclose(references.mixtures["uniform"], [0.25, 0.25, 0.25, 0.25, 0])
    assert "unimax" not in references.mixtures
    best = int(np.argmin(planted.metrics["y"]))
    assert references.best_run == f"r{best:03d}"
    np.testing.assert_allclose(references.best_seen, fit.swarm.mixtures[best])
    assert references.best_measured == pytest.approx(planted.metrics["y"][best])


def test_the_best_run_is_one_that_the_limits_allow(tmp_path):
    limits = {"enabled": True, "target_tokens": 4_000_000, "repetition_factor": 1.8}
    _, feasible, references = _propose(plant(tmp_path, {"y": log_linear}), constraints=limits)
    assert feasible.contains(references.best_seen)


def test_where_no_run_is_allowed_the_nearest_mixture_to_the_best_stands_in(tmp_path):
    planted = plant(tmp_path, {"y": log_linear})
    _, feasible, references = _propose(
        planted, filtering={"fixed_weight": {"a": 0.123, "b": 0.456}}
    )
    assert references.best_run is None
    assert references.best_measured is None
    assert feasible.contains(references.best_seen, 1e-9)


@pytest.mark.parametrize("pins", [{"b": 1.0}, {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}])
@pytest.mark.parametrize("kind", ["auto", "gradient"])
def test_pins_that_leave_nothing_to_choose_are_the_proposal(tmp_path, pins, kind):
    found = _found(
        plant(tmp_path, TRUTHS), filtering={"fixed_weight": pins}, proposer={"type": kind}
    )
    np.testing.assert_allclose(found.mixture, [pins.get(name, 0.0) for name in "abcd"])


def test_a_proposal_outside_of_the_swarm_is_called_an_extrapolation(tmp_path):
    planted = plant(tmp_path, {"y": log_linear}, num=40)
    near = 0.85 * 0.25 + 0.15 * planted.mixtures
    planted.ratios = dict(zip("abcd", near.T.tolist(), strict=True))
    planted.metrics["y"] = log_linear(near).tolist()
    found = _found(planted.write())
    assert any("lies outside what the swarm tried" in warning for warning in found.warnings)
    swarm = read_swarm(planted.config())
    nearest, usual = nearest_run_distance(swarm, swarm.mixtures[3])
    assert nearest == pytest.approx(0.0, abs=1e-7)
    assert 0 < usual < 0.2


def test_a_diverged_run_does_not_turn_the_proposal_into_the_prior(tmp_path):
    planted = plant(tmp_path, {"y": log_weight})
    clean = _found(planted).mixture
    planted.metrics["y"][9] = 1e6
    np.testing.assert_allclose(_found(planted.write()).mixture, clean, atol=0.05)
    assert spread(np.array([1.0, 2.0, np.nan, 3.0])) == pytest.approx(np.std([1, 2, 3]))


def test_a_mixture_without_one_of_the_metrics_has_no_measured_objective(tmp_path):
    planted = plant(tmp_path, TRUTHS)
    planted.metrics["line"][5] = None
    measured = measured_objective(read_swarm(planted.write().config()))
    # The first mixture has two runs.
    assert np.flatnonzero(np.isnan(measured)).tolist() == [4]
