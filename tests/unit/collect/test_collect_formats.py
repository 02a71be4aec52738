import csv
import json

import pytest

from olmix.collect import Options, collect
from olmix.collect.record import reduce_curve
from olmix.errors import DataError
from olmix.records.run import RunFolder, Status
from olmix.text.csv import read_table
from olmix.text.files import read_json, write_json
from olmix.text.yaml import write_yaml


def _jsonl(folder, records):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "metrics.jsonl").write_text(lines)
    return folder


def _variants(folder, mixes):
    for name, mix in mixes.items():
        write_yaml(folder / f"{name}.yaml", {"name": name, "mix": mix})
    return folder


def test_jsonl_of_any_trainer_is_collected_with_the_mixtures_of_the_variants(tmp_path):
    for name, loss in (("r0", 2.5), ("r1", 2.25)):
        _jsonl(tmp_path / "runs" / name, [{"step": 1, "loss": 9.0}, {"step": 2, "loss": loss}])
    variants = _variants(tmp_path / "v", {"r0": {"a": 0.5, "b": 0.5}, "r1": {"a": 1.0, "b": 0.0}})
    found = collect([tmp_path / "runs"], tmp_path / "out", Options(variants=variants))
    assert read_table(found.ratios).values.tolist() == [[0.5, 0.5], [1.0, 0.0]]
    assert read_table(found.metrics).values.tolist() == [[2.5], [2.25]]
    assert not found.incomplete


def test_a_variant_without_a_run_is_named(tmp_path):
    _jsonl(tmp_path / "runs/r0", [{"step": 1, "loss": 2.0}])
    variants = _variants(tmp_path / "v", {"r0": {"a": 1.0}, "r1": {"a": 1.0}})
    found = collect([tmp_path / "runs"], tmp_path / "out", Options(variants=variants))
    assert found.incomplete == {"r1": "was never started"}


def test_runs_without_a_mixture_give_metrics_alone(tmp_path):
    _jsonl(tmp_path / "runs/r0", [{"step": 1, "rewards/mean": 0.5}])
    found = collect([tmp_path / "runs"], tmp_path / "out")
    assert found.ratios is None
    assert "Pass --variants" in found.notes[-1]
    assert any("rewards/mean" in note for note in found.notes), "rewards are better higher"


def test_grpo_runs_are_collected_by_a_metric_of_choice(tmp_path):
    for name, reward in (("12-00-00", 0.25), ("12-10-00", 0.75)):
        rows = [{"step": s, "reward": reward, "loss": 0.1, "tokens": 64} for s in (1, 2)]
        run = _jsonl(tmp_path / "outputs" / name, rows)
        write_yaml(run / "config.yaml", {"eval": "gsm8k", "seed": 0})
        write_json(run / "summary.json", {"seed": 0, "reward": reward})
    options = Options(metrics=["reward"], value="tail", higher_is_better=["reward"])
    found = collect([tmp_path / "outputs"], tmp_path / "out", options)
    assert read_table(found.metrics).values.tolist() == [[0.25], [0.75]]
    assert not found.incomplete


def test_torchtune_logs_are_read(tmp_path):
    folder = tmp_path / "runs/run_000/logs"
    folder.mkdir(parents=True)
    (folder / "log_1.txt").write_text("Step 1 | loss:2.5 lr:0.1\nStep 2 | loss:tensor(2.0) lr:0\n")
    found = collect([tmp_path / "runs"], tmp_path / "out", Options(metrics=["loss"]))
    assert found.runs == ("run_000",)
    assert read_table(found.metrics).values.tolist() == [[2.0]]


@pytest.mark.parametrize(("how", "value"), [("last", 3.0), ("best", 1.0), ("tail", 2.5)])
def test_the_value_of_a_metric_is_its_last_its_best_or_the_mean_of_its_tail(how, value):
    points = dict(enumerate([5.0, 1.0, 2.0, 3.0]))
    assert reduce_curve(points, how, 0.5, lower_is_better=True) == value


def test_best_follows_the_direction_of_the_metric(tmp_path):
    _jsonl(tmp_path / "runs/r0", [{"step": s, "acc": a} for s, a in enumerate((0.1, 0.9, 0.2))])
    options = Options(value="best", higher_is_better=["acc"])
    found = collect([tmp_path / "runs"], tmp_path / "out", options)
    assert read_table(found.metrics).values.tolist() == [[0.9]]


def test_checkpoints_are_rows_of_their_own(tmp_path):
    _jsonl(tmp_path / "runs/r0", [{"step": s, "eval": {"x_bpb": s / 2}} for s in (10, 20)])
    collect([tmp_path / "runs"], tmp_path / "out", Options(per_checkpoint=True))
    with (tmp_path / "out/checkpoints.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["run"], row["step"], row["x_bpb"]) for row in rows] == [
        ("r0", "10", "5.0"),
        ("r0", "20", "10.0"),
    ]


