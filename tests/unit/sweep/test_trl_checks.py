"""Sweeps of TRL's commands: keys and types from its dataclasses, and what fails in the queue."""

import json
import subprocess
import sys

import pytest

from olmix.errors import ConfigError, MissingPackageError
from olmix.records.log_files import read_logs
from olmix.sweep import build_plan, generate_configs
from olmix.sweep.status import read_states
from olmix.sweep.trl.arguments import launch_keys, recipes
from olmix.text.yaml import write_yaml

try:
    recipes()
except MissingPackageError as error:
    pytest.skip(f"needs the files of TRL: {error}", allow_module_level=True)


def experiment(variables=None, recipe="sft", **controls):
    return {
        "experiment": {"name": "study", "framework": "trl"},
        "framework_config": {"recipe": recipe},
        "variables": variables or {},
        "controls": {"model_name_or_path": "m", "datasets": [{"path": "d"}]} | controls,
    }


def said(made):
    with pytest.raises(ConfigError) as found:
        build_plan(made)
    return str(found.value)


def test_every_command_has_what_its_dataclasses_inherit():
    assert {"sft", "dpo", "grpo", "reward"} <= set(recipes())
    sft = recipes()["sft"]
    assert sft.kinds["learning_rate"] == {"int", "float"}  # of SFTConfig
    assert sft.defaults["learning_rate"] == 2e-5  # not that of transformers, which it replaces
    assert sft.kinds["weight_decay"] == {"int", "float"}  # of transformers' TrainingArguments
    assert sft.kinds["lora_r"] == {"int"}  # of ModelConfig
    assert "datasets" in sft.kinds
    assert "wrapped" in sft.choices["packing_strategy"]
    assert "cosine" in sft.choices["lr_scheduler_type"]
    assert "reward_funcs" in recipes()["grpo"].kinds
    assert "reward_funcs" not in sft.kinds
    assert {"num_processes", "env"} <= launch_keys()


def test_reading_them_imports_neither_torch_nor_trl():
    code = (
        "import sys; from olmix.sweep.trl.arguments import recipes; assert recipes();"
        "print([n for n in ('torch', 'transformers', 'trl', 'accelerate') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"learning_rat": 1e-4}, "takes no `learning_rat`, nor does `accelerate launch`; did you"),
        ({"learning_rate": "1e-4"}, "takes float or int as learning_rate; found text"),
        ({"learning_rate": -1}, "found -1; a number above 0 is needed"),
        ({"packing": "no"}, "takes bool as packing; found text"),
        ({"loss_type": "nlll"}, "allows as loss_type: nll, dft, chunked_nll; found nlll. Did you"),
        ({"optim": "adamw"}, "allows as optim:"),
        ({"lora_r": 8}, "without use_peft: true the whole model is trained, and lora_r is ignored"),
        ({"use_peft": True, "lora_target_modules": ["q_proj"]}, r'write [".*\\.q_proj"]'),
        ({"dataset_name": "x"}, "takes `datasets` and ignores dataset_name"),
        ({"datasets": [{"path": "a", "fractoin": 1}]}, "takes no `fractoin`; did you mean"),
        ({"datasets": [{"path": "a", "fraction": 1}, {"path": "b"}]}, "for all datasets or"),
        ({"datasets": [{"data_files": "x.bin"}]}, "no path is given, and the files' suffix"),
        ({"datasets": []}, "no data: set datasets"),
        ({"model_name_or_path": None}, "no model_name_or_path is set"),
        ({"eval_strategy": "steps"}, "set test_split_size, such as 0.1"),
        ({"streaming": True, "datasets": [{"path": "a", "fraction": 1}]}, "not possible with"),
        ({"push_to_hub": True, "hub_model_id": "me/x"}, "several runs push to me/x"),
    ],
)
def test_what_would_fail_or_train_something_else_is_an_error(controls, message):
    assert message in said(experiment({"seed": [1, 2]}, **controls))


def test_an_error_names_its_line(tmp_path):
    file = tmp_path / "e.yaml"
    write_yaml(file, experiment({"lr": [1e-4, "fast"]}))
    assert "e.yaml:" in said(file)
    assert "found text (fast)" in said(file)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"recipe": "sfy"}, 'TRL has no command "sfy"'),
        ({}, "which command trains the runs? recipe: one of"),
        ({"recipe": "sft", "base_config": "x"}, "trl takes no base_config; it takes:"),
        ({"recipe": "sft", "command": ["x"]}, "trl takes no command; it takes:"),
    ],
)
def test_the_section_of_the_framework_is_checked(section, message):
    assert message in said(experiment() | {"framework_config": section})


