"""Proposals that keep floors, avoid risk, or trade families against each other."""

import numpy as np
import pytest

from fit_fixtures import log_linear, log_weight, plant
from olmix.errors import ConfigError, DataError, InfeasibleError
from olmix.fit.evidence.judged_proposal import propose_judged
from olmix.fit.evidence.pareto import families_of, not_beaten, pareto_front
from olmix.fit.propose.feasible import feasible_mixtures
from olmix.fit.propose.objective import Risk
from olmix.fit.propose.proposal import propose
from olmix.fit.propose.references import find_references, measured_objective
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import fit_laws


def against(mixtures):
    """A metric that wants what `log_linear` does not."""
    return 2 + np.exp(mixtures @ np.array([1.5, -1.0, 0.0, 0.5]))


TRUTHS = {"y": log_linear, "z": against}


def fitted(planted, **changes):
    config = planted.config(**changes)
    fit = fit_laws(config, read_swarm(config))
    feasible = feasible_mixtures(config, fit.swarm.live)
    return (
        fit,
        feasible,
        find_references(config, fit.swarm, feasible, measured_objective(fit.swarm)),
    )


def proposed(planted, **changes):
    fit, feasible, references = fitted(planted, **changes)
    return fit, propose(fit, feasible, references)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("robust"), TRUTHS, num=40)


def law_of(fit, metric):
    return fit.fits[fit.swarm.metrics.index(metric)].best.law


@pytest.mark.parametrize("kind", ["log_linear", "log_weight", "lightgbm"])
@pytest.mark.parametrize("worse", [0.0, 0.05])
def test_a_floor_keeps_a_metric_near_its_value_at_the_prior(planted, kind, worse):
    if kind == "lightgbm":
        pytest.importorskip("lightgbm")
    only_y = {"obj_weights": {"y": 1.0, "z": 0.0}}
    ask = {"type": "auto", "kl_reg": 0.0}
    free, loose = proposed(planted, regression={"type": kind}, proposer=ask, filtering=only_y)
    fit, kept = proposed(
        planted,
        regression={"type": kind},
        proposer={**ask, "floors": {"z": worse}},
        filtering=only_y,
    )
    law, natural = law_of(fit, "z"), fit.natural[None]
    bound = law.predict(natural)[0] + worse
    assert law_of(free, "z").predict(loose.mixture[None])[0] > bound + 0.01
    assert law.predict(kept.mixture[None])[0] <= bound + 1e-4
    # What the floor leaves is used: y is still better than at the prior.
    y = law_of(fit, "y")
    assert y.predict(kept.mixture[None])[0] < y.predict(natural)[0] + 1e-9


def test_the_exact_proposer_with_a_floor_beats_every_mixture_of_a_grid_that_keeps_it(planted):
    fit, kept = proposed(
        planted,
        regression={"type": "log_linear"},
        proposer={"type": "exact", "kl_reg": 0.0, "floors": {"z": 0.02}},
        filtering={"obj_weights": {"y": 1.0, "z": 0.0}},
    )
    grid = np.random.default_rng(0).dirichlet(np.full(4, 0.5), 50_000)
    y, z = law_of(fit, "y"), law_of(fit, "z")
    allowed = grid[z.predict(grid) <= z.predict(fit.natural[None])[0] + 0.02]
    assert y.predict(kept.mixture[None])[0] <= y.predict(allowed).min() + 1e-9


def test_one_number_is_a_floor_for_every_metric(planted):
    fit, kept = proposed(planted, proposer={"floors": 0.01, "kl_reg": 0.0})
    for metric in fit.swarm.metrics:
        law = law_of(fit, metric)
        at_prior, here = law.predict(np.stack([fit.natural, kept.mixture]))
        assert here <= at_prior + 0.01 + 1e-4


@pytest.mark.parametrize("floors", ["1 %", {"all": "1 %"}, {"y": "1%", "z": "1.0 %"}])
def test_a_floor_may_be_a_share_of_the_value(planted, floors):
    fit, kept = proposed(planted, proposer={"floors": floors, "kl_reg": 0.0})
    for metric in fit.swarm.metrics:
        at_prior, here = law_of(fit, metric).predict(np.stack([fit.natural, kept.mixture]))
        assert here <= 1.01 * at_prior + 1e-4


def test_best_at_one_metric_and_nothing_else_worse_than_a_share(planted):
    only_y = {"obj_weights": {"y": 1.0, "z": 0.0}}
    ask = {"kl_reg": 0.0, "floors": {"all": "2 %"}}
    fit, kept = proposed(planted, proposer=ask, filtering=only_y)
    y, z = law_of(fit, "y"), law_of(fit, "z")
    here, natural = kept.mixture[None], fit.natural[None]
    assert z.predict(here)[0] <= 1.02 * z.predict(natural)[0] + 1e-4
    assert y.predict(here)[0] < y.predict(natural)[0]


def test_floors_may_be_measured_from_the_best_run(planted):
    only_y = {"obj_weights": {"y": 1.0, "z": 0.0}}
    ask = {"kl_reg": 0.0, "floors": {"z": 0.0}, "floors_at": "best_seen"}
    fit, feasible, references = fitted(planted, proposer=ask, filtering=only_y)
    kept = propose(fit, feasible, references)
    at_best, here = law_of(fit, "z").predict(np.stack([references.best_seen, kept.mixture]))
    assert here <= at_best + 1e-4


@pytest.mark.parametrize("worse", ["5", "-1 %", "five %", "%"])
def test_a_floor_that_is_no_number_and_no_share_is_refused(planted, worse):
    with pytest.raises(ConfigError, match="floors"):
        planted.config(proposer={"floors": {"z": worse}})


