"""A sweep of a trainer that Olmix does not know, from generate to fit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from olmix.text.yaml import write_yaml

BIN = Path(sys.executable).parent

TRAINER = '''
"""Fits a line by gradient descent; logs the loss as JSON lines."""
import argparse, json, pathlib, sys
import numpy as np

words = argparse.ArgumentParser()
words.add_argument("--config")
words.add_argument("--lr", type=float)
words.add_argument("--width", type=int)
words.add_argument("--output_dir")
given = words.parse_args()
if given.config:
    import tomllib
    config = tomllib.loads(pathlib.Path(given.config).read_text())
else:
    config = {"lr": given.lr, "width": given.width, "output_dir": given.output_dir}
rng = np.random.default_rng(0)
x = rng.normal(size=(256, config["width"]))
y = x @ rng.normal(size=config["width"])
w = np.zeros(config["width"])
out = pathlib.Path(config["output_dir"])
out.mkdir(parents=True, exist_ok=True)
with (out / "metrics.jsonl").open("w") as log:
    for step in range(1, 21):
        gap = x @ w - y
        log.write(json.dumps({"step": step, "loss": float(np.mean(gap**2))}) + "\\n")
        if config["lr"] > 9:
            sys.exit("the learning rate is far too large")
        w -= config["lr"] * x.T @ gap / len(y)
'''


def olmix(*words, cwd, expect=0):
    """Run a command as the documentation writes it."""
    done = subprocess.run(
        [str(BIN / "olmix"), *words], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def _train(folder, number):
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}
    script = ["bash", "study/run_experiment.sh"]
    return subprocess.run(script, capture_output=True, text=True, check=False, cwd=folder, env=env)


@pytest.mark.parametrize("how", ["config", "flags"])
def test_a_trainer_of_ones_own_runs_from_generate_to_fit(how, tmp_path):
    trainer = tmp_path / "train.py"
    trainer.write_text(TRAINER)
    section = {"command": [sys.executable, str(trainer), "{flags}"]}
    if how == "config":
        (tmp_path / "base.toml").write_text('lr = 0.1\nwidth = 4\noutput_dir = "runs"\n')
        section = {
            "command": [sys.executable, str(trainer), "--config={config}"],
            "base_config_file": str(tmp_path / "base.toml"),
        }
    else:
        section["new_keys"] = ["lr", "width", "output_dir"]
    content = {
        "experiment": {"name": "lines", "framework": "command"},
        "framework_config": section,
        "variables": {"lr": [0.02, 0.1, 0.5], "width": [2, 8]},
    }
    write_yaml(tmp_path / "experiment.yaml", content)
    olmix("sweep", "generate", "experiment.yaml", "-o", "study", "--slurm", cwd=tmp_path)
    for number in range(6):
        done = _train(tmp_path, number)
        assert done.returncode == 0, done.stderr
    states = json.loads(olmix("sweep", "status", "study", "--json", cwd=tmp_path))
    assert [(s["state"], s["steps"]) for s in states] == [("finished", 20)] * 6
    found = json.loads(olmix("sweep", "results", "study", "--json", cwd=tmp_path))
    assert found["ranking"][0]["params"]["lr"] == 0.5
    assert found["ranking"][-1]["params"]["lr"] == 0.02
    olmix("fit", "-c", "study/results/surface.yaml", "-o", "fit", cwd=tmp_path)
    [surface] = (tmp_path / "fit").rglob("surface.json")
    assert surface.is_file()


def test_a_trainer_that_fails_has_not_finished(tmp_path):
    (tmp_path / "train.py").write_text(TRAINER)
    section = {
        "command": [sys.executable, str(tmp_path / "train.py"), "{flags}"],
        "new_keys": ["lr", "width", "output_dir"],
    }
    content = {
        "experiment": {"name": "lines", "framework": "command"},
        "framework_config": section,
        "variables": {"lr": [0.1, 10.0]},
        "controls": {"width": 2},
    }
    write_yaml(tmp_path / "experiment.yaml", content)
    olmix("sweep", "generate", "experiment.yaml", "-o", "study", "--slurm", cwd=tmp_path)
    assert _train(tmp_path, 0).returncode == 0
    failed = _train(tmp_path, 1)
    assert failed.returncode == 1
    assert "far too large" in failed.stderr
    states = json.loads(olmix("sweep", "status", "study", "--json", cwd=tmp_path, expect=1))
    assert [s["state"] for s in states] == ["finished", "started"]