def test_grpo_needs_rewards():
    assert "needs reward_funcs" in said(experiment(recipe="grpo"))
    assert build_plan(experiment(recipe="grpo", reward_funcs=["think_format_reward"])).runs


def test_runs_start_from_a_file_whose_comments_stay(tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text(
        "model_name_or_path: m  # ours\ndataset_name: d\nreport_to: wandb\nlearning_rate: 1.0e-4\n"
    )
    made = {
        "experiment": {"name": "study", "framework": "trl"},
        "framework_config": {"recipe": "dpo", "base_config_file": str(base)},
        "variables": {"lr": [1e-5, 1e-6]},
        "controls": {"report_to": ["tensorboard", "wandb"], "use_peft": True, "lora_rank": 8},
    }
    result = generate_configs(made, tmp_path / "out", validator="none", slurm=True)
    text = result.configs[1].read_text()
    assert "model_name_or_path: m  # ours\n" in text
    assert "learning_rate: 1.0e-06\n" in text, "PyYAML would read 1e-6 as text"
    assert "lora_r: 8\n" in text
    assert "output_dir: runs/run_001\n" in text
    script = (tmp_path / "out" / "run_experiment.sh").read_text()
    assert 'trl dpo --config "$config"' in script


def test_several_gpus_start_several_processes(tmp_path):
    made = experiment() | {"slurm": {"gpus": 4}}
    result = generate_configs(made, tmp_path / "out", validator="none")
    words = ["trl", "sft", "--config", "configs/run_000.yaml", "--num_processes", "4"]
    assert list(result.runs[0].command) == words


def test_steps_and_tokens_follow_from_the_rows_of_local_files(tmp_path):
    for name, rows in (("a", 100), ("b", 20)):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "x"}\n' * rows)
    files = [{"data_files": str(tmp_path / f"{name}.jsonl")} for name in "ab"]
    controls = {"batch_size": 4, "gradient_accumulation_steps": 2, "epochs": 2, "max_length": 64}
    [run] = build_plan(experiment(**controls, datasets=files)).runs
    assert run.config["datasets"][0]["path"] == "json"
    assert (run.cost.effective_batch, run.cost.steps) == (8, 30)  # 120 rows: 15 steps an epoch
    assert run.cost.max_tokens == 30 * 8 * 64
    halves = [file | {"fraction": 1} for file in files]  # as many of each: 20 and 20
    [run] = build_plan(experiment(**controls, datasets=halves)).runs
    assert run.cost.steps == 10


def test_what_does_not_stop_a_run_is_a_warning():
    plan = build_plan(experiment(max_steps=5, warmup_steps=5, save_strategy="no"))
    found = [finding.what for finding in plan.findings]
    assert any("warmup_steps is 5 in a training of 5 steps" in what for what in found)
    assert any("logging_steps is 10 in a training of 5 steps: no loss" in what for what in found)
    assert any("leaves no trainer_state.json" in what for what in found)


def _save(folder, step, total, losses, *, model=True):
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    history = [{"step": n, "epoch": n / 9, "loss": loss} for n, loss in enumerate(losses, 1)]
    state = {"global_step": step, "max_steps": total, "log_history": history}
    (place / "trainer_state.json").write_text(json.dumps(state))
    if model:
        (folder / "model.safetensors").write_text("x")


def test_states_come_from_the_last_checkpoint(tmp_path):
    made = experiment({"seed": [1, 2, 3, 4]})
    folder = generate_configs(made, tmp_path / "out", validator="none").folder
    _save(folder / "runs" / "run_000", 3, 3, [3.0, 2.5, 2.0])
    _save(folder / "runs" / "run_001", 2, 3, [3.0, 2.5], model=False)  # it died
    _save(folder / "runs" / "run_002", 2, 3, [3.0, 2.5])  # a model of before is no end
    torn = folder / "runs" / "run_002" / "checkpoint-3"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 3, "log_')
    states = read_states(folder)
    assert [s.state for s in states] == ["finished", "started", "started", "not started"]
    assert [s.loss for s in states] == [2.0, 2.5, 2.5, None]
    assert read_logs(folder / "runs" / "run_000") == {"loss": {1: 3.0, 2: 2.5, 3: 2.0}}
