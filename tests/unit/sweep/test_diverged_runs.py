"""Runs that diverged or have not ended are named, and never taken for results."""

import csv

import pytest
from sweep_studies import log_run, write_study

from olmix.errors import DataError
from olmix.sweep.results import write_results
from olmix.sweep.status import read_states

STEPS = range(1, 51)


@pytest.fixture
def study(tmp_path):
    """A 3x2 grid whose smallest losses are those of runs that must not win."""
    folder = write_study(tmp_path, lora_rank=[8, 16, 32], learning_rate=[1e-4, 3e-4])
    log_run(folder, 0, [2.0 - 0.01 * n for n in STEPS])  # ends at about 1.5
    log_run(folder, 1, [2.0 - 0.04 * n if n < 40 else "nan" for n in STEPS])
    log_run(folder, 2, ["inf" for _ in STEPS])
    log_run(folder, 3, [0.1] * 30, finished=False)
    log_run(folder, 4, [1.4] * 50)
    return folder


def ids(entries):
    return [run.id for run, _ in entries]


def table(folder, name):
    with (folder / "results" / name).open() as file:
        return list(csv.DictReader(file))


def test_only_finished_runs_with_numbers_are_ranked(study):
    found = write_results(study)
    assert ids(found.ranking) == ["run_004", "run_000"]
    assert ids(found.diverged) == ["run_001", "run_002"]
    assert [(run.id, step) for run, step in found.unfinished] == [("run_003", 30)]
    assert found.incomplete == ("run_005",)


def test_no_table_holds_them_unmarked(study):
    write_results(study)
    states = {row["run"]: (row["loss"], row["state"]) for row in table(study, "results.csv")}
    assert states["run_001"] == ("nan", "diverged")
    assert states["run_002"] == ("inf", "diverged")
    assert states["run_003"][1] == "started"
    effects = {(row["variable"], row["value"]): row for row in table(study, "main_effects.csv")}
    assert ("lora_rank", "16") not in effects
    assert effects["lora_rank", "8"]["runs"] == effects["lora_rank", "32"]["runs"] == "1"


def test_a_surface_is_fitted_without_them_and_says_so(study):
    log_run(study, 5, [1.6] * 50)
    found = write_results(study)
    assert {row["run"] for row in table(study, "metrics.csv")} == {"run_000", "run_004", "run_005"}
    for said in (found.factors.note, (study / "results" / "surface.yaml").read_text()):
        assert "because they diverged: run_001, run_002" in said
        assert "because they have not finished: run_003" in said


def test_unfinished_runs_are_compared_if_asked_for_and_stay_marked(study):
    found = write_results(study, unfinished=True)
    assert ids(found.ranking) == ["run_003", "run_004", "run_000"]
    assert [run.id for run, _ in found.unfinished] == ["run_003"]
    assert "used as far as they got" in found.factors.note
    effects = {(row["variable"], row["value"]): row for row in table(study, "main_effects.csv")}
    assert effects["lora_rank", "16"]["unfinished"] == "1"
    assert effects["lora_rank", "8"]["unfinished"] == "0"


@pytest.mark.parametrize("bad", [46, 48, 50])
def test_one_value_that_is_no_number_at_the_end_is_enough(tmp_path, bad):
    folder = write_study(tmp_path, lora_rank=[8, 16])
    log_run(folder, 0, [1.0 if n != bad else "nan" for n in STEPS])
    log_run(folder, 1, [1.5] * 50)
    assert ids(write_results(folder).diverged) == ["run_000"]


def test_a_gap_that_training_got_over_is_no_divergence(tmp_path):
    folder = write_study(tmp_path, lora_rank=[8, 16])
    log_run(folder, 0, [1.0 if n != 20 else "nan" for n in STEPS])
    log_run(folder, 1, [1.5] * 50)
    assert ids(write_results(folder).ranking) == ["run_000", "run_001"]


def test_a_run_whose_loss_diverged_cannot_win_by_another_metric(tmp_path):
    folder = write_study(tmp_path, lora_rank=[8, 16])
    log_run(folder, 0, ["nan"] * 50, accuracy=0.9)
    log_run(folder, 1, [1.5] * 50, accuracy=0.2)
    found = write_results(folder, metric="accuracy", lower_is_better=False)
    assert ids(found.ranking) == ["run_001"]
    assert ids(found.diverged) == ["run_000"]


def test_without_a_run_to_compare_it_is_said_why(tmp_path):
    folder = write_study(tmp_path, lora_rank=[8, 16])
    log_run(folder, 0, ["nan"] * 50)
    log_run(folder, 1, [1.5] * 20, finished=False)
    with pytest.raises(DataError, match=r"run_000 diverged; run_001 not finished \(--unfinished"):
        write_results(folder)


def test_status_tells_them_too(study):
    states = read_states(study)
    assert [s.diverged() for s in states] == [False, True, True, False, False, False]
    assert [s.state for s in states[:4]] == ["finished", "finished", "finished", "started"]
