import json

import numpy as np
import pytest

from fit_fixtures import flat, log_linear, log_weight, plant
from olmix.fit import fit_swarm
from olmix.fit.results import statement
from olmix.fit.swarm import read_swarm
from olmix.records.fit.proposal import PredictedGain


def _fit(planted, **changes):
    return fit_swarm(planted.config(**changes), planted.folder / "fit")


def test_a_gain_is_stated_with_its_interval_and_its_probability(tmp_path):
    proposal = _fit(plant(tmp_path, {"y": log_weight})).proposal
    assert proposal.reliable
    assert proposal.statement.startswith(
        "The proposed mixture is predicted to improve y over the natural one: a gain of 0."
    )
    assert "(lower is better), 90 % interval" in proposal.statement
    assert "more than 99.9 %" in proposal.statement
    gain = proposal.gains["natural"]
    assert gain.low < gain.mean < gain.high
    predicted = {name: mix.predicted.mean for name, mix in proposal.mixtures.items()}
    assert gain.mean == pytest.approx(predicted["natural"] - predicted["proposed"])


@pytest.mark.parametrize(
    ("lower", "words"),
    [
        ({}, "a gain of 0.21 bits per byte (lower is better) in the average of all metrics"),
        ({"y_bpb": False, "z_bpb": False}, "a gain of 0.21 bits per byte (higher is better)"),
        ({"y_bpb": False}, "a gain of 0.21 (positive is better)"),
    ],
)
def test_a_gain_that_is_not_certain_says_so_and_which_way_is_better(tmp_path, lower, words):
    config = plant(tmp_path, {"y_bpb": log_linear, "z_bpb": log_weight}).config(
        lower_is_better=lower
    )
    found = PredictedGain(0.21, 0.2, -0.12, 0.54, 0.85)
    said = statement(read_swarm(config), found, reliable=True)
    assert words in said
    assert "90 % interval −0.12 to 0.54: the probability that it is better is 85 %" in said
    assert "which is not certain" in said


def test_the_predicted_performance_has_the_average_that_was_optimised(tmp_path):
    planted = plant(tmp_path, {"y": log_weight, "z": log_linear})
    result = _fit(planted, filtering={"obj_weights": {"y": 3}})
    plain = json.loads((result.folder / "predicted_performance.json").read_text())
    each = {name: entry["mixtures"] for name, entry in plain["metrics"].items()}
    for mixture, value in plain["average"]["mixtures"].items():
        assert value == pytest.approx(0.75 * each["y"][mixture] + 0.25 * each["z"][mixture])
    assert plain["average"]["predicted"] == plain["average"]["mixtures"]["proposed"]


@pytest.mark.parametrize("seed", range(3))
def test_a_swarm_of_pure_noise_is_called_that(tmp_path, seed):
    proposal = _fit(plant(tmp_path, {"y": flat}, seed=seed)).proposal
    assert proposal.reliable is False
    assert proposal.statement.startswith("No reliable signal in this swarm")
    assert "What would help: more runs" in proposal.statement


def test_a_metric_without_signal_is_named_where_the_average_has_one(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "noise": flat}, num=36)
    planted.metrics["noise"] = (
        0.02 * np.random.default_rng(5).standard_normal(len(planted.runs))
    ).tolist()
    result = _fit(planted.write())
    assert result.proposal.reliable
    assert not result.fit.metrics["noise"].signal
    assert result.proposal.warnings[0] == (
        "The swarm shows no reliable signal about noise, which the average counts."
    )
    assert any(note.startswith("noise: no reliable signal") for note in result.fit.notes)


def test_where_more_is_better_numbers_stand_as_in_the_table(tmp_path):
    planted = plant(tmp_path, {"score": lambda x: 20 - log_weight(x)})
    result = _fit(planted, lower_is_better={"score": False})
    proposal = result.proposal
    assert proposal.objective.lower_is_better is False
    predicted = {name: mix.predicted for name, mix in proposal.mixtures.items()}
    assert predicted["proposed"].mean > predicted["natural"].mean > 0
    assert all(p.low <= p.mean <= p.high for p in predicted.values())
    assert proposal.gains["natural"].mean > 0
    assert proposal.mixtures["best_seen"].measured == max(planted.metrics["score"])
    rows = (result.folder / "predictions.csv").read_text().splitlines()[1:]
    assert all(float(cell) > 0 for row in rows for cell in row.split(",")[3:6])


def test_predictions_hold_a_row_per_run_and_metric_that_was_measured(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "z": log_weight})
    planted.metrics["y"][3] = None
    result = _fit(planted.write(), regression={"n_test": 4})
    lines = (result.folder / "predictions.csv").read_text().splitlines()
    assert lines[0] == "run,metric,law,measured,fitted,held_out,fold"
    assert len(lines) == 1 + 31 + 30
    assert sum(line.endswith(",test") for line in lines) >= 7


def test_the_interaction_matrix_says_which_way_a_domain_pulls(tmp_path):
    planted = plant(tmp_path, {"y": log_linear, "up": lambda x: -log_linear(x)})
    result = _fit(planted, lower_is_better={"up": False})
    matrix = np.load(result.folder / "interaction_matrix.npy")
    assert matrix.shape == (4, 2)
    up, y = matrix.T
    assert y[0] < 0 < y[3]
    assert up[3] < 0 < up[0]
    # Moving weight from all domains in proportion to all domains changes nothing.
    np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-12)
    header = (result.folder / "interaction_matrix.csv").read_text().splitlines()[0]
    assert header == "domain,up,y"


def test_the_passes_over_the_tokens_are_counted(tmp_path):
    limits = {"enabled": True, "target_tokens": 4_000_000, "repetition_factor": 2.0}
    proposal = _fit(plant(tmp_path, {"y": log_linear}), constraints=limits).proposal
    assert proposal.repetition["a"] == pytest.approx(2.0, abs=1e-4)
    assert max(proposal.caps.values()) == 0.5
    assert _fit(plant(tmp_path / "2", {"y": log_linear})).proposal.repetition is None


def test_summaries_are_what_json_can_hold(tmp_path):
    result = _fit(plant(tmp_path, {"y": log_linear, "z": flat}))
    for value in (result.fit.to_plain(), result.proposal.to_plain()):
        assert json.loads(json.dumps(value, allow_nan=False)) == value
