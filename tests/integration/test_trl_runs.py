"""Sweeps with TRL itself: its parser, tiny training, and a study from generate to fit."""

import csv
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from olmix.sweep import TorchtuneValidationError, generate_configs

# Found, not imported: their import warns, and takes ten seconds.
if not all(any((Path(place) / name).is_dir() for place in sys.path) for name in ("torch", "trl")):
    pytest.skip("needs torch and trl; `make test` installs them", allow_module_level=True)

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


def olmix(*words, cwd, expect=0):
    """Run a command as the documentation writes it."""
    done = subprocess.run(
        [str(BIN / "olmix"), *words], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder that holds ``study/``: four runs that `trl sft` has trained."""
    folder = tmp_path_factory.mktemp("trl")
    done = olmix("sweep", "example", "tiny", "--framework", "trl", cwd=folder)
    assert done.stderr == "", "a pipe gets no progress bar"
    olmix("sweep", "generate", "tiny/experiment.yaml", "-o", "study", "--slurm", cwd=folder)
    olmix("sweep", "status", "study", cwd=folder, expect=1)

    def train(number):
        env = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number), "OMP_NUM_THREADS": "1"}
        script = ["bash", "study/run_experiment.sh"]
        done = subprocess.run(
            script, capture_output=True, text=True, check=False, cwd=folder, env=env
        )
        assert done.returncode == 0, done.stderr[-3000:]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(train, range(4)))
    return folder


def test_a_study_runs_from_generate_to_fit(study):
    states = json.loads(olmix("sweep", "status", "study", "--json", cwd=study).stdout)
    assert [(s["state"], s["steps"]) for s in states] == [("finished", 20)] * 4
    printed = olmix("sweep", "results", "study", cwd=study).stdout
    assert "Runs by loss (lower is better), best first" in printed
    with (study / "study" / "results" / "results.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    losses = [float(row["loss"]) for row in rows]
    assert max(losses) < 5.5, "all of them are better than guessing, ln 261 = 5.56"
    # A rate of 0.003 learns little in 20 steps, 0.03 does.
    assert max(losses[2:]) < min(losses[:2])
    olmix("fit", "-c", "study/results/surface.yaml", "-o", "fit", cwd=study)
    assert len(list((study / "fit").rglob("surface.json"))) == 1


def test_trl_itself_reads_every_config(tmp_path):
    made = {
        "experiment": {"name": "study", "framework": "trl"},
        "framework_config": {"recipe": "grpo"},
        "variables": {"num_generations": [4, 3]},
        "controls": {
            "model_name_or_path": "m",
            "dataset_name": "d",
            "reward_funcs": ["think_format_reward"],
            "mixed_precision": "bf16",
        },
    }
    with pytest.raises(TorchtuneValidationError) as found:
        generate_configs(made, tmp_path / "out")
    [problem] = found.value.problems
    assert problem.where == "configs/run_001.yaml"
    assert "must be divisible by num_generations" in problem.what


@pytest.mark.parametrize(
    ("recipe", "controls"),
    [
        ("sft", {"assistant_only_loss": True, "packing": True}),
        ("dpo", {"beta": 0.2}),
        ("grpo", {"reward_funcs": ["think_format_reward"]}),
        ("reward", {"optim": "adamw_8bit"}),
    ],
)
def test_smoke_trains_two_steps_of_every_command(recipe, controls, tmp_path):
    made = {
        "experiment": {"name": "smoke", "framework": "trl"},
        "framework_config": {"recipe": recipe},
        "variables": {"learning_rate": [1e-4, 1e-3]},
        "controls": {"model_name_or_path": "Qwen/Qwen3-0.6B", "dataset_name": "d"} | controls,
    }
    result = generate_configs(made, tmp_path / "out", validator="none", smoke=True)
    assert "2 of 2 configs train" in result.report


def test_smoke_says_why_a_config_does_not_train(tmp_path):
    made = {
        "experiment": {"name": "smoke", "framework": "trl"},
        "framework_config": {"recipe": "grpo"},
        "controls": {
            "model_name_or_path": "m",
            "dataset_name": "d",
            "reward_funcs": ["think_fromat_reward"],
        },
    }
    with pytest.raises(TorchtuneValidationError, match="think_fromat_reward"):
        generate_configs(made, tmp_path / "out", validator="none", smoke=True)
