import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from grpo_fixtures import ROOT, call
from olmix.cli.agent_tunix import agent_tunix
from olmix.cli.grpo import show_config
from olmix.text.yaml import read_yaml

GUIDE = {
    "model=gemma3_1b optimizer.learning_rate=5e-6 training.num_batches=50 training.epochs=2": (
        "gemma3 1b",
        "100 = 50 batches x 2 epochs",
    ),
    "+experiment=quick_test": ("gemma3 tiny", "10 = 10 batches"),
    "+experiment=full_training": ("gemma3 270m", "3,738 batches"),
    "--multirun model=gemma3_270m,gemma3_1b optimizer.learning_rate=3e-6,1e-5": (
        "Run 0 of 4",
        "Run 3 of 4",
        "gemma3 1b",
    ),
    "--multirun 'training.num_batches=range(100,1000,100)'": ("Run 8 of 9", "900 = 900 batches"),
    "+optimizer.schedule_type=linear ++optimizer.warmup_steps=100 ~training.gradient_clip": (
        "linear to 3e-06, warm-up 100",
    ),
    "'grpo.eos_tokens=[1,106,107]' 'generation.eos_tokens=[1,106,107]' "
    "'+model.custom_params={hidden_size:512,num_layers:8}'": ("the built-in one",),
    "optimizer=sgd scheduler=linear": ("sgd, linear to 0.01",),
    "grpo=dr_grpo": ("dr_grpo",),
    "grpo=dapo": ("dapo",),
    "grpo=gspo": ("gspo",),
    "model=smollm2_135m": ("llama smollm2_135m", "134,515,008"),
    "": ("268,098,176", "steps", "memory: total"),
}
"""Words of a training, and what a dry run of them says."""


@pytest.mark.parametrize("words", GUIDE)
def test_each_training_of_the_guide_composes_and_is_planned(capsys, words):
    status, out, err = call(capsys, *shlex.split(words), "--dry-run")
    assert status == 0, err
    for text in GUIDE[words]:
        assert text in out + err
    assert "nothing was trained" in err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--cfg job", "output_dir: outputs/${project_name}"),
        ("--cfg job --resolve", "output_dir: outputs/olmix-grpo"),
        ("--cfg hydra", "_target_: olmix.grpo.app.Records"),
        ("--info defaults-tree", "model: gemma3_270m"),
        ("--info config-groups", "dapo, default, dr_grpo, gspo"),
        ("model=gemma3_1b --cfg job --resolve seed=7", "seed: 7"),
        ("--changed optimizer=sgd", "optimizer.momentum"),
        ("--help", "--dry-run"),
        ("-h", "olmix grpo train --multirun optimizer.learning_rate=3e-6,1e-5"),
        ("-c job", "output_dir: outputs/${project_name}"),
        ("--hydra-help", "--experimental-rerun"),
    ],
)
def test_the_configuration_can_be_seen(capsys, monkeypatch, tmp_path, words, text):
    monkeypatch.chdir(tmp_path)
    status, out, _ = call(capsys, *words.split())
    assert status == 0
    assert text in out
    assert list(tmp_path.iterdir()) == []


