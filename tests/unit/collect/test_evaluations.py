"""What evaluation harnesses write, in files made by hand in their documented formats."""

import json

import pytest

from olmix.collect import Options, collect
from olmix.errors import DataError
from olmix.records.metric_identity import MetricIdentity, read_identities
from olmix.text.csv import read_table
from olmix.text.yaml import read_yaml, write_yaml

MIXES = {"r0": {"a": 0.5, "b": 0.5}, "r1": {"a": 0.25, "b": 0.75}}


def _entry(task, acc, error=0.01):
    return {
        "alias": f" - {task}",
        "acc,none": acc,
        "acc_stderr,none": error,
        "acc_norm,none": acc + 0.1,
        "acc_norm_stderr,none": "N/A",
        "sample_len": 100,
    }


def _harness(file, results, groups=None, **more):
    """Write a result file of lm-evaluation-harness 0.4."""
    plain = {
        "results": results,
        "groups": {name: results[name] for name in groups or {}},
        "group_subtasks": {**{name: [] for name in results}, **(groups or {})},
        "configs": {},
        "versions": dict.fromkeys(results, 1.0),
        "n-shot": dict.fromkeys(results, 0),
        "model_name": "out/model",
        "date": 1.0,
        **more,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(plain))


def _collect(tmp_path, **options):
    for name, mix in MIXES.items():
        if (tmp_path / "runs" / name).is_dir():
            write_yaml(tmp_path / "runs" / name / "config.yaml", {"mix": mix})
    found = collect([tmp_path / "runs"], tmp_path / "out", Options(**options))
    table = read_table(found.metrics)
    return found, {
        run: dict(zip(table.columns, row, strict=True))
        for run, row in zip(table.runs, table.values.tolist(), strict=True)
    }


def test_results_of_the_harness_become_metrics_and_standard_errors(tmp_path):
    for index, run in enumerate(MIXES):
        file = tmp_path / f"runs/{run}/out__model/results_2026-01-01T00-00-00.1.json"
        _harness(file, {"arc_easy": _entry("arc_easy", 0.5 + index / 10)})
    found, values = _collect(tmp_path)
    assert found.metric_names == ("arc_easy/acc,none", "arc_easy/acc_norm,none")
    assert values["r1"] == pytest.approx({"arc_easy/acc,none": 0.6, "arc_easy/acc_norm,none": 0.7})
    errors = read_table(found.errors)
    assert errors.select(["arc_easy/acc,none"]).tolist() == [[0.01], [0.01]]
    assert read_table(found.ratios).runs == ("r0", "r1")


def test_several_files_of_a_run_are_one_and_the_later_evaluation_counts(tmp_path):
    place = tmp_path / "runs/r0/m"
    _harness(place / "results_2026-01-01T00-00-00.1.json", {"arc": _entry("arc", 0.1)})
    _harness(place / "results_2026-01-03T00-00-00.1.json", {"arc": _entry("arc", 0.3)})
    _harness(place / "results_2026-01-02T00-00-00.1.json", {"piqa": _entry("piqa", 0.2)})
    _, values = _collect(tmp_path)
    assert values["r0"]["arc/acc,none"] == 0.3
    assert values["r0"]["piqa/acc,none"] == 0.2


def test_a_group_counts_in_place_of_its_tasks_which_can_be_chosen(tmp_path):
    results = {name: _entry(name, 0.5) for name in ("mmlu", "mmlu_stem", "mmlu_physics", "arc")}
    groups = {"mmlu": ["mmlu_stem"], "mmlu_stem": ["mmlu_physics"]}
    _harness(tmp_path / "runs/r0/results_1.json", results, groups)
    found, _ = _collect(tmp_path)
    assert {name.partition("/")[0] for name in found.metric_names} == {"mmlu", "arc"}
    found, values = _collect(tmp_path, metrics=["mmlu_physics/acc,none"])
    assert values["r0"] == {"mmlu_physics/acc,none": 0.5}


def test_a_group_without_numbers_of_its_own_leaves_its_tasks(tmp_path):
    results = {"suite": {"alias": "suite", " ": " "}, "arc": _entry("arc", 0.5)}
    _harness(tmp_path / "runs/r0/results_1.json", results, {"suite": ["arc"]})
    assert _collect(tmp_path)[0].metric_names == ("arc/acc,none", "arc/acc_norm,none")


