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


def _frames(planted):
    import pandas as pd

    return [pd.read_csv(planted.folder / f"{name}.csv") for name in ("ratios", "metrics")]


def test_frames_and_dicts_give_the_swarm_of_the_files(swarm, planted):
    ratios, metrics = _frames(planted)
    counts = dict.fromkeys("abcd", 1e6)
    for given in ((ratios, metrics), (ratios.to_dict("list"), metrics.to_dict("records"))):
        loaded = load_swarm(*given, token_counts=counts)
        np.testing.assert_array_equal(loaded.swarm.mixtures, swarm.swarm.mixtures)
        np.testing.assert_array_equal(loaded.swarm.values, swarm.swarm.values)


@pytest.mark.parametrize("form", [("ratios",), ("metrics",)])
def test_one_table_may_be_a_file_and_the_other_a_dict(swarm, planted, form):
    tables = {
        key: {"run": planted.runs, **getattr(planted, key)}
        if key in form
        else planted.folder / f"{key}.csv"
        for key in ("ratios", "metrics")
    }
    mixed = load_swarm(**tables, token_counts=dict.fromkeys("abcd", 1e6))
    assert mixed.swarm.runs == swarm.swarm.runs
    np.testing.assert_array_equal(mixed.swarm.measured, swarm.swarm.measured)


def test_what_is_wrong_with_a_frame_names_the_call(planted):
    ratios, metrics = _frames(planted)
    with pytest.raises(DataError, match=r"load_swarm\(ratios\), row 1: one column named `run`"):
        load_swarm(ratios.drop(columns="run"), metrics)


def test_without_token_counts_the_prior_is_uniform_and_that_is_said(planted):
    loaded = load_swarm(*_frames(planted))
    laws = fit_laws(loaded, "log_linear")
    best = propose(laws)
    for found in (loaded.swarm.warnings, best.warnings):
        assert sum("stands in for the natural one" in warning for warning in found) == 1
    natural = best.proposal.mixtures["natural"].weights
    assert list(natural.values()) == pytest.approx([0.25] * 4)
    with pytest.raises(ConfigError, match="token_counts are needed"):
        load_swarm(*_frames(planted), constraints={"enabled": True, "target_tokens": 100})


def test_one_mixture_gives_numbers_and_several_give_arrays(fitted):
    mixture = dict.fromkeys("abcd", 0.25)
    for one in (mixture, [0.25] * 4, np.full(4, 0.25)):
        assert all(type(v) is float for v in fitted.predict(one)["line"].values())
    for many in ([mixture], [[0.25] * 4], np.full((1, 4), 0.25)):
        assert fitted.predict(many)["line"]["mean"].shape == (1,)


def test_a_frame_is_answered_by_a_frame_and_a_dict_of_columns_by_one(fitted, planted):
    import pandas as pd

    ratios = _frames(planted)[0]
    found = fitted.predict(ratios)
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == ["run", "metric", "mean", "low", "high"]
    assert len(found) == 2 * len(ratios)
    arrays = fitted.predict(ratios[list("abcd")].to_numpy())
    line = found[found["metric"] == "line"]
    np.testing.assert_allclose(line["mean"], arrays["line"]["mean"], rtol=1e-12)
    assert list(line["run"]) == list(ratios["run"])
    columns = fitted.predict({name: [0.25, 0.25] for name in "dcba"})
    assert columns["run"] == ["0", "1"] * 2
    pa = pytest.importorskip("pyarrow")
    table = fitted.predict(pa.table({name: [0.25, 0.25] for name in "dcba"}))
    assert table.to_pydict() == columns


def test_a_series_is_read_by_its_names(fitted):
    import pandas as pd

    mixture = {"d": 0.1, "c": 0.2, "b": 0.3, "a": 0.4}
    assert fitted.predict(pd.Series(mixture)) == fitted.predict(mixture)


def test_results_come_out_as_columns(swarm, fitted):
    assert list(swarm.to_dict()) == ["run", *"abcd", "line", "po<b>wer"]
    assert fitted.to_dict()["metric"] == ["line", "po<b>wer"]
    best = propose(fitted)
    assert best.to_dict()["domain"] == list("abcd")
    assert best.to_dict()["proposed"] == list(best.weights.values())


def test_printed_weights_are_mended_and_noise_is_0(fitted, caplog):
    fitted.predict({"a": 0.33, "b": 0.33, "c": 0.33, "d": -1e-12})
    assert "predict: The weights of 1 of 1 runs do not add up to 1" in caplog.text


def test_messages_name_the_function_that_was_called(swarm, fitted):
    with pytest.raises(ConfigError, match=r"^fit_laws: regression.type"):
        fit_laws(swarm, "log_liner")
    with pytest.raises(ConfigError, match=r"^propose: proposer"):
        propose(fitted, proposer={"typ": "exact"})
    with pytest.raises(ConfigError, match=r"^load_swarm: "):
        load_swarm(config={"swarm": {}})
    with pytest.raises(DataError, match=r"^predict: "):
        fitted.predict(["a", "b"])
    with pytest.raises(
        TypeError, match=r"^fit_laws\(\) takes what load_swarm\(\) returned; found a d"
    ):
        fit_laws({})
    with pytest.raises(
        TypeError, match=r"^propose\(\) takes what fit_laws\(\) returned; found a L"
    ):
        propose(swarm)
