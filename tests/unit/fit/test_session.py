"""`from olmix import fit_laws, load_swarm, propose`."""

import numpy as np
import pytest

import olmix
from fit_fixtures import log_linear, log_weight, plant
from olmix import fit_laws, load_swarm, propose
from olmix.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    truths = {"line": log_linear, "po<b>wer": log_weight}
    return plant(tmp_path_factory.mktemp("session"), truths, num=40)


@pytest.fixture(scope="module")
def swarm(planted):
    counts = dict.fromkeys("abcd", 1e6)
    folder = planted.folder
    return load_swarm(folder / "ratios.csv", folder / "metrics.csv", token_counts=counts)


@pytest.fixture(scope="module")
def fitted(swarm):
    return fit_laws(swarm)


def test_three_calls_lead_from_tables_to_a_mixture(swarm, fitted):
    best = propose(fitted)
    assert sum(best.weights.values()) == pytest.approx(1)
    assert set(best.weights) == set("abcd")
    assert best.gain["low"] < best.gain["mean"] < best.gain["high"]
    assert best.statement.startswith("The proposed mixture is predicted to improve")
    assert len(swarm.swarm.runs) == 41


def test_the_same_numbers_come_from_files_and_from_python(planted, fitted):
    folder = olmix.fit.fit_swarm(planted.config(), planted.folder / "fit").folder
    loaded = olmix.fit.load_fit(folder)
    mixture = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}
    ours, theirs = fitted.predict(mixture), loaded.predict([0.4, 0.3, 0.2, 0.1])
    for metric in loaded.metrics:
        np.testing.assert_allclose(ours[metric]["mean"], theirs[metric], rtol=1e-12)
    from olmix.text.files import read_json

    proposal = read_json(folder / "proposal.json")
    assert propose(fitted).weights == pytest.approx(proposal["mixtures"]["proposed"]["weights"])


def test_a_regressor_can_be_named_and_limits_be_given(swarm):
    laws = fit_laws(swarm, "log_linear")
    assert {score["law"] for score in laws.scores.values()} == {"log_linear"}
    best = propose(laws, proposer={"kl_reg": 0.0}, fixed_weight={"d": 0.25})
    assert best.weights["d"] == pytest.approx(0.25)
    assert best.summary["proposer"] == "exact"


def test_a_config_file_will_do(planted):
    assert load_swarm(config=planted.config_file).swarm.metrics == ("line", "po<b>wer")


def test_mistakes_are_named(swarm, fitted, planted):
    with pytest.raises(DataError, match="found the domains e; the swarm has a, b, c, d"):
        fitted.predict({"a": 0.5, "e": 0.5})
    with pytest.raises(DataError, match="summing to 1"):
        fitted.predict([[0.5, 0.2, 0.1, 0.1]])
    with pytest.raises(ConfigError, match="risk"):
        propose(fitted, proposer={"risk": -1})
    with pytest.raises(TypeError, match=r"found regression.*load_swarm"):
        propose(fitted, regression={"type": "gp"})
    with pytest.raises(ConfigError, match="metrics"):
        load_swarm(planted.folder / "ratios.csv", token_counts={"a": 1})


def test_results_show_themselves_as_tables_with_escaped_names(swarm, fitted):
    for shown in (swarm, fitted, propose(fitted)):
        page = shown._repr_html_()
        assert "<table>" in page
        assert "<b>" not in page
        assert repr(shown).startswith(type(shown).__name__)
    assert "and 1 more row" in swarm._repr_html_()


def test_the_name_of_the_stage_is_a_function_and_a_package():
    import olmix.fit.swarm

    assert callable(olmix.fit)
    assert olmix.fit.swarm.Swarm