def test_directions_come_from_the_file(tmp_path):
    results = {"own": {"alias": "own", "quality,none": 3.0}}
    higher = {"own": {"quality": True}}
    for run in MIXES:
        _harness(tmp_path / f"runs/{run}/results_1.json", results, higher_is_better=higher)
    priors = tmp_path / "priors.yaml"
    write_yaml(priors, {"token_counts": {"a": 1000, "b": 1000}})
    found, _ = _collect(tmp_path, priors=priors)
    assert read_yaml(found.fit_config).data["lower_is_better"] == {"own/quality,none": False}


def test_checkpoints_are_told_by_their_folders(tmp_path):
    for step, acc in ((1000, 0.4), (200, 0.2)):
        _harness(tmp_path / f"runs/r0/step{step}/m/results_1.json", {"arc": _entry("arc", acc)})
    _, values = _collect(tmp_path, per_checkpoint=True)
    assert values["r0"]["arc/acc,none"] == 0.4
    assert "r0,200,0.2" in (tmp_path / "out/checkpoints.csv").read_text()


def test_results_stand_beside_what_the_trainer_logged(tmp_path):
    _harness(tmp_path / "runs/r0/results_1.json", {"arc": _entry("arc", 0.5)})
    (tmp_path / "runs/r0/metrics.jsonl").write_text('{"step": 7, "loss": 2.5}\n')
    _, values = _collect(tmp_path, metrics=["loss", "arc/acc,none"])
    assert values["r0"] == {"loss": 2.5, "arc/acc,none": 0.5}


def test_the_old_names_of_the_harness_are_read(tmp_path):
    results = {"arc_easy": {"acc": 0.5, "acc_stderr": 0.02}}
    _harness(tmp_path / "runs/r0/results_old.json", results)
    found, values = _collect(tmp_path)
    assert values["r0"] == {"arc_easy/acc": 0.5}
    assert read_table(found.errors).values.tolist() == [[0.02]]


@pytest.mark.parametrize("text", ["", '{"results": {"arc', "[1]", '{"results": 5}'])
def test_a_damaged_result_file_is_named(tmp_path, text):
    file = tmp_path / "runs/r0/results_1.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        _collect(tmp_path)
    assert "results_1.json" in str(caught.value) or "no run has logged any" in str(caught.value)


def _olmes(task, score):
    metrics = {"acc_raw": 0.3, "bits_per_byte_corr": 0.9, "primary_score": score}
    return {"task_name": task, "metrics": metrics, "num_instances": 10}


@pytest.mark.parametrize("kind", ["metrics.json", "metrics-all.jsonl", "task-000-arc-metrics.json"])
def test_metrics_of_olmes_are_read_in_each_of_their_forms(tmp_path, kind):
    tasks = [_olmes("arc_challenge", 0.5)]
    tasks[0]["task_config"] = {"metadata": {"alias": "arc_challenge:rc::olmes"}}
    if kind == "metrics.json":
        text = json.dumps({"all_primary_scores": ["arc: 0.5"], "tasks": tasks})
    else:
        text = json.dumps(tasks[0]) + "\n"
    (tmp_path / "runs/r0").mkdir(parents=True)
    (tmp_path / "runs/r0" / kind).write_text(text)
    _, values = _collect(tmp_path)
    assert values["r0"] == {
        "arc_challenge:rc::olmes/bits_per_byte_corr": 0.9,
        "arc_challenge:rc::olmes/primary_score": 0.5,
    }
    _, values = _collect(tmp_path, metrics=["arc_challenge:rc::olmes/acc_raw"])
    assert list(values["r0"].values()) == [0.3]


def _olmes_file(tmp_path, content, place="metrics.json", run="r0"):
    file = tmp_path / "runs" / run / place
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(content))


