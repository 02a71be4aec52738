"""Domains that keep their shares of each other are fitted as one, and written apart."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fit_fixtures import DOMAINS, SHARES, draw_mixtures, reused
from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit import fit_swarm, load_fit
from olmix.fit.predict import predict_table
from olmix.fit.session import fit_laws, load_swarm, propose
from olmix.fit.tied_domains import find_frozen
from olmix.mixture import Mixture
from olmix.text.csv import read_table


def test_a_swarm_that_reuses_a_mixture_needs_runs_for_what_is_free_only(tmp_path):
    swarm = load_swarm(config=reused(tmp_path).config_file).swarm
    assert swarm.domains == ("new", "old")
    assert swarm.leaves == DOMAINS
    assert any("they are fitted as one domain, old" in note for note in swarm.notes)
    assert "old:code (60.0 %)" in swarm.notes[-1]


def test_everything_that_is_written_has_the_leaves_in_their_shares(tmp_path):
    planted = reused(tmp_path)
    limits = {"target_tokens": 4_000_000}
    folder = fit_swarm(planted.config(constraints=limits), tmp_path / "fit").folder
    proposal = json.loads((folder / "proposal.json").read_text())
    for mixture in proposal["mixtures"].values():
        weights = mixture["weights"]
        assert set(weights) == set(DOMAINS)
        old = sum(weights[name] for name in SHARES)
        assert weights == pytest.approx(
            {"new": weights["new"], **{name: old * share for name, share in SHARES.items()}}
        )
    weights = proposal["mixtures"]["proposed"]["weights"]
    passes = {name: 4 * weight for name, weight in weights.items()}
    assert proposal["repetition"] == pytest.approx(passes)
    text = (folder / "mix.yaml").read_text()
    import yaml

    mix = Mixture.parse(yaml.safe_load(text)["mix"])
    assert {name: mix[name].weight for name in mix} == pytest.approx(
        {name: weight for name, weight in weights.items() if weight > 0}
    )
    optimal = json.loads(next(folder.glob("opt_avg_*_optimal.json")).read_text())
    assert {row["domain"]: row["weight"] for row in optimal} == pytest.approx(weights)
    assert json.loads((folder / "fit.json").read_text())["frozen"] == {"old": pytest.approx(SHARES)}


def test_the_natural_share_of_a_frozen_source_is_that_of_its_leaves(tmp_path):
    folder = fit_swarm(reused(tmp_path).config(), tmp_path / "fit").folder
    natural = json.loads((folder / "proposal.json").read_text())["mixtures"]["natural"]["weights"]
    assert natural["new"] == pytest.approx(0.25)


def test_a_cap_is_reached_where_the_first_leaf_runs_out(tmp_path):
    # 600 thousand tokens of code at a share of 0.6: the source gives a million, and no more.
    counts = {"new": 1_500_000, "old:code": 600_000, "old:web": 900_000, "old:books": 900_000}
    limits = {"enabled": True, "target_tokens": 2_000_000, "repetition_factor": 1.0}
    planted = reused(tmp_path)
    found = propose(
        fit_laws(
            load_swarm(config=planted.config(priors={"token_counts": counts}, constraints=limits))
        )
    )
    assert found.weights["old:code"] <= 0.3 + 1e-9
    assert found.summary["caps"]["old:code"] == pytest.approx(0.3)


def test_leaves_are_pinned_together_or_not_at_all(tmp_path):
    swarm = load_swarm(config=reused(tmp_path).config_file)
    pins = {name: 0.5 * share for name, share in SHARES.items()}
    found = propose(fit_laws(swarm), fixed_weight=pins)
    assert found.weights == pytest.approx({"new": 0.5, **pins})
    with pytest.raises(
        DataError, match=r"Pin all of them in these proportions, or none: old:code 0.6"
    ):
        propose(fit_laws(swarm), fixed_weight={"old:code": 0.3})


def test_tables_of_leaves_can_be_predicted(tmp_path):
    planted = reused(tmp_path)
    loaded = load_fit(fit_swarm(planted.config(), tmp_path / "fit").folder)
    assert loaded.domains == ("new", "old")
    _, columns = predict_table(loaded, read_table(planted.folder / "ratios.csv"))
    np.testing.assert_allclose(columns["mean"], planted.metrics["y"], atol=0.05)
    laws = fit_laws(load_swarm(config=planted.config_file))
    mixture = {"new": 0.4, **{name: 0.6 * share for name, share in SHARES.items()}}
    assert laws.predict(mixture)["y"]["mean"] == pytest.approx(loaded.predict([[0.4, 0.6]])["y"])


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_shares_as_trained_may_differ_a_little(tmp_path, noise):
    assert load_swarm(config=reused(tmp_path, noise=noise).config_file).swarm.frozen is not None


def test_domains_that_go_their_own_ways_are_left_apart():
    mixtures = np.random.default_rng(0).dirichlet(np.ones(4), 8)
    assert find_frozen(DOMAINS, mixtures) is None


def test_domains_of_different_sources_are_not_joined():
    two = draw_mixtures(9, 2)
    mixtures = np.column_stack([two[:, 0], 0.5 * two[:, 1], 0.5 * two[:, 1]])
    assert find_frozen(("a", "b", "c"), mixtures) is None


def test_a_part_of_a_source_is_named_by_its_leaves():
    three = draw_mixtures(9, 3)
    mixtures = np.column_stack([three[:, 0], three[:, 1], 0.4 * three[:, 2], 0.6 * three[:, 2]])
    found = find_frozen(("w", "s:a", "s:b", "s:c"), mixtures)
    assert found is not None
    assert found.domains == ("w", "s:a", "s:(b+c)")


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 3))
def test_expanding_and_collapsing_give_back_every_mixture(seed, leaves, free):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(leaves, 5.0))
    whole = draw_mixtures(8, free + 1, seed)
    mixtures = np.hstack([whole[:, :free], whole[:, free:] * shares])
    names = [*(f"f{i}" for i in range(free)), *(f"old:{i}" for i in range(leaves))]
    found = find_frozen(names, mixtures)
    if found is None:  # a share so small that it cannot be told from none
        assert shares.min() < 0.05
        return
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    np.testing.assert_allclose(found.expand(found.collapse(mixtures)), mixtures, atol=0.03)
    np.testing.assert_allclose(found.collapse(mixtures).sum(axis=1), 1)


def test_a_config_without_frozen_domains_is_left_as_it_is(tmp_path):
    planted = reused(tmp_path)
    planted.ratios = dict(zip(DOMAINS, draw_mixtures(9, 4).T.tolist(), strict=True))
    swarm = load_swarm(config=planted.write().config_file)
    assert swarm.swarm.frozen is None
    assert isinstance(swarm.config, FitConfig)
    assert swarm.swarm.collapse_config(swarm.config) is swarm.config
