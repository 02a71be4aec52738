"""Real OLMo-core on a CPU: tiny models on mixtures of two domains, one of them killed midway."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from olmix.collect import collect
from olmix.config import LaunchConfig
from olmix.io.files import read_json, write_json, write_yaml
from olmix.io.runs import RunFolder, Status
from olmix.io.tables import read_table
from train_fixtures import Project

pytest.importorskip("olmo_core", reason="the extra olmo-core is not installed")
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "olmo_core_runs.py"
MIXES = {"half": (0.5, 0.5), "mostly-code": (0.8, 0.2)}
STEPS, BATCH, LENGTH = 12, 256, 32


def _config(project, name, weights, **training):
    plain = project.plain(name, weights=weights)
    plain["training"] = {
        "proxy_model_id": "olmo2_1m",
        "sequence_length": LENGTH,
        "global_batch_size": BATCH,
        "device_batch_size": 4,
        "max_tokens": STEPS * BATCH,
        "learning_rate": 1e-3,
        "eval_interval": 5,
        "checkpoint_interval": 4,
        "instance_filter": True,
        **training,
    }
    return LaunchConfig.from_dict(plain)


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Two runs: one is killed after its first checkpoint, trained again, and started once more."""
    root = tmp_path_factory.mktemp("olmo-core")
    project = Project(root)
    folder = root / "runs" / "g"
    entries = []
    for name, weights in MIXES.items():
        run = RunFolder(folder / name)
        # The second run has another architecture, and is shorter than the interval of checkpoints.
        other = {"proxy_model_id": "olmo3_1m", "checkpoint_interval": 1000, "train_type": "anneal"}
        changes = {} if name == "half" else other
        write_yaml(run.config, _config(project, name, weights, **changes).to_plain())
        run.write_status(Status(identity=name))
        entries.append({"name": name, "identity": name, "seed": 0})
    write_json(folder / "group.json", {"runs": entries})
    words = [sys.executable, str(SCRIPT), str(folder), "half:6", "half", "mostly-code", "half"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=400)
    assert done.stdout.split()[-4:] == ["-9", "0", "0", "0"], done.stdout + done.stderr
    return folder


def test_the_collected_ratios_are_those_asked_for(group, tmp_path):
    found = collect([group], tmp_path / "out")
    assert not found.incomplete
    shares = read_table(found.ratios)
    for name, weights in MIXES.items():
        row = dict(zip(shares.columns, shares.rows([name])[0], strict=True))
        # A sequence is the least that a share can change by.
        one = LENGTH / (STEPS * BATCH)
        assert row["code"] == pytest.approx(weights[0], abs=2 * one)
        assert row["code"] + row["prose"] == pytest.approx(1)


def test_bits_per_byte_are_measured_and_fall(group):
    run = RunFolder(group / "half")
    curve = [record["eval"]["target_bpb"] for record in run.read_metrics() if "eval" in record]
    assert curve[-1] < curve[0] < 12
    assert read_json(run.summary)["metrics"]["target_bpb"] == curve[-1]


def test_a_killed_run_goes_on_from_its_checkpoint(group):
    lines = (group / "half" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if "train/CE loss" in line]
    again = next(i for i in range(1, len(steps)) if steps[i] <= steps[i - 1])
    assert steps[again] == 5, "the checkpoint of step 4 was the last one"
    assert max(steps) == STEPS


def test_runs_say_how_they_ended(group):
    for name in MIXES:
        status = RunFolder(group / name).read_status()
        assert (status.state, status.step, status.num_steps) == ("finished", STEPS, STEPS)
        assert status.identity == name
        summary = read_json(group / name / "summary.json")
        assert summary["tokens"] == STEPS * BATCH
        assert summary["seed"] == 0
