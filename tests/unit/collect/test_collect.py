import csv

import pytest

from olmix.collect import collect
from olmix.errors import DataError
from olmix.records.metric_identity import MetricIdentity, read_identities
from olmix.records.run import RunFolder, Status
from olmix.text.csv import read_table
from olmix.text.files import read_json, write_json


def _group(folder, states, metrics=("a_bpb",), prefix="r"):
    entries = []
    for index, state in enumerate(states):
        run = RunFolder(folder / f"{prefix}{index}")
        run.write_status(Status(state, "id", error="diverged" if state == "failed" else None))
        entries.append({"name": run.name, "identity": "id", "seed": index})
        if state == "finished":
            summary = {
                "metrics": dict.fromkeys(metrics, index + 0.5),
                "weights": {"a": 0.5, "b": 0.5},
                "token_shares": {"a": 0.501, "b": 0.499},
                "epochs": {"a": 0.1, "b": 2.0},
                "tokens": 100,
                "seconds": 1.5,
                "tokens_per_second": 66.0,
                "final_loss": 3.0,
            }
            write_json(run.summary, summary)
    write_json(folder / "group.json", {"runs": entries})
    return folder


def test_finished_runs_enter_the_tables_and_all_others_are_named(tmp_path):
    states = ["finished", "failed", "finished", "pending"]
    found = collect([_group(tmp_path / "g", states)], tmp_path / "out")
    assert found.runs == ("r0", "r2")
    assert found.incomplete == {"r1": "diverged", "r3": "pending"}
    assert read_table(found.metrics).values[:, 0].tolist() == [0.5, 2.5]


def test_ratios_are_the_shares_as_trained_and_what_was_asked_stands_beside(tmp_path):
    found = collect([_group(tmp_path / "g", ["finished"])], tmp_path / "out")
    assert read_table(found.ratios).values.tolist() == [[0.501, 0.499]]
    with (tmp_path / "out/runs.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    assert (row["asked:a"], row["passes:b"], row["seed"]) == ("0.5", "2.0", "0")


def test_a_summary_of_another_identity_is_not_this_run(tmp_path):
    group = _group(tmp_path / "g", ["finished", "finished"])
    RunFolder(group / "r0").write_status(Status("finished", "other"))
    assert collect([group], tmp_path / "out").runs == ("r1",)


def test_groups_are_collected_together(tmp_path):
    groups = [_group(tmp_path / p, ["finished"], prefix=p) for p in "xy"]
    assert collect(groups, tmp_path / "out").runs == ("x0", "y0")


def test_runs_of_one_name_are_told_apart_by_their_groups(tmp_path, caplog):
    """Two verifications of a study both train `natural-seed-2000`."""
    groups = [_group(tmp_path / p, ["finished"]) for p in "xy"]
    assert collect(groups, tmp_path / "out").runs == ("r0", "r0@y")
    assert "1 run shares a name with a run of another group: r0@y here" in caplog.text
    with pytest.raises(DataError, match="was given twice"):
        collect([groups[0], tmp_path / "y" / ".." / "x"], tmp_path / "out")


def test_groups_that_measured_different_things_are_refused(tmp_path):
    groups = [
        _group(tmp_path / "x", ["finished"], prefix="x"),
        _group(tmp_path / "y", ["finished"], metrics=("b_bpb",), prefix="y"),
    ]
    with pytest.raises(DataError, match="no run has all of a_bpb, b_bpb; x0 lacks b_bpb"):
        collect(groups, tmp_path / "out")


def test_nothing_is_written_where_nothing_is_finished(tmp_path):
    with pytest.raises(DataError, match=r"no run is finished yet: r0 \(pending\)"):
        collect([_group(tmp_path / "g", ["pending"])], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_value_that_is_not_finite_becomes_an_empty_cell(tmp_path):
    group = _group(tmp_path / "g", ["finished", "finished"], metrics=("a_bpb", "b_bpb"))
    file = RunFolder(group / "r1").summary
    file.write_text(file.read_text().replace('"b_bpb": 1.5', '"b_bpb": Infinity'))
    found = collect([group], tmp_path / "out")
    assert found.metrics.read_text().splitlines() == ["run,a_bpb,b_bpb", "r0,0.5,0.5", "r1,1.5,"]


def test_groups_that_were_evaluated_on_other_texts_are_refused_with_both_named(tmp_path):
    for place, mark in (("one", "1f"), ("two", "77")):
        folder = _group(tmp_path / place, ["finished"], prefix=place)
        plain = read_json(folder / "group.json")
        write_json(
            folder / "group.json", {**plain, "measured_with": {"a_bpb": {"evaluation": mark}}}
        )
    with pytest.raises(DataError, match=r"a_bpb: one0 in .*one and two0 in .*two .*1f and 77"):
        collect([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trainer_of_its_own_says_in_the_summary_what_it_measured_with(tmp_path):
    folder = _group(tmp_path / "g", ["finished", "finished"])
    said = {"a_bpb": {"definition": "bits per byte, schema 2", "seeds": [3]}}
    for run in ("r0", "r1"):
        file = folder / run / "summary.json"
        write_json(file, {**read_json(file), "measured_with": said})
    found = collect([folder], tmp_path / "out")
    known = read_identities(found.metrics)
    assert known == {"a_bpb": MetricIdentity(definition="bits per byte, schema 2", seeds=(3,))}
