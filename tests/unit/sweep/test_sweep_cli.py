import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "configs/sweeps/lora_rank.yaml"
CRUIJFF = [str(Path(sys.executable).with_name("cruijff-kit")), "torchtune"]
WRITER = [sys.executable, "-m", "torchtune_config_writer"]
OLMIX = [sys.executable, "-m", "olmix", "sweep"]


def run(*words, expect=0, cwd=None):
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    "command", [OLMIX, CRUIJFF, WRITER], ids=["olmix", "cruijff-kit", "writer"]
)
def test_every_name_generates(command, tmp_path):
    folder = tmp_path / "my out"
    words = ["generate", str(EXAMPLE), "-o", str(folder), "--no-validate", "--slurm"]
    done = run(*command, *words)
    assert done.stdout.strip() == str(folder)
    assert "✓ Generated 8 configs" in done.stderr
    assert "note: " in done.stderr
    assert f"✓ Start with: sbatch '{folder}/run_experiment.sh'\n" in done.stderr
    assert os.access(folder / "run_experiment.sh", os.X_OK)


def test_python_answers_to_cruijff_kit():
    from cruijff_kit.torchtune import SweepResult, generate_configs
    from olmix.sweep import generate_configs as ours

    assert generate_configs is ours
    assert {"folder", "runs", "report"} <= set(SweepResult.__dataclass_fields__)


def test_preview_writes_nothing_and_shows_cost(tmp_path):
    words = ("preview", str(EXAMPLE), "--seconds-per-step", "2")
    done = run(*OLMIX, *words, cwd=tmp_path)
    assert "6.67 GPU-hours" in done.stdout
    assert "model.lora_rank: 64 -> 8" in done.stdout
    runs = json.loads(run(*OLMIX, *words, "--json", cwd=tmp_path).stdout)
    assert [entry["effective_batch"] for entry in runs] == [32] * 8
    assert runs[0]["changes"]["model.lora_alpha"] == "16"
    assert not list(tmp_path.iterdir())


def test_errors_are_sentences_with_exit_status_2(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "experiment_name: x\nbase_config: llama3_2/1B_lora\nvariables: {lora_rank: []}\n"
    )
    for command in (OLMIX, CRUIJFF, WRITER):
        done = run(*command, "generate", str(file), expect=2)
        assert done.stderr.startswith(
            f"error: {file}:3: variables.lora_rank: the variable lora_rank"
        )
    done = run(*OLMIX, "status", str(tmp_path), expect=2)
    assert "not the folder of an experiment" in done.stderr


def test_max_runs_is_the_limit_of_a_grid():
    done = run(*OLMIX, "preview", str(EXAMPLE), "--max-runs", "4", expect=2)
    assert "the grid has 8 runs, more than max_runs = 4" in done.stderr


def test_validate_takes_an_experiment():
    assert "8 runs, no errors" in run(*OLMIX, "validate", str(EXAMPLE)).stderr


def _log(folder, name, losses, finished):
    logs = folder / name / "logs"
    logs.mkdir(parents=True)
    lines = (f"Step {n} | loss:{v} lr:0.0003 \n" for n, v in enumerate(losses, 1))
    (logs / "log_1.txt").write_text("".join(lines))
    if finished:
        (folder / name / "epoch_0").mkdir()
        (folder / name / "epoch_0" / "model.pt").write_text("x")


def test_status_and_results_read_the_logs(tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text(
        "experiment_name: x\nbase_config: llama3_2/1B_lora_single_device\n"
        "variables: {lora_rank: [8, 16], use_dora: [false, true]}\n"
        f"controls: {{output_dir: {tmp_path}/r}}\n"
    )
    folder = tmp_path / "out"
    run(*OLMIX, "generate", str(file), "-o", str(folder), "--no-validate")
    _log(tmp_path / "r", "run_000", [3, 2.0], True)
    _log(tmp_path / "r", "run_001", [3, 1.0], True)
    _log(tmp_path / "r", "run_002", [3, 1.5], False)
    states = json.loads(run(*OLMIX, "status", str(folder), "--json", expect=1).stdout)
    assert [s["state"] for s in states] == ["finished", "finished", "started", "not started"]
    done = run(*OLMIX, "results", str(folder), expect=1)
    assert "Best run: run_001 (lora_rank=8, use_dora=true), loss 1.0000\n" in done.stdout
    assert "run_002 has not finished (step 2) and is left out" in done.stderr
    assert "run_003 has no loss yet" in done.stderr
    rows = (folder / "results/results.csv").read_text().splitlines()
    assert rows[0] == "run,lora_rank,use_dora,loss,lr,state"
    assert rows[2] == "run_001,8,true,1.0,0.0003,finished"
    assert rows[3] == "run_002,16,false,1.5,0.0003,started"
    assert rows[4] == "run_003,16,true,,,not started"
    assert (folder / "results/main_effects.csv").read_text().splitlines()[1] == (
        "lora_rank,8,2,0,1.5,0.7071067811865476"
    )
    words = ("results", str(folder), "--unfinished")
    ranking = json.loads(run(*OLMIX, *words, "--json", expect=1).stdout)["ranking"]
    assert [entry["id"] for entry in ranking] == ["run_001", "run_002", "run_000"]
    shown = run(*OLMIX, *words, expect=1).stdout
    assert "1.5000 (not finished: step 2)" in shown
    assert "1 (1 not finished)" in shown
