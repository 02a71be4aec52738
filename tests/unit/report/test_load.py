"""Reading a fit folder."""

from __future__ import annotations

import math

import numpy as np
import pytest

from olmix.errors import DataError
from olmix.report.load import load_content
from sample_fit import edit_json


def test_the_metrics_of_the_objective_come_first(fit):
    edit_json(fit / "fit.json", **{"metrics/docs_bpb/objective_weight": 5.0})
    assert [metric.name for metric in load_content(fit).metrics] == ["docs_bpb", "networkx_bpb"]


def test_null_is_read_as_unknown(fit):
    edit_json(fit / "fit.json", **{"metrics/networkx_bpb/noise_sd": None})
    assert math.isnan(load_content(fit).metrics[0].noise_sd)


def test_without_a_proposal_the_objective_comes_from_the_fit(fit):
    (fit / "proposal.json").unlink()
    found = load_content(fit)
    assert found.proposal is None
    assert found.objective.name == "networkx_bpb"
    edit_json(fit / "fit.json", **{"metrics/docs_bpb/objective_weight": 1.0})
    edit_json(fit / "fit.json", **{"metrics/docs_bpb/lower_is_better": False})
    objective = load_content(fit).objective
    assert objective.name == "average of all metrics"
    assert objective.lower_is_better
    assert objective.signs == {"networkx_bpb": 1, "docs_bpb": -1}


def test_bits_per_byte_are_recognised_by_name(fit):
    found = load_content(fit)
    assert found.objective.unit == "bits per byte"
    assert {metric.unit for metric in found.metrics} == {"bits per byte"}


def test_a_matrix_is_read_whichever_way_round_it_was_written(fit):
    before = load_content(fit).effects
    path = fit / "interaction_matrix.csv"
    rows = [line.split(",") for line in path.read_text().split()]
    path.write_text("\n".join(",".join(row) for row in zip(*rows, strict=True)) + "\n")
    np.testing.assert_array_equal(load_content(fit).effects, before)


def test_tables_that_are_gone_are_named_and_the_rest_is_read(fit):
    (fit.parent / "results" / "ratios.csv").unlink()
    found = load_content(fit)
    assert found.ratios is None
    assert "ratios.csv" in found.problems[0]
    assert found.measured is not None


def test_files_that_contradict_the_format_are_refused_by_name(fit):
    edit_json(fit / "fit.json", metrics={})
    with pytest.raises(DataError, match=r"fit\.json.*at least one"):
        load_content(fit)


def test_the_split_is_said_in_words(fit):
    assert load_content(fit).split == "5-fold cross-validation, seed 0"
    (fit / "config.json").unlink()
    assert load_content(fit).split == "cross-validation"