def test_a_floor_of_a_metric_that_is_not_there_is_an_error(planted):
    with pytest.raises(DataError, match=r"proposer.floors: no metric zz is fitted; did you mean z"):
        read_swarm(planted.config(proposer={"floors": {"zz": 0.1}}))


def test_floors_that_nothing_keeps_are_an_error_that_names_the_metric(planted):
    # The caps keep the natural mixture out, and z only gets worse with a.
    counts = {"a": 10_000_000, "b": 200_000, "c": 200_000, "d": 200_000}
    sizes = {"a": 0.1, "b": 0.3, "c": 0.3, "d": 0.3}
    with pytest.raises(InfeasibleError, match=r"proposer.floors.*z is missed by most"):
        proposed(
            planted,
            proposer={"floors": {"z": 0.0}},
            priors={"token_counts": counts, "relative_sizes": sizes},
            constraints={"enabled": True, "target_tokens": 1_000_000, "repetition_factor": 1.0},
        )


def test_risk_keeps_the_proposal_nearer_to_the_runs(tmp_path):
    # All runs lie near the middle, so that a vertex is an extrapolation.
    planted = plant(tmp_path, {"y": log_weight}, num=40, noise=0.02)
    near = 0.7 * 0.25 + 0.3 * planted.mixtures
    planted.ratios = dict(zip("abcd", near.T.tolist(), strict=True))
    planted.metrics["y"] = log_weight(near).tolist()
    planted.write()
    distances = []
    for risk in (0.0, 100.0):
        fit, found = proposed(
            planted, proposer={"kl_reg": 0.0, "risk": risk}, regression={"type": "log_linear"}
        )
        roots = np.sqrt(fit.swarm.unique_mixtures) - np.sqrt(found.mixture)
        distances.append(np.sqrt((roots**2).sum(axis=1)).min())
    assert distances[1] < 0.5 * distances[0]


def test_the_slope_of_the_risk_is_that_of_its_value():
    rng = np.random.default_rng(0)
    risk = Risk(rng.dirichlet(np.ones(5), 12), 0.3, 2.0)
    at, step = rng.dirichlet(np.ones(5), 6), 1e-6
    slopes = [
        (risk.value(at + step * e) - risk.value(at - step * e)) / (2 * step) for e in np.eye(5)
    ]
    np.testing.assert_allclose(risk.gradient(at), np.transpose(slopes), rtol=1e-4)


def test_the_front_holds_the_best_of_each_family_and_nothing_that_is_beaten(planted):
    fit, feasible, references = fitted(
        planted,
        proposer={"pareto": 7, "kl_reg": 0.0},
        eval={"type": "offline", "tasks": {"one": ["y"], "other": ["z"]}},
    )
    front = pareto_front(fit, feasible, references, 0.0)
    assert front.families == {"one": (0,), "other": (1,)}
    assert 2 < len(front.mixtures) <= 7
    assert (np.diff(front.values[:, 0]) > 0).all()
    assert (np.diff(front.values[:, 1]) < 0).all()
    grid = np.random.default_rng(0).dirichlet(np.full(4, 0.5), 5_000)
    for column, metric in enumerate(("y", "z")):
        law = law_of(fit, metric)
        assert front.values[:, column].min() <= law.predict(grid).min() + 1e-3


def test_metrics_without_families_are_families_and_those_that_do_not_count_are_left_out(planted):
    config = planted.config(filtering={"obj_weights": {"z": 0.0}})
    assert families_of(config, read_swarm(config)) == {"y": (0,)}


def test_a_front_of_three_families_starts_from_each_of_them(tmp_path):
    planted = plant(tmp_path, {**TRUTHS, "x": log_weight}, num=40)
    fit, feasible, references = fitted(planted, proposer={"pareto": 9, "kl_reg": 0.0})
    front = pareto_front(fit, feasible, references, 0.0)
    assert front.values.shape == (len(front.mixtures), 3)
    assert not_beaten(front.values).all()


def test_of_equal_points_the_first_is_kept():
    points = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0]])
    assert not_beaten(points).tolist() == [True, False, True, False]


def test_unimax_is_uniform_up_to_the_tokens_that_there_are(tmp_path):
    planted = plant(tmp_path, {"y": log_linear})
    counts = {"a": 100, "b": 1000, "c": 1000, "d": 1000}
    budget = {"target_tokens": 2000, "repetition_factor": 2.0}
    config = planted.config(priors={"token_counts": counts}, constraints=budget)
    judged = propose_judged(fit_laws(config, read_swarm(config)))
    np.testing.assert_allclose(judged.mixtures["unimax"], [0.1, 0.3, 0.3, 0.3])
    assert list(judged.mixtures) == ["natural", "uniform", "unimax", "best_seen", "proposed"]


def test_evidence_is_strong_where_a_domain_matters_and_weak_where_it_does_not(tmp_path):
    def one_domain(mixtures):
        return 2 + np.exp(-2 * mixtures[:, 0])

    planted = plant(tmp_path, {"y": one_domain}, num=40, noise=0.1)
    config = planted.config()
    evidence = propose_judged(fit_laws(config, read_swarm(config))).evidence
    assert evidence.shape == (4, 1)
    assert evidence[0, 0] < -4
    up = plant(tmp_path / "up", {"y": lambda x: -one_domain(x)}, num=40, noise=0.1)
    config = up.config(lower_is_better={"y": False})
    turned = propose_judged(fit_laws(config, read_swarm(config))).evidence
    assert turned[0, 0] > 4
