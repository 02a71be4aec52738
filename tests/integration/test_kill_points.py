"""Killed between any two of its writes, every stage ends as if nothing had happened when it is run
again: what says "done" is written last.

The moments are not chosen: `write_points` takes them from the code as it runs.
"""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from fit_fixtures import SLOPES, log_linear, plant
from olmix.text.yaml import write_yaml
from write_points import Warm, restore, tree

pytestmark = pytest.mark.slow

TRAINER = """\
import json, os, sys
mix = json.load(open(sys.argv[1]))
value = sum(share["weight"] * (i + 1) for i, share in enumerate(mix.values()))
with open(os.environ["OLMIX_RUN_DIR"] + "/metrics.jsonl", "w") as log:
    log.write(json.dumps({"step": 1, "num_steps": 2, "loss": value + 1}) + "\\n")
    log.write(json.dumps({"step": 2, "num_steps": 2, "score": value}) + "\\n")
"""

# Moments, durations and numbers of processes, and nothing else, differ between two runs.
TIMES = re.compile(rb'("(?:time|updated|seconds|started|pid)": )("[^"]*"|[-+0-9.e]+)')


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    with Warm(tmp_path_factory.mktemp("warm") / "log") as process:
        yield process


def end(folder):
    """Return what is in a folder, without times and what only tells the attempts apart."""
    return {
        name: TIMES.sub(rb"\1T", content)
        for name, content in tree(folder).items()
        if not name.endswith((".lock", "log.txt"))
    }


def check(warm, words, study, tmp_path, below=None):
    """Run a command to its end, then from what a kill before each of its writes leaves."""
    states = warm.kill_states(words, study, tmp_path / "states", below)
    wanted = end(study)
    assert len(states) > 1
    for state in states:
        restore(state, study)
        assert warm.run(words, study) == 0, (state.name, warm.log.read_text())
        found = end(study)
        assert found.keys() == wanted.keys(), state.name
        different = [name for name in wanted if found[name] != wanted[name]]
        assert not different, state.name
    return len(states)


@pytest.fixture
def study(tmp_path, tiny):
    """Return the tiny data in a folder of their own, with a launch config of a quick command."""
    folder = tmp_path / "study"
    names = [path for path in tmp_path.iterdir() if path.is_file()]
    folder.mkdir()
    for path in names:
        path.rename(folder / path.name)
    (folder / "trainer.py").write_text(TRAINER)
    launch = {
        "name": "tiny",
        "training": {
            "trainer": "command",
            "command": f"{sys.executable} {folder / 'trainer.py'} {{mix_json}}",
            "max_tokens": 6400,
        },
        "data": tiny.section(),
        "eval": {"type": "validation", "paths": {name: [f"{name}.val.bin"] for name in "abc"}},
        "infra": {"backend": "local", "workers": 1},
    }
    write_yaml(folder / "quick.yaml", launch)
    return folder


LAUNCH = ["launch", "run", "-v", "variants", "-c", "quick.yaml", "-g", "one", "--yes"]


def test_priors(warm, study, tmp_path):
    check(warm, ["priors", "compute", "-c", "quick.yaml", "-o", "priors.yaml"], study, tmp_path)


def test_generate(warm, study, tmp_path):
    check(warm, ["generate", "-c", "generation.yaml", "-o", "variants"], study, tmp_path)


def test_launch_and_the_workers_that_it_starts(warm, study, tmp_path):
    assert warm.run(["generate", "-c", "generation.yaml", "-o", "variants"], study) == 0
    for extra in sorted((study / "variants").glob("*-000[2-9].yaml")):
        extra.unlink()
    check(warm, LAUNCH, study, tmp_path)


def test_collect(warm, study, tmp_path):
    assert warm.run(["generate", "-c", "generation.yaml", "-o", "variants"], study) == 0
    assert warm.run(LAUNCH, study) == 0, warm.log.read_text()
    words = ["collect", "runs/one", "-o", "results", "--per-checkpoint", "--metric", "score"]
    check(warm, words, study, tmp_path, study / "results")


def test_fit_and_its_report(warm, tmp_path):
    study = tmp_path / "study"
    plant(study, {"loss": log_linear}, num=12)
    check(warm, ["fit", "-c", "fit.yaml", "-o", "fit"], study, tmp_path)


def test_verify_and_the_page_that_it_writes_again(warm, study, tmp_path):
    truth = lambda mixtures: 2 + np.exp(-0.5 + mixtures @ SLOPES[:3])  # noqa: E731
    plant(study, {"a_bpb": truth}, num=12, domains="abc")
    assert warm.run(["fit", "-c", "fit.yaml", "-o", "fit"], study) == 0, warm.log.read_text()
    words = ["verify", "--fit", "fit/latest", "-c", "launch.yaml", "--seeds", "3", "--yes"]
    check(warm, words, study, tmp_path, study / "fit")


EXPERIMENT = """\
experiment_name: study
base_config: llama3_2/1B_lora_single_device
variables: {lora_rank: [8, 16], learning_rate: [1e-4, 3e-4]}
controls: {output_dir: runs}
"""


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "sweep"
    folder.mkdir()
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    return folder


GENERATE = ["sweep", "generate", "experiment.yaml", "-o", "study", "--no-validate", "--slurm"]


def test_sweep_generate(warm, sweep, tmp_path):
    check(warm, GENERATE, sweep, tmp_path)


def test_sweep_generate_after_a_change(warm, sweep, tmp_path):
    assert warm.run(GENERATE, sweep) == 0, warm.log.read_text()
    changed = EXPERIMENT.replace("[8, 16]", "[16, 32]")
    (sweep / "experiment.yaml").write_text(changed)
    check(warm, GENERATE, sweep, tmp_path)


def test_sweep_results(warm, sweep, tmp_path):
    assert warm.run(GENERATE, sweep) == 0, warm.log.read_text()
    for number in range(4):
        logs = sweep / f"study/runs/run_{number:03d}/logs"
        logs.mkdir(parents=True)
        (logs / "log_1.txt").write_text(f"Step 1 | loss:2 \nStep 2 | loss:{1 + 0.1 * number} \n")
        (logs.parent / "epoch_0").mkdir()
        (logs.parent / "epoch_0/model.safetensors").write_text("x")
    check(warm, ["sweep", "results", "study"], sweep, tmp_path)
