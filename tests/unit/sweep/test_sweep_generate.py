import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from olmix.config import read_yaml
from olmix.errors import DataError, OlmixError
from olmix.sweep import build_plan, generate_configs
from olmix.sweep.document import YamlDocument
from olmix.sweep.status import read_states
from olmix.sweep.torchtune.registry import read_registry

BASE = "llama3_2/1B_lora_single_device"


def experiment(**sections):
    """Return a small experiment in the short form."""
    found = {"experiment_name": "study", "base_config": BASE, "variables": {"lora_rank": [8, 16]}}
    return found | sections


def generate(folder, **sections):
    return generate_configs(experiment(**sections), folder / "out", validator="none")


def config(result, index=0):
    path = result.configs[index]
    return YamlDocument(path.read_text(), str(path)).data


def notes(result):
    return "\n".join(finding.what for finding in result.plan.findings)


# --- the folder ---


def test_the_folder_holds_the_experiment_its_configs_their_mapping_and_a_report(tmp_path):
    result = generate(tmp_path, variables={"lora_rank": [8, 16], "learning_rate": [1e-4, 3e-4]})
    names = sorted(str(file.relative_to(result.folder)) for file in result.folder.rglob("*.*"))
    assert names == [
        *(f"configs/run_{n:03d}.yaml" for n in range(4)),
        "experiment.yaml",
        "run_mapping.yaml",
        "validation_report.txt",
    ]
    runs = read_yaml(result.folder / "run_mapping.yaml").data["runs"]
    assert [set(run) for run in runs] == [
        {"id", "params", "config", "output_dir", "recipe", "hash", "command"}
    ] * 4
    assert runs[1]["id"] == "run_001"
    assert runs[1]["params"] == {"lora_rank": 8, "learning_rate": 3e-4}
    assert runs[1]["recipe"] == "lora_finetune_single_device"
    assert runs[1]["output_dir"].endswith("/run_001")
    assert len({run["hash"] for run in runs}) == 4
    assert "runs: 4" in (result.folder / "validation_report.txt").read_text()