def test_configuration_loads_neither_jax_nor_tunix_even_where_it_is_wrong(tmp_path):
    program = (
        "import sys\nfrom olmix.cli.grpo import train\nfrom olmix.cli.main import run\n"
        "for words in (['--cfg', 'job'], ['--dry-run'], ['--info', 'config-groups'],"
        " ['+traning.x=1'], ['--multirun', 'seed=1,2', 'training.epochs=0']):\n"
        "    try:\n        run(train, words)\n    except SystemExit as end:\n"
        "        print(words[0], end.code)\n"
        "print([name for name in ('jax', 'tunix', 'torch') if name in sys.modules])"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "+traning.x=1 2" in done.stdout
    assert "--multirun 2" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_tree_is_searched_first(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "experiment/my_experiment.yaml": "# @package _global_\n"
        "defaults:\n  - override /model: gemma3_1b\n  - override /optimizer: adamw\n"
        "optimizer:\n  learning_rate: 1e-5\ntraining:\n  num_batches: 100\n  num_epochs: 2\n"
        "experiment_name: my_experiment\ntags: [custom, testing]\n",
        "optimizer/sgd.yaml": "learning_rate: 0.02\nmomentum: 0.5\nnesterov: true\n",
    }.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    status, out, err = call(capsys, "+experiment=my_experiment", "--dry-run")
    assert status == 0, err
    assert "200 = 100 batches x 2 epochs" in out
    status, out, err = call(capsys, "optimizer=sgd", "--dry-run")
    assert "sgd, warmup_cosine to 0.02" in out, err
    _, out, _ = call(capsys, "--info", "config-groups")
    assert "my_experiment" in out


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("model=gemma3_2b", ("there is no model `gemma3_2b`", "gemma3_270m")),
        ("optimzer.learning_rate=1", ("did you mean `optimizer.learning_rate`?",)),
        ("training.epoch=2", ("did you mean `training.epochs`?",)),
        ("+optimizer.learnng_rate=1", ("did you mean `learning_rate`?",)),
        ("training.num_batches=ten", ("training.num_batches", "a whole number is needed")),
        (
            "grpo.num_generations=1 training.batch_size=0 +x=1",
            ("grpo.num_generations", "training.batch_size", "x: unknown key"),
        ),
        ("--multirun seed=1,2 training.num_batches=0,3", ("num_batches=0", "num_batches")),
        ("seed=[1", ("no viable alternative at input '[1'",)),
        ("--overrides missing.yaml", ("missing.yaml",)),
        ("--dry-run model.lora_module_path='.*('", ("not a regular expression",)),
        ("--multirun seed=range(1,4,0)", ("must not be zero",)),
        (
            "++optimizer.warmup_steps=10 scheduler.warmup_fraction=0.5",
            ("scheduler.warmup_fraction = 0.5", "give one"),
        ),
        (
            "--dry-run model=gemma3_tiny training.data_source=jsonl training.data_path=none.jsonl",
            ("none.jsonl: cannot be read",),
        ),
        (
            "--dry-run +experiment=quick_test +grpo.rewards.x={function:'no_such_module:f'}",
            ("grpo.rewards.x", "No module named 'no_such_module'"),
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    capsys, monkeypatch, tmp_path, words, texts
):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *words.split())
    assert status == 2
    for text in texts:
        assert text in err
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_weights_that_cannot_be_had_are_a_sentence(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for command in ([], ["model.source=local", "model.path=missing"]):
        data = "training.data_source=synthetic"
        words = [sys.executable, str(ROOT / "run_training.py"), data, *command]
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={
                "HF_HUB_OFFLINE": "1",
                "HOME": str(tmp_path),
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(ROOT / "src"),
            },
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert "there is no such folder" in done.stderr
    states = [json.loads(file.read_text()) for file in tmp_path.rglob("status.json")]
    assert [state["state"] for state in states] == ["failed", "failed"]
    assert any("HF_TOKEN" in str(state["error"]) for state in states)


def test_show_config_is_a_configuration(capsys, tmp_path):
    status, out, _ = call(capsys, "model=gemma3_1b", command=show_config)
    assert status == 0
    (tmp_path / "composed.yaml").write_text(out)
    assert read_yaml(tmp_path / "composed.yaml").data["model"]["model_size"] == "1b"


def test_the_older_flags_still_work(capsys):
    words = "train --model-size 1b --learning-rate 1e-5 --num-batches 7 --warmup-steps 3 --dry-run"
    status, out, err = call(capsys, *words.split(), command=agent_tunix)
    assert status == 0, err
    assert "gemma3 1b" in out
    assert "warmup_cosine to 1e-05, warm-up 3" in out
    assert "deprecated; use: olmix grpo train model=gemma3_1b optimizer.learning_rate=1e-5" in err
    status, out, _ = call(capsys, "show-config", command=agent_tunix)
    assert status == 0
    assert "model_size: 270m" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-m", "agent_tunix.train", "--dry-run", "+experiment=quick_test"], "synthetic, 610"),
        (["-m", "agent_tunix.utils", "show-config"], "model_size: 270m"),
        (["-m", "agent_tunix.utils", "check-gpu", "--help"], "--json"),
        (["-m", "agent_tunix.evaluate", "--help"], "--checkpoint-dir"),
        (["-c", "from agent_tunix.train import train; train(); print('went on')"], "went on"),
    ],
    ids=lambda words: words[1][:20] if isinstance(words, list) else "",
)
def test_the_modules_of_the_older_project_are_commands(words, text, tmp_path):
    rest = ["--cfg", "job"] if words[0] == "-c" else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, *words, *rest],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert text in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_writes_what_a_training_reads(capsys, monkeypatch, tmp_path):
    from olmix.cli.sweep import sweep

    monkeypatch.chdir(tmp_path)
    experiment = {
        "experiment": {"name": "rl", "framework": "hydra", "question": "Which rate?"},
        "framework_config": {"base_config": "quick_test"},
        "variables": {"optimizer.learning_rate": [0.001, 0.003]},
        "controls": {
            "training.num_batches": 5,
            "grpo": {"eos_tokens": [1]},
            "output_dir": "results",
            "experiment_name": "it's a test: yes",
        },
    }
    Path("experiment.yaml").write_text(yaml.safe_dump(experiment))
    status, _, err = call(capsys, "generate", "experiment.yaml", "-o", "sweep", command=sweep)
    assert status == 0, err
    for index, rate in ((0, "0.001"), (1, "0.003")):
        file = f"sweep/configs/run_00{index}.yaml"
        status, out, err = call(capsys, "--overrides", file, "--dry-run")
        assert status == 0, err
        assert f"warmup_cosine to {rate}" in out
        assert "5 = 5 batches" in out
        _, out, _ = call(capsys, "--overrides", file, "--cfg", "all", "--resolve")
        composed = yaml.safe_load(out)
        assert composed["hydra"]["run"]["dir"] == f"results/run_00{index}"
        assert composed["grpo"]["eos_tokens"] == [1]
        assert composed["experiment_name"] == "it's a test: yes"


def test_make_shows_and_names_the_commands():
    listed = subprocess.run(
        ["make", "-n", "train-show-config", "train-quick", "train-sweep", "train", "check-gpu"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for words in ("--cfg job --resolve", "+experiment=quick_test", "--multirun", "check-gpu"):
        assert words in listed
    refused = subprocess.run(
        ["make", "-o", ".venv/.grpo", "evaluate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "say which" in refused.stderr


def _documented():
    """Return the words of each training command of the guide and the page on GRPO."""
    text = (ROOT / "docs" / "grpo.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words for words in lines if words[:2] == ["olmix", "grpo"]]


def test_every_documented_command_is_one(capsys):
    from olmix.cli.grpo import grpo

    # Trainings: test_grpo_documented.py.
    others = {words[2] for words in _documented()} - {"train"}
    assert others == {"show-config", "evaluate", "export", "results", "check-gpu"}
    for name in others:
        assert call(capsys, name, "--help", command=grpo)[0] == 0


def test_a_tracker_that_is_missing_is_said_before_training(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)
    status, out, err = call(capsys, "+experiment=quick_test", "logging=[wandb]")
    assert status == 2
    assert "pip install '.[wandb]'" in err
    assert "Traceback" not in out + err