def test_older_metrics_of_olmes_hold_their_numbers_beside_the_task(tmp_path):
    task = {"task": "arc_easy", "acc_raw": 0.3, "primary_score": 0.5, "num_instances": 10}
    task["task_config"] = {"primary_metric": "acc_raw"}
    _olmes_file(tmp_path, {"all_primary_scores": ["arc_easy: 0.5"], "metrics": [task]})
    assert _collect(tmp_path)[1]["r0"] == {"arc_easy/primary_score": 0.5}


def test_a_primary_score_that_copies_bits_per_byte_is_there_once_and_lower_is_better(tmp_path):
    task = {"alias": "mbpp:3shot::none", "task_config": {"primary_metric": "bits_per_byte_corr"}}
    task["metrics"] = {"bits_per_byte_corr": 0.9, "primary_score": 0.9}
    mmlu = {"alias": "mmlu:rc::olmes", "task_config": {"metadata": {"num_tasks": 57}}}
    scores = {"primary_score": 0.3, "primary_score_micro": 0.31, "primary_score_macro": 0.3}
    mmlu["metrics"] = {**scores, "bits_per_byte_corr_micro": 0.8, "bits_per_byte_corr_macro": 0.7}
    for run in MIXES:
        _olmes_file(tmp_path, {"tasks": [mmlu, task]}, run=run)
    assert _collect(tmp_path)[0].metric_names == (
        "mmlu:rc::olmes/primary_score",
        "mbpp:3shot::none/bits_per_byte_corr",
    )
    priors = tmp_path / "priors.yaml"
    write_yaml(priors, {"token_counts": {"a": 1000, "b": 1000}})
    chosen = "mbpp:3shot::none/primary_score"
    found, _ = _collect(tmp_path, metrics=[chosen], priors=priors)
    assert read_yaml(found.fit_config).data["lower_is_better"] == {chosen: True}


def _olmo_eval(*tasks, **more):
    """What olmo-eval wrote in October 2026, in the keys that matter."""
    summary = {"code:bpb": {"metric": "primary_score:average", "score": 0.7}}
    config = {"provider": {"kind": "vllm", "model": "out/model"}, "model_hash": "ab"}
    return {"timestamp": "t", "config": config, "tasks": tasks, "summary": summary, **more}


def _task_of_olmo_eval(spec, metric, scorer, value, **more):
    metrics = {metric: {scorer: value}, "num_parsed": {scorer: 9.0}}
    primary = f"{metric}:{scorer}"
    return {"task": spec, "metrics": metrics, "primary_metric": primary, **more}


def test_metrics_of_olmo_eval_are_those_that_it_calls_primary(tmp_path):
    tasks = [
        _task_of_olmo_eval("mbpp:3shot:bpb", "bpb", "logprob", 0.7, num_instances=500),
        _task_of_olmo_eval("gsm8k:cot", "accuracy", "exact_match", 0.25),
        {"task": "failed", "metrics": {}, "primary_metric": None},
    ]
    for step, value in ((200, 0.8), (1000, 0.6)):
        tasks[0]["metrics"]["bpb"]["logprob"] = value
        _olmes_file(tmp_path, _olmo_eval(*tasks), f"step{step}-hf/metrics.json")
    _, values = _collect(tmp_path)
    assert values["r0"] == {
        "mbpp:3shot:bpb/bpb/logprob": 0.6,
        "gsm8k:cot/accuracy/exact_match": 0.25,
        "code:bpb/primary_score/average": 0.7,
    }
    _, values = _collect(tmp_path, metrics=["gsm8k:cot/num_parsed/exact_match"])
    assert list(values["r0"].values()) == [9.0]


def test_results_of_several_models_in_one_file_are_refused(tmp_path):
    both = [_task_of_olmo_eval("arc", "acc", "mc", 0.5, model=name) for name in ("a", "b")]
    _olmes_file(tmp_path, _olmo_eval(*both))
    with pytest.raises(DataError, match=r"metrics\.json: holds results of several models \(a, b\)"):
        _collect(tmp_path)


