"""The script of an array: a golden file, hostile names, and what shellcheck says."""

import shutil
import subprocess
from pathlib import Path

import pytest

from olmix.config import SlurmInfra
from olmix.launch.engine import Job
from olmix.launch.slurm import SlurmEngine, render_script, split_runs

GOLDEN = Path(__file__).with_name("slurm_script.golden.sh")
FULL = {
    "backend": "slurm",
    "partition": "main",
    "account": "my lab",
    "qos": "high",
    "constraint": "a100|h100",
    "gres": "gpu:1",
    "cpus": 8,
    "mem": "16G",
    "time": "02:00:00",
    "array_limit": 20,
    "dependency": "afterok:17",
    "modules": ["cuda/12.4", "gcc"],
    "venv": "/home/me/my venv",
    "setup": "export HF_HOME=/scratch\nulimit -n 4096",
    "container": "image.sif",
}


def script(infra=None, folder="/runs/abc/slurm", num_runs=3, distributed=False):
    config = SlurmInfra.from_dict(infra or {"backend": "slurm"})
    return render_script(config, "abc", num_runs, Path(folder), distributed=distributed)


def test_the_script_is_that_of_the_golden_file():
    assert script(FULL) == GOLDEN.read_text()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize(
    ("infra", "folder"),
    [
        (None, "/runs/abc/slurm"),
        (FULL, "/runs/abc/slurm"),
        ({"backend": "slurm", "requeue": False}, '/a b/it\'s "here"/$HOME/slurm'),
        ({"backend": "slurm", "gpus": 8, "nodes": 4}, "/runs/abc/slurm"),
        ({"backend": "slurm", "container": "x.sqsh", "container_runtime": "pyxis"}, "/r/slurm"),
    ],
)
def test_shellcheck_has_nothing_to_say(tmp_path, infra, folder):
    file = tmp_path / "script.sh"
    file.write_text(script(infra, folder, distributed=bool(infra and infra.get("nodes"))))
    found = subprocess.run(["shellcheck", str(file)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_values_with_spaces_are_quoted_in_directives():
    text = script(FULL, "/a b/slurm")
    assert '#SBATCH --account="my lab"' in text
    assert '#SBATCH --output="/a b/slurm/abc-%a.log"' in text


def test_a_run_on_several_gpus_starts_under_torchrun():
    text = script({"backend": "slurm", "gpus": 8, "nodes": 2}, distributed=True)
    assert "torch.distributed.run --nproc-per-node=8 --nnodes=2" in text
    assert '--rdzv-endpoint="$head"' in text
    assert "srun python" in text


def test_without_requeue_nothing_goes_back():
    text = script({"backend": "slurm", "requeue": False})
    assert "--no-requeue" in text
    assert "scontrol" not in text


def test_groups_above_the_largest_array_are_split():
    runs = [f"r{i}" for i in range(7)]
    assert split_runs("g", runs, 10) == [("g", tuple(runs))]
    parts = split_runs("g", runs, 3)
    assert [name for name, _ in parts] == ["g-1", "g-2", "g-3"]
    assert [run for _, part in parts for run in part] == runs


def test_words_of_slurm_are_told_in_ours(monkeypatch):
    engine = SlurmEngine(SlurmInfra.from_dict({"backend": "slurm"}))
    asked = []

    def answer(words):
        asked.append(words)
        if words[0] == "squeue":
            return "9_0|RUNNING|None\n9_1|PENDING|Resources\n9_2|PENDING|DependencyNeverSatisfied\n"
        if words[0] == "sacct":
            return "9_3|COMPLETED\n9_4|OUT_OF_MEMORY\n9_5|CANCELLED by 0\n9_0|PREEMPTED\n"
        return ""

    monkeypatch.setattr(engine, "_run", answer)
    job = Job("9", ("a", "b", "c", "d", "e", "f", "g"))
    states = engine.states([job])
    assert {run: found.state for run, found in states.items()} == {
        "a": "running",
        "b": "pending",
        "c": "cancelled",
        "d": "finished",
        "e": "failed",
        "f": "cancelled",
    }
    assert states["e"].note == "OUT_OF_MEMORY"
    assert ["scancel", "9_2"] in asked


def test_of_two_jobs_that_carried_out_a_run_the_last_one_counts(monkeypatch):
    engine = SlurmEngine(SlurmInfra.from_dict({"backend": "slurm"}))
    monkeypatch.setattr(
        engine, "_run", lambda words: "5_0|FAILED|None\n6_0|RUNNING|None\n" * (words[0] == "squeue")
    )
    assert engine.states([Job("5", ("a",)), Job("6", ("a",))])["a"].state == "running"
