"""Real OLMo-core on a CPU: tiny models on mixtures of two domains, killed and stopped midway."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from olmix.collect import collect
from olmix.config import LaunchConfig
from olmix.records.run import RunFolder, Status
from olmix.text.csv import read_table
from olmix.text.files import read_json, write_json
from olmix.text.yaml import write_yaml
from patience import STUCK_S
from train_fixtures import Project

pytest.importorskip("olmo_core", reason="the extra olmo-core is not installed")
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "olmo_core_runs.py"
MIXES = {"half": (0.5, 0.5), "mostly-code": (0.8, 0.2)}
STEPS, BATCH, LENGTH = 24, 256, 32


def _config(project, name, weights, **training):
    plain = project.plain(name, weights=weights)
    plain["training"] = {
        "proxy_model_id": "olmo2_1m",
        "sequence_length": LENGTH,
        "global_batch_size": BATCH,
        "device_batch_size": 4,
        "max_tokens": STEPS * BATCH,
        "learning_rate": 4e-3,
        "eval_interval": 5,
        "checkpoint_interval": 4,
        "instance_filter": True,
        **training,
    }
    return LaunchConfig.from_dict(plain)


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Runs that are killed, told to stop and started again; some start from the weights of one."""
    root = tmp_path_factory.mktemp("olmo-core")
    project = Project(root)
    folder = root / "runs" / "g"
    weights_of_half = {"checkpoint_path": str(folder / "half" / "checkpoints")}
    anneal = {"train_type": "anneal", "learning_rate": 1e-4}
    changes = {
        "half": {},
        # Another architecture, and shorter than the interval of checkpoints.
        "mostly-code": {"proxy_model_id": "olmo3_1m", "checkpoint_interval": 1000, **anneal},
        "annealed": {**weights_of_half, **anneal},
        "misfit": {**weights_of_half, "proxy_model_id": "olmo2_14m"},
        "matched": {"target_tokens": 4 * STEPS * BATCH},
    }
    entries = []
    for name, training in changes.items():
        run = RunFolder(folder / name)
        weights = MIXES.get(name, MIXES["half"])
        plain = _config(project, name, weights, **training).to_plain()
        if name == "matched":
            plain["mix"] = {
                domain: [share, 4.0] for domain, share in zip(plain["mix"], weights, strict=False)
            }
        write_yaml(run.config, plain)
        run.write_status(Status(identity=name))
        if name in MIXES:
            entries.append({"name": name, "identity": name, "seed": 0})
    write_json(folder / "group.json", {"runs": entries})
    starts = ["half:6", "half:10:SIGTERM", "half", "mostly-code", "half"]
    starts += ["annealed:6", "annealed", "misfit", "matched"]
    words = [sys.executable, str(SCRIPT), str(folder), *starts]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=STUCK_S)
    ends = done.stdout.split()[-len(starts) :]
    assert ends == ["-9", "75", "0", "0", "0", "-9", "0", "1", "0"], done.stdout + done.stderr
    return folder


def _losses(group, name):
    """The training loss of each step, in the order in which it was written down."""
    found = []
    for record in RunFolder(group / name).read_metrics():
        if "train/CE loss" in record:
            found.append((record["step"], record["train/CE loss"]))
    return found


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


def test_a_run_that_is_told_to_stop_saves_its_state_and_goes_on_from_there(group):
    # The second start was stopped, so it ended with status 75; the third one went on.
    log = (group / "half" / "log.txt").read_text()
    starts = [int(step) for step in re.findall(r"Will resume training from step (\d+)", log)]
    assert starts[0] == 4
    assert 10 <= starts[1] < STEPS
    steps = [step for step, _ in _losses(group, "half")]
    assert steps[-(STEPS - starts[1]) :] == list(range(starts[1] + 1, STEPS + 1))
    kept = {path.name for path in (group / "half" / "checkpoints").iterdir()}
    assert kept == {f"step{STEPS - 4}", f"step{STEPS}"}, "not that of the stop"


def test_a_run_may_start_from_the_weights_of_another_and_not_from_its_step(group):
    trained, annealed = _losses(group, "half"), _losses(group, "annealed")
    assert [trained[0][0], annealed[0][0]] == [1, 1]
    first, last = trained[0][1], trained[-1][1]
    # Both begin with the same sequences; a random model is as bad as `first` says.
    assert annealed[0][1] < last + 0.1 < first - 0.5
    rates = {
        record["step"]: record["optim/LR (group 0)"]
        for record in RunFolder(group / "annealed").read_metrics()
        if "optim/LR (group 0)" in record
    }
    assert rates[1] == pytest.approx(1e-4, rel=0.05)
    assert rates[STEPS] < 1e-5


def test_a_killed_run_goes_on_from_its_own_checkpoint_and_not_from_the_weights_of_another(group):
    log = (group / "annealed" / "log.txt").read_text()
    assert log.count("Loading checkpoint from") == 2
    assert f"Loading checkpoint from '{group / 'annealed' / 'checkpoints' / 'step4'}'" in log


def test_a_checkpoint_of_another_model_is_refused_by_name(group):
    status = RunFolder(group / "misfit").read_status()
    assert status.state == "failed"
    assert "half/checkpoints: this checkpoint cannot be loaded as olmo2_14m" in status.error
    assert "Size mismatch" in status.error
    assert "Traceback" not in status.error


def test_runs_say_how_they_ended(group):
    for name in MIXES:
        status = RunFolder(group / name).read_status()
        assert (status.state, status.step, status.num_steps) == ("finished", STEPS, STEPS)
        assert status.identity == name
        summary = read_json(group / name / "summary.json")
        assert summary["tokens"] == STEPS * BATCH
        assert summary["seed"] == 0


def test_a_matched_run_passes_over_its_domains_as_often_as_the_large_one(group):
    """Half of 24,576 tokens over 6,000 and 4,000."""
    summary = read_json(group / "matched" / "summary.json")
    assert summary["epochs"]["code"] == pytest.approx(2.05, rel=0.05)
    assert summary["epochs"]["prose"] == pytest.approx(3.07, rel=0.05)
    assert summary["token_shares"]["code"] == pytest.approx(0.5, abs=0.03)