LIGHTNING = "epoch,step,train_loss,val_loss\n0,9,3.5,\n0,9,,3.25\n1,19,3.0,\n1,19,,2.75\n"
LITGPT = (
    "epoch,iter,iter_time,learning_rate,loss,remaining_time,step,tokens,total_tokens,val_loss\n"
    "0,1,0.5,0.1,3.5,9.0,1,64,128,\n0,2,0.5,0.1,3.0,8.0,2,128,256,\n,,,,,,2,,,2.75\n"
)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("lightning_logs/version_0/metrics.csv", LIGHTNING),
        ("logs/csv/version_0/metrics.csv", LITGPT),
    ],
    ids=["Lightning", "LitGPT"],
)
def test_csv_logs_are_read_like_any_other(tmp_path, place, text):
    file = tmp_path / "runs/r0" / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    _, values = _collect(tmp_path, metrics=["val_loss"])
    assert values["r0"] == {"val_loss": 2.75}
    found, _ = _collect(tmp_path)
    assert {"loss", "train_loss"} & set(found.metric_names)
    assert not {"iter_time", "learning_rate", "tokens", "epoch"} & set(found.metric_names)


def test_a_restarted_csv_log_goes_on_in_the_next_version(tmp_path):
    for version, loss in ((2, 3.0), (10, 2.0)):
        file = tmp_path / f"runs/r0/lightning_logs/version_{version}/metrics.csv"
        file.parent.mkdir(parents=True)
        file.write_text(f"step,loss\n5,{loss}\n")
    assert _collect(tmp_path, metrics=["loss"])[1]["r0"] == {"loss": 2.0}


def test_a_table_of_runs_is_no_log(tmp_path):
    (tmp_path / "runs/r0").mkdir(parents=True)
    (tmp_path / "runs/r0/metrics.csv").write_text("run,loss\nr0,2.0\n")
    with pytest.raises(DataError, match="holds no runs"):
        _collect(tmp_path)


def test_a_byte_order_mark_and_numbers_of_400_digits_are_read(tmp_path):
    mark, huge = b"\xef\xbb\xbf", 9 * 10**399
    plain = {"results": {"arc": {"acc,none": 0.5, "count,none": huge}}}
    for run in MIXES:
        place = tmp_path / "runs" / run
        (place / "logs").mkdir(parents=True)
        (place / "results_1.json").write_bytes(mark + json.dumps(plain).encode())
        (place / "logs" / "metrics.csv").write_bytes(mark + b"step,val_loss\n1,2.5\n")
    _, values = _collect(tmp_path, metrics=["val_loss", "arc/acc,none"])
    assert values["r1"] == {"val_loss": 2.5, "arc/acc,none": 0.5}
    with pytest.raises(DataError, match=r"no run has a finite value of arc/count,none"):
        _collect(tmp_path, metrics=["arc/count,none"])
    with pytest.raises(DataError, match=r"no run has all of .*; r0 lacks arc/count,none\."):
        _collect(tmp_path)
    lines = b'{"step": 1, "val_loss": 2.0}\n{"step": %d, "val_loss": 1.5}\n' % huge
    for run in MIXES:
        (tmp_path / "runs" / run / "metrics.jsonl").write_bytes(mark + lines)
    assert _collect(tmp_path, metrics=["val_loss"])[1]["r0"] == {"val_loss": 1.5}


def test_runs_that_asked_other_questions_under_one_name_are_refused(tmp_path):
    for run, shots in zip(MIXES, (0, 5), strict=True):
        file = tmp_path / f"runs/{run}/m/results_2026-01-01T00-00-00.1.json"
        _harness(file, {"arc": _entry("arc", 0.5)}, **{"n-shot": {"arc": shots}})
    with pytest.raises(DataError, match=r"r0 and r1 .*version 1.0, 0 shots and .*5 shots"):
        _collect(tmp_path)
    assert not (tmp_path / "out").exists()


def test_what_a_harness_says_of_its_questions_stands_beside_the_metrics(tmp_path):
    for run in MIXES:
        file = tmp_path / f"runs/{run}/m/results_2026-01-01T00-00-00.1.json"
        more = {"n-shot": {"arc": 5}, "task_hashes": {"arc": "9f"}, "config": {"fewshot_seed": 7}}
        _harness(file, {"arc": _entry("arc", 0.5)}, **more)
    found, _ = _collect(tmp_path)
    known = read_identities(found.metrics)["arc/acc,none"]
    assert known == MetricIdentity(evaluation="9f", definition="version 1.0, 5 shots", seeds=(7,))
