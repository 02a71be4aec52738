import pytest

from fit_fixtures import draw_mixtures, log_linear, log_weight, plant
from olmix.errors import DataError
from olmix.fit import fit_swarm, load_fit, swarm_fit
from olmix.fit.swarm import read_swarm
from olmix.fit.swarm_fit import candidate_laws
from olmix.text.files import read_json, write_json


@pytest.fixture
def planted(tmp_path):
    truths = {"y": log_linear, "z": log_weight, "up": lambda x: 9 - log_weight(x)}
    planted = plant(tmp_path, truths)
    planted.settings["lower_is_better"] = {"up": False}
    return planted


def test_loaded_laws_predict_the_very_numbers_that_were_written(planted):
    result = fit_swarm(planted.config(), planted.folder / "fit")
    loaded = load_fit(result.folder)
    swarm = read_swarm(planted.config())
    predicted = loaded.predict(swarm.unique_mixtures)
    rows = (result.folder / "predictions.csv").read_text().splitlines()[1:]
    for row in rows:
        run, metric, _, _, fitted, _, _ = row.split(",")
        group = swarm.group[swarm.runs.index(run)]
        assert predicted[metric][group] == float(fitted)


def test_loaded_laws_know_domains_directions_and_weights(planted):
    loaded = load_fit(fit_swarm(planted.config(), planted.folder / "fit").folder)
    assert loaded.domains == ("a", "b", "c", "d")
    assert loaded.metrics == ("up", "y", "z")
    assert loaded.lower_is_better == {"up": False, "y": True, "z": True}
    assert sum(loaded.objective_weights.values()) == pytest.approx(1.0)
    # What is better in the table is better when it is predicted.
    assert loaded.predict([[0.5, 0.3, 0.2, 0]])["up"] > loaded.predict([[0, 0, 0, 1.0]])["up"]


def test_latest_can_be_loaded(planted):
    fit_swarm(planted.config(), planted.folder / "fit")
    assert load_fit(planted.folder / "fit" / "latest").predict(draw_mixtures(3, 4))


def test_mixtures_of_other_domains_are_refused(planted):
    loaded = load_fit(fit_swarm(planted.config(), planted.folder / "fit").folder)
    with pytest.raises(DataError, match="found mixtures of 3 domains; this fit has 4: a, b, c, d"):
        loaded.predict([0.2, 0.3, 0.5])


def test_a_folder_without_laws_or_with_damaged_ones_is_refused(planted, tmp_path):
    with pytest.raises(DataError, match=r"models\.json: there is no such file"):
        load_fit(tmp_path / "nowhere")
    folder = fit_swarm(planted.config(), planted.folder / "fit").folder
    plain = read_json(folder / "models.json")
    write_json(folder / "models.json", {**plain, "format": 99})
    with pytest.raises(DataError, match="format 99; this release reads 3 to 5. Fit again"):
        load_fit(folder)
    write_json(folder / "models.json", {"format": 5, "domains": []})
    with pytest.raises(DataError, match="cannot be read as fitted laws"):
        load_fit(folder)
    metric = next(iter(plain["metrics"]))
    for wrong in ({"objective_weight": "heavy"}, {"chosen": 3}, {"laws": {"gp_sqrt": {"rows": 1}}}):
        changed = {metric: {**plain["metrics"][metric], **wrong}}
        write_json(folder / "models.json", {**plain, "metrics": {**plain["metrics"], **changed}})
        with pytest.raises(DataError, match="cannot be read as fitted laws"):
            load_fit(folder)
    (folder / "models.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        load_fit(folder)


@pytest.mark.parametrize(
    "kind", ["log_linear", "log_weight", "lightgbm", "autoscale", "bimix", "search"]
)
def test_a_config_may_ask_for_one_law(planted, kind):
    config = planted.config(regression={"type": kind})
    assert [law.name for law in candidate_laws(config.regression)] == [kind]
    fit = fit_swarm(config, planted.folder / "fit").fit
    assert all(list(metric.candidates) == [kind] for metric in fit.metrics.values())


def test_laws_are_taken_from_an_earlier_fit_where_only_the_proposer_changed(planted, monkeypatch):
    output = planted.folder / "again"
    first = fit_swarm(planted.config(), output)
    monkeypatch.setattr(swarm_fit, "cross_validate", None)
    other = fit_swarm(planted.config(proposer={"kl_reg": 0.5}), output)
    assert not other.reused
    assert other.folder != first.folder
    assert other.fit == first.fit
    for name in ("models.json", "predictions.csv"):
        assert (other.folder / name).read_text() == (first.folder / name).read_text()
    assert other.proposal.weights("proposed") != first.proposal.weights("proposed")


def test_other_laws_or_a_damaged_file_are_fitted_anew(planted):
    output = planted.folder / "damaged"
    first = fit_swarm(planted.config(), output)
    (first.folder / "models.json").write_text("{")
    second = fit_swarm(planted.config(proposer={"kl_reg": 0.5}), output)
    assert second.fit == first.fit
    third = fit_swarm(planted.config(regression={"seed": 3}), output)
    assert third.fit != first.fit
