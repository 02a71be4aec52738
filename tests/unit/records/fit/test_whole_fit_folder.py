"""Reading a fit folder as a whole."""

from __future__ import annotations

import math

import numpy as np
import pytest

from olmix.errors import DataError
from olmix.records.fit.folder import read_fit_folder
from sample_fit import edit_json, write_sample_fit


@pytest.fixture
def fit(tmp_path):
    """Return a small fit folder."""
    return write_sample_fit(tmp_path / "fit" / "abc", num_runs=8, num_domains=3, num_metrics=2)


def test_the_metrics_of_the_objective_come_first(fit):
    edit_json(fit / "fit.json", **{"metrics/docs_bpb/objective_weight": 5.0})
    assert [metric.name for metric in read_fit_folder(fit).metrics] == ["docs_bpb", "networkx_bpb"]


def test_null_is_read_as_unknown(fit):
    edit_json(fit / "fit.json", **{"metrics/networkx_bpb/noise_sd": None})
    assert math.isnan(read_fit_folder(fit).metrics[0].noise_sd)


def test_without_a_proposal_the_objective_comes_from_the_fit(fit):
    (fit / "proposal.json").unlink()
    found = read_fit_folder(fit)
    assert found.proposal is None
    assert found.objective.name == "networkx_bpb"
    edit_json(fit / "fit.json", **{"metrics/docs_bpb/objective_weight": 1.0})
    edit_json(fit / "fit.json", **{"metrics/docs_bpb/lower_is_better": False})
    objective = read_fit_folder(fit).objective
    assert objective.name == "average of all metrics"
    assert objective.lower_is_better
    assert objective.to_plain()["signs"] == {"networkx_bpb": 1, "docs_bpb": -1}


def test_bits_per_byte_are_recognised_by_name(fit):
    found = read_fit_folder(fit)
    assert found.objective.unit == "bits per byte"
    assert {metric.unit for metric in found.metrics} == {"bits per byte"}


def test_a_matrix_is_read_whichever_way_round_it_was_written(fit):
    before = read_fit_folder(fit).effects
    path = fit / "interaction_matrix.csv"
    rows = [line.split(",") for line in path.read_text().split()]
    path.write_text("\n".join(",".join(row) for row in zip(*rows, strict=True)) + "\n")
    np.testing.assert_array_equal(read_fit_folder(fit).effects, before)


def test_tables_that_are_gone_are_named_and_the_rest_is_read(fit):
    (fit.parent / "results" / "ratios.csv").unlink()
    found = read_fit_folder(fit)
    assert found.ratios is None
    assert "ratios.csv" in found.problems[0]
    assert found.measured is not None


def test_files_that_contradict_the_format_are_refused_by_name(fit):
    edit_json(fit / "fit.json", metrics={})
    with pytest.raises(DataError, match=r"fit\.json: metrics: an object should have at least 1"):
        read_fit_folder(fit)


def test_the_split_is_said_in_words(fit):
    assert read_fit_folder(fit).split == "5-fold cross-validation, seed 0"
    (fit / "config.json").unlink()
    assert read_fit_folder(fit).split == "cross-validation"


def test_tables_that_cannot_be_read_are_named_and_the_rest_is_read(fit):
    (fit / "predictions.csv").write_bytes(b"run,metric\xff\n")
    (fit / "interaction_matrix.csv").write_text("metric,x\ny,1\n")
    (fit / "verification.csv").write_bytes(b"\xff")
    found = read_fit_folder(fit)
    assert found.predictions == {}
    assert found.effects is None
    words = "\n".join(found.problems)
    for name in ("predictions.csv", "interaction_matrix.csv", "verification.csv"):
        assert name in words


@pytest.mark.parametrize(
    "content", ["[]", '{"swarm": 3}', '{"regression": [1]}', '{"priors": "x"}', "{"]
)
def test_a_config_that_is_none_is_refused_by_name(fit, content):
    (fit / "config.json").write_text(content)
    with pytest.raises(DataError, match=r"config\.json"):
        read_fit_folder(fit)
