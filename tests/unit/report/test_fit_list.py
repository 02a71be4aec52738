"""The list of fits, and what differs between two of them."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from olmix.errors import DataError
from olmix.report import compare_fits, list_fits
from sample_fit import edit_json, write_sample_fit


@pytest.fixture
def study(tmp_path):
    """Return a folder with two fits of one swarm; the second is newer, and is `latest`."""
    for name, verified in (("one", True), ("two", False)):
        write_sample_fit(tmp_path / "fit" / name, num_runs=8, num_metrics=2, verified=verified)
    os.utime(tmp_path / "fit/one/fit.json", (1, 1))
    (tmp_path / "fit/latest").symlink_to("two")
    return tmp_path / "fit"


def test_fits_are_listed_once_the_newest_first(study):
    newest, oldest = list_fits(study)
    assert (newest.name, newest.is_latest, newest.measured) == ("two", True, "–")
    assert (oldest.name, oldest.is_latest, oldest.runs) == ("one", False, 8)
    assert oldest.measured.startswith("+0.1")
    assert [one.name for one in list_fits(study.parent)] == ["fit/two", "fit/one"]


def test_what_cannot_be_read_is_left_out_and_nothing_at_all_is_an_error(study, tmp_path):
    (study / "two/fit.json").write_text("{")
    assert [one.name for one in list_fits(study)] == ["one"]
    with pytest.raises(DataError, match="there is no such folder"):
        list_fits(tmp_path / "none")
    shutil.rmtree(study / "one")
    with pytest.raises(DataError, match="holds no fit"):
        list_fits(study)


def test_the_headline_names_objective_and_floors(study):
    edit_json(study / "two/config.json", **{"proposer/floors": {"all": "5 %", "docs_bpb": 0.1}})
    newest, oldest = list_fits(study)
    assert (newest.objective, newest.floors) == ("networkx_bpb", "all 5 %, docs_bpb 0.1")
    assert oldest.floors == ""


def test_each_metric_is_compared_and_what_was_asked_otherwise_is_the_reason(study):
    edit_json(study / "two/config.json", **{"proposer/floors": "5 %"})
    edit_json(study / "two/proposal.json", floors={"docs_bpb": 2.1})
    edit_json(study / "two/fit.json", **{"metrics/networkx_bpb/chosen": "log_linear"})
    shutil.copy(study / "one/verification.csv", study / "two/verification.csv")
    shutil.copy(study / "one/verification.json", study / "two/verification.json")
    edit_json(study / "one/proposal.json", **{"mixtures/natural/weights/docs": 0.3})
    found = compare_fits(study / "one", study / "two")
    assert found.measured == (True, True)
    assert {row[0]: row[4] for row in found.metrics} == {"networkx_bpb": "", "docs_bpb": ""}
    text = (study / "two/verification.csv").read_text(encoding="utf-8")
    worse = re.sub(r"^(proposed-.*?),([^,]+)$", r"\1,9.0", text, flags=re.M)
    (study / "two/verification.csv").write_text(worse, encoding="utf-8")
    rows = {row[0]: row for row in compare_fits(study / "one", study / "two").metrics}
    assert rows["docs_bpb"][4] == "with a floor"
    assert rows["docs_bpb"][3].startswith("−")
    assert rows["networkx_bpb"][3:] == ("+0.000", "")
    asked = "Floors of the first: none; of the second: all metrics at most 5 % worse."
    assert asked in found.reading
    assert any(text.startswith("Their natural mixtures differ") for text in found.reading)


def test_a_fit_compared_with_itself_differs_in_nothing(study):
    found = compare_fits(study / "one", study / "one")
    assert (found.inputs, found.laws) == ((), ())
    assert "Both propose the same mixture." in found.reading


def test_fits_of_different_metrics_under_one_name_are_not_compared(study):
    for place, mark in (("one", "1f"), ("two", "77")):
        identity = {"networkx_bpb": {"evaluation": mark}}
        edit_json(study / place / "fit.json", measured_with=identity)
    with pytest.raises(DataError, match=r"networkx_bpb: .*one and .*two .*evaluation 1f and 77"):
        compare_fits(study / "one", study / "two")


def test_settings_laws_weights_and_runs_that_differ_are_named(study):
    edit_json(study / "two/config.json", **{"proposer/kl_reg": 0.2})
    edit_json(study / "two/fit.json", **{"metrics/networkx_bpb/chosen": "log_linear"})
    edit_json(
        study / "two/proposal.json",
        **{"mixtures/proposed/weights/docs": 0.5, "mixtures/proposed/weights/code": 0.27},
    )
    found = compare_fits(study / "one", study / "two")
    assert ("proposer.kl_reg", "0.05", "0.2") in found.inputs
    assert found.laws[0][0] == "networkx_bpb"
    assert found.laws[0][1].startswith("log_weight")
    assert found.laws[0][2].startswith("log_linear")
    assert any(row[0] == "docs" and row[3] == "+28.0" for row in found.weights)
    assert found.gains[1][2] == "–"
    assert any(text.startswith("The proposals lie") for text in found.reading)


def test_runs_that_only_one_of_them_has_are_counted(tmp_path):
    small = write_sample_fit(tmp_path / "a/fit/one", num_runs=8, num_metrics=1)
    large = write_sample_fit(tmp_path / "b/fit/two", num_runs=10, num_metrics=1)
    found = compare_fits(small, large)
    assert ("runs", "8", "10") in found.inputs
    assert found.reading[0] == (
        "The second fit has 2 runs that the first lacks, and lacks 0 of the first."
    )