def test_the_experiment_is_copied_as_it_was_written(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("# why\nexperiment_name: study\nbase_config: " + BASE + "\n")
    result = generate_configs(file, tmp_path / "out", validator="none")
    assert (result.folder / "experiment.yaml").read_text() == file.read_text()
    assert len(result.runs) == 1


def test_the_folder_comes_from_the_argument_then_the_experiment_then_the_time(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    exact = {"output": {"experiment_dir": "exact"}}
    assert generate_configs(experiment(**exact), "given", validator="none").folder == Path("given")
    assert generate_configs(experiment(**exact), validator="none").folder == Path("exact")
    named = {"output": {"experiment_name": "x", "base_dir": "there"}}
    folder = generate_configs(experiment(**named), validator="none").folder
    assert folder.parent == Path("there")
    assert folder.name.startswith("x_20")
    folder = generate_configs(experiment(), validator="none").folder
    assert str(folder).startswith("outputs/study_20")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("dear")
    with pytest.raises(DataError, match="holds other files"):
        generate(tmp_path)
    assert [file.name for file in tmp_path.rglob("*.*")] == ["thesis.tex"]


def test_each_file_says_what_made_it_and_keeps_the_comments_of_the_base(tmp_path):
    result = generate(tmp_path)
    text = result.configs[1].read_text()
    assert text.startswith("# Experiment study, run_001: lora_rank=16\n")
    base = read_registry().configs[BASE].path.read_text()
    for line in base.splitlines():
        if "#" in line:
            assert line.partition("#")[2] in text
    assert "lora_rank: 16  # higher increases accuracy and memory" in text


# --- names and values ---


def test_names_go_where_torchtune_has_them(tmp_path):
    below = {"learning_rate": 1e-3, "weight_decay": 0.1, "lora_alpha": 16, "lora_dropout": 0.1}
    below |= {"use_dora": True, "num_warmup_steps": 5, "max_seq_len": 512, "packed": True}
    top = {"epochs": 2, "batch_size": 2, "seed": 1, "output_dir": "/r", "dtype": "fp32"}
    top |= {"gradient_accumulation_steps": 2, "device": "cpu", "max_steps_per_epoch": 10}
    controls = below | top | {"clip_grad_norm": 1.0, "optimizer.eps": 1e-6}
    found = config(generate(tmp_path, controls=controls))
    assert found["optimizer"]["lr"] == 1e-3
    assert found["optimizer"]["weight_decay"] == 0.1
    assert found["optimizer"]["eps"] == 1e-6
    assert found["model"]["lora_rank"] == 8
    assert found["model"]["use_dora"] is True
    assert found["lr_scheduler"]["num_warmup_steps"] == 5
    assert found["tokenizer"]["max_seq_len"] == 512
    assert found["dataset"]["packed"] is True
    for key in ("epochs", "batch_size", "seed", "dtype", "max_steps_per_epoch", "clip_grad_norm"):
        assert found[key] == controls[key]


def test_in_distillation_lora_is_that_of_the_student(tmp_path):
    base = "llama3_2/8B_to_1B_KD_lora_single_device"
    found = config(generate(tmp_path, base_config=base))
    assert found["model"]["lora_rank"] == 8
    assert "lora_rank" not in found["teacher_model"]


def test_output_folders_are_kept_apart_and_it_is_said(tmp_path):
    result = generate(tmp_path, controls={"output_dir": "/results"})
    assert [run.output_dir for run in result.runs] == ["/results/run_000", "/results/run_001"]
    assert "a folder of its own" in notes(result)
    assert config(result)["checkpointer"]["output_dir"] == "${output_dir}"


def test_a_fixed_alpha_with_a_swept_rank_is_warned_of(tmp_path):
    assert "lora_alpha: ${mul:2,${lora_rank}}" in notes(generate(tmp_path))


def test_derived_values_follow_their_variable(tmp_path):
    controls = {
        "lora_alpha": "${mul:2,${lora_rank}}",
        "output_dir": "/r/rank_{lora_rank}",
        "gradient_accumulation_steps": "${div:32,${batch_size}}",
        "batch_size": 4,
        "metric_logger": {"log_dir": "${output_dir}/mine"},
    }
    result = generate(tmp_path, controls=controls)
    second = config(result, 1)
    assert second["model"]["lora_alpha"] == 32
    assert second["output_dir"] == "/r/rank_16"
    assert second["gradient_accumulation_steps"] == 8
    assert second["metric_logger"]["log_dir"] == "${output_dir}/mine"
    assert "alpha" not in notes(result)


def test_a_variable_may_stand_only_in_a_path(tmp_path):
    controls = {"dataset": {"source": "json", "data_files": "/d_{sample_size}.json"}}
    result = generate(tmp_path, variables={"sample_size": [10, 20]}, controls=controls)
    assert [config(result, n)["dataset"]["data_files"] for n in (0, 1)] == [
        "/d_10.json",
        "/d_20.json",
    ]
    assert "sample_size" not in config(result)


def test_another_component_loses_arguments_that_it_does_not_take(tmp_path):
    controls = {"optimizer": {"_component_": "torch.optim.Adagrad"}}
    pytest.importorskip("torch", reason="the signature of Adagrad is read from torch's source")
    result = generate(tmp_path, controls=controls)
    assert config(result)["optimizer"]["lr"] == 3e-4
    controls["optimizer"]["_component_"] = "torch.optim.Rprop"
    (tmp_path / "second").mkdir()
    result = generate(tmp_path / "second", controls=controls)
    assert "weight_decay" not in config(result)["optimizer"]
    assert "torch.optim.Rprop does not take" in notes(result)


# --- designs ---


def test_an_empty_grid_is_one_run(tmp_path):
    for index, variables in enumerate(({}, None)):
        (tmp_path / str(index)).mkdir()
        assert len(generate(tmp_path / str(index), variables=variables).runs) == 1


def test_paired_values_move_together(tmp_path):
    paired = [{"batch_size": [2, 4], "gradient_accumulation_steps": [16, 8]}]
    runs = generate(tmp_path, paired=paired).runs
    assert len(runs) == 4
    assert {
        run.params["batch_size"] * run.params["gradient_accumulation_steps"] for run in runs
    } == {32}


def test_conditions_skip_and_set(tmp_path):
    conditions = [
        {"when": {"lora_rank": 16, "learning_rate": [3e-4]}, "skip": True},
        {"when": {"lora_rank": 16}, "set": {"batch_size": 2}},
    ]
    result = generate(
        tmp_path,
        variables={"lora_rank": [8, 16], "learning_rate": [1e-4, 3e-4]},
        conditions=conditions,
    )
    assert len(result.runs) == 3
    assert [config(result, n)["batch_size"] for n in range(3)] == [4, 4, 2]


def test_equal_configs_are_generated_once(tmp_path):
    conditions = [{"when": {"use_dora": False}, "set": {"lora_rank": 8}}]
    variables = {"use_dora": [False, True], "lora_rank": [8, 16]}
    result = generate(tmp_path, variables=variables, conditions=conditions)
    assert len(result.runs) == 3
    assert "4 combinations give 3 different configs" in notes(result)


@pytest.mark.parametrize("kind", ["random", "latin_hypercube", "sobol"])
def test_samples_stay_in_range_and_follow_their_seed(kind):
    pytest.importorskip("scipy")
    variables = {
        "learning_rate": {"min": 1e-5, "max": 1e-3, "scale": "log"},
        "lora_rank": {"min": 4, "max": 64, "step": 4},
        "batch_size": [1, 2, 4],
    }
    sampler = {"type": kind, "runs": 12, "seed": 3}
    runs = build_plan(experiment(variables=variables, sampler=sampler)).runs
    again = build_plan(experiment(variables=variables, sampler=sampler)).runs
    assert [run.params for run in runs] == [run.params for run in again]
    assert len(runs) == 12
    for run in runs:
        assert 1e-5 <= run.params["learning_rate"] <= 1e-3
        assert run.params["lora_rank"] % 4 == 0
    other = build_plan(experiment(variables=variables, sampler=sampler | {"seed": 4})).runs
    assert [run.params for run in other] != [run.params for run in runs]


def test_replicates_differ_by_their_seed_alone(tmp_path):
    result = generate(tmp_path, replicates=3, controls={"seed": 5})
    assert [run.params["seed"] for run in result.runs] == [5, 6, 7, 5, 6, 7]
    assert config(result, 2)["seed"] == 7


def test_more_than_a_thousand_runs_have_ids_of_one_width():
    plan = build_plan(experiment(variables={"seed": list(range(1001))}))
    assert plan.runs[0].id == "run_0000"
    assert plan.runs[1000].output_dir.endswith("/run_1000")


# --- generating again ---


def test_generating_again_keeps_what_is_equal(tmp_path):
    first = generate(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in first.configs}
    assert generate(tmp_path).num_new == 0
    assert {file: file.stat().st_mtime_ns for file in first.configs} == before


def test_new_runs_get_new_ids_and_old_configs_are_set_aside(tmp_path):
    first = generate(tmp_path)
    second = generate(tmp_path, variables={"lora_rank": [16, 32]})
    assert [(run.id, run.params["lora_rank"]) for run in second.runs] == [
        ("run_001", 16),
        ("run_002", 32),
    ]
    assert second.runs[0] == first.runs[1]
    assert second.runs[1].output_dir.endswith("/run_002")
    assert second.num_new == 1
    assert [file.name for file in (second.folder / "replaced").iterdir()] == ["run_000.yaml"]


def test_an_id_is_never_used_again_for_another_config(tmp_path):
    generate(tmp_path, variables={"lora_rank": [2, 4, 8]})
    generate(tmp_path, variables={"lora_rank": [2]})
    third = generate(tmp_path, variables={"lora_rank": [2, 16]})
    assert [run.id for run in third.runs] == ["run_000", "run_003"]


def test_results_stay_found_when_a_single_run_becomes_several(tmp_path):
    controls = {"output_dir": "/r"}
    generate(tmp_path, variables={"lora_rank": [2]}, controls=controls)
    more = generate(tmp_path, variables={"lora_rank": [2, 4]}, controls=controls)
    assert [run.output_dir for run in more.runs] == ["/r", "/r/run_001"]
    again = generate(tmp_path, variables={"lora_rank": [4]}, controls=controls)
    assert [run.output_dir for run in again.runs] == ["/r/run_001"]
    moved = generate(tmp_path, variables={"lora_rank": [4]}, controls={"output_dir": "/s"})
    assert [run.output_dir for run in moved.runs] == ["/s"]


# --- own bases ---


def test_a_file_of_ones_own_is_a_base_and_its_recipe_is_found(tmp_path):
    mine = tmp_path / "mine.yaml"
    shutil.copy(read_registry().configs[BASE].path, mine)
    sections = {"base_config": None, "base_config_file": str(mine)}
    assert generate(tmp_path, **sections).runs[0].recipe == "lora_finetune_single_device"
    bare = "\n".join(line for line in mine.read_text().splitlines() if not line.startswith("#"))
    mine.write_text(bare)
    named = sections | {"recipe": "lora_finetune_single_device"}
    (tmp_path / "b").mkdir()
    assert generate(tmp_path / "b", **named).runs[0].recipe == "lora_finetune_single_device"


def test_a_base_with_anchors_is_written_anew(tmp_path):
    mine = tmp_path / "mine.yaml"
    text = read_registry().configs[BASE].path.read_text()
    mine.write_text(text.replace("dtype: bf16", "dtype: &kind bf16\nlog_level: *kind"))
    sections = {"base_config": None, "base_config_file": str(mine)}
    found = config(generate(tmp_path, **sections), 1)
    assert found["model"]["lora_rank"] == 16
    assert found["log_level"] == "bf16"


# --- everything that torchtune ships ---


def test_every_shipped_config_round_trips_with_its_comments():
    root = read_registry().configs[BASE].path.parents[1]
    files = sorted(root.rglob("*.yaml"))
    assert len(files) >= 150
    for file in files:
        document = YamlDocument(file.read_text(), file.name)
        assert document.keeps_comments
        assert document.render(document.data).rstrip("\n") == file.read_text().rstrip("\n")


def test_every_shipped_config_reads_as_omegaconf_reads_it():
    omegaconf = pytest.importorskip("omegaconf")
    for shipped in read_registry().configs.values():
        loaded = omegaconf.OmegaConf.load(shipped.path)
        plain = omegaconf.OmegaConf.to_container(loaded, resolve=False)
        assert YamlDocument(shipped.path.read_text(), shipped.name).data == plain


def test_layer_1_and_preview_need_no_torch(tmp_path):
    code = (
        "import sys\n"
        "for name in ('torch', 'torchao', 'omegaconf'): sys.modules[name] = None\n"
        "from olmix.sweep import build_plan, generate_configs\n"
        f"made = {experiment()!r}\n"
        "assert len(build_plan(made).runs) == 2\n"
        f"generate_configs(made, {str(tmp_path / 'out')!r}, validator='none')\n"
        "from olmix.errors import MissingPackageError\n"
        "try:\n"
        "    generate_configs(made, 'never')\n"
        "except MissingPackageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "--no-validate leaves it out" in done.stdout
    assert "pip install '.[torchtune]'" in done.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_hydra_writes_overrides(tmp_path):
    made = {
        "experiment": {"name": "rl", "framework": "hydra"},
        "framework_config": {"base_config": "quick_test"},
        "variables": {"optimizer.learning_rate": [1e-6, 3e-6]},
        "controls": {"training.num_batches": 50, "grpo": {"eos_tokens": [1, 106]}},
    }
    result = generate_configs(made, tmp_path / "out")
    assert config(result, 1)["overrides"] == [
        "+experiment=quick_test",
        "hydra.run.dir=runs/run_001",
        "++training.num_batches=50",
        "++grpo.eos_tokens=[1,106]",
        "++optimizer.learning_rate=3.0e-06",
    ]
    assert result.runs[1].output_dir == "runs/run_001"


def test_results_of_hydra_are_found_in_the_folder_of_the_latest_start(tmp_path):
    made = {
        "experiment": {"name": "rl", "framework": "hydra"},
        "framework_config": {"base_config": "quick_test"},
        "variables": {"seed": [1, 2]},
    }
    folder = generate_configs(made, tmp_path / "out").folder
    for number, (day, reward) in enumerate([("2026-01-01", 0.1), ("2026-01-02", 0.7)]):
        start = folder / "runs" / "run_000" / day / "10-00-00"
        start.mkdir(parents=True)
        line = f'{{"step": 1, "loss": {reward}, "done": true}}\n{{"step": 2, "lo'
        (start / "metrics.jsonl").write_text(line)
        os.utime(start / "metrics.jsonl", (number, number))
    first, second = read_states(folder)
    assert (first.state, first.steps, first.loss) == ("started", 1, 0.7)
    assert second.state == "not started"
    (start / "summary.json").write_text("{}")
    assert read_states(folder)[0].state == "finished"


def test_hydra_checks_names_against_a_composed_config(tmp_path):
    base = tmp_path / "composed.yaml"
    base.write_text("optimizer: {learning_rate: 1e-6}\ntraining: {num_batches: 3}\n")
    made = {
        "experiment": {"name": "rl", "framework": "hydra"},
        "framework_config": {"base_config_file": str(base)},
        "variables": {"optimzer.learning_rate": [1e-6, 3e-6]},
    }
    with pytest.raises(OlmixError, match="has no `optimzer`; it has: optimizer, training"):
        build_plan(made)