def test_missing_failed_diverged_and_nan_runs_are_named_apart(tmp_path):
    group = tmp_path / "g"
    states = {
        "good": Status("finished", "id"),
        "partial": Status("finished", "id"),
        "waiting": Status(),
        "broken": Status("failed", "id", error="no space left"),
        "wild": Status("failed", "id", error="the training loss became nan", diverged=True),
        "exploded": Status("failed", "id", error="exit code 1"),
    }
    for name, status in states.items():
        RunFolder(group / name).write_status(status)
    write_json(group / "group.json", {"runs": [{"name": n, "identity": "id"} for n in states]})
    for name, metrics in (("good", {"a": 1.0, "b": 2.0}), ("partial", {"a": 1.0})):
        summary = {"metrics": metrics, "weights": {"x": 1.0}, "token_shares": {"x": 1.0}}
        write_json(RunFolder(group / name).summary, summary)
    _jsonl(group / "exploded", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}])
    found = collect([group], tmp_path / "out")
    assert found.runs == ("good", "partial")
    report = read_json(tmp_path / "out/completeness.json")
    assert not report["complete"]
    assert report["missing"] == {"waiting": "pending"}
    assert report["failed"] == {"broken": "no space left"}
    assert set(report["diverged"]) == {"wild", "exploded"}
    assert report["nan"] == {"partial": ["b"]}


def test_facts_that_are_no_numbers_are_left_out_of_the_tables(tmp_path):
    run = RunFolder(tmp_path / "g" / "a")
    run.write_status(Status("finished", "id"))
    write_json(tmp_path / "g/group.json", {"runs": [{"name": "a", "identity": "id"}]})
    facts = {"tokens": [1, 2], "tokens_per_second": {"a": None}, "final_loss": "low", "seed": 3}
    summary = {"metrics": {"m": 1.0}, "weights": {"x": 1.0}, "token_shares": {"x": 1.0}}
    write_json(run.summary, summary | facts)
    collect([tmp_path / "g"], tmp_path / "out")
    with (tmp_path / "out/runs.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    assert {key: row[key] for key in facts} == dict.fromkeys(facts, "") | {"seed": "3"}


def test_unfinished_runs_are_tabled_on_request(tmp_path):
    group = tmp_path / "g"
    RunFolder(group / "r").write_status(Status("running", "id"))
    write_json(group / "group.json", {"runs": [{"name": "r", "identity": "id", "mix": {"a": 1.0}}]})
    _jsonl(group / "r", [{"step": 5, "loss": 2.0}])
    with pytest.raises(DataError, match=r"r \(running\)"):
        collect([group], tmp_path / "out")
    found = collect([group], tmp_path / "out", Options(unfinished=True))
    assert read_table(found.metrics).values.tolist() == [[2.0]]


def test_in_loop_metrics_stand_under_their_task_id(tmp_path):
    logged = "eval/downstream/arc_challenge (BPB v2)"
    run = _jsonl(tmp_path / "runs/r0", [{"step": 5, logged: 1.5, "train/CE loss": 3.0}])
    tasks = {"qa": {"arc_challenge": logged}}
    write_yaml(run / "config.yaml", {"mix": {"a": 1.0}, "eval": {"type": "inloop", "tasks": tasks}})
    found = collect([tmp_path / "runs"], tmp_path / "out")
    assert found.metric_names == ("arc_challenge",)
    assert read_table(found.metrics).values.tolist() == [[1.5]]


def test_a_metric_that_nobody_logged_is_refused_with_the_nearest_name(tmp_path):
    _jsonl(tmp_path / "runs/r0", [{"step": 5, "eval_loss": 1.5}])
    with pytest.raises(DataError, match="did you mean eval_loss"):
        collect([tmp_path / "runs"], tmp_path / "out", Options(metrics=["eval_los"]))


def test_a_folder_without_runs_says_what_runs_look_like(tmp_path):
    with pytest.raises(DataError, match=r"holds no runs: neither a group\.json"):
        collect([tmp_path], tmp_path / "out")


def test_an_older_fit_config_does_not_stay_beside_tables_that_it_does_not_fit(tmp_path):
    _jsonl(tmp_path / "runs/r0", [{"step": 5, "loss": 1.5}])
    out = tmp_path / "out"
    out.mkdir()
    (out / "fit.yaml").write_text("old")
    collect([tmp_path / "runs"], out)
    assert not (out / "fit.yaml").exists()
