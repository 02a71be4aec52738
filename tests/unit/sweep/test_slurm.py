import os
import shlex
import shutil
import subprocess

import pytest

from olmix.sweep import ConfigWriterError, generate_configs
from olmix.text.slurm import compress

GOLDEN = """\
#!/usr/bin/env bash
# Experiment study: 2 runs of lora_finetune_single_device.
# Start all of them with: sbatch run_experiment.sh
# Start some of them with: sbatch --array=0,2 run_experiment.sh
#SBATCH --job-name=study
#SBATCH --array=0-1%4
#SBATCH --output="FOLDER/logs/run_%3a.log"
#SBATCH --time=04:00:00
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --account=lab
#SBATCH --partition=gpu
#SBATCH --constraint="a100|h100"
#SBATCH --mem=64G
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1

set -euo pipefail
cd QUOTED

run=$(printf "run_%03d" "${SLURM_ARRAY_TASK_ID:?use sbatch}")
config="configs/$run.yaml"
if [ ! -f "$config" ]; then
  echo "there is no $config" >&2
  exit 2
fi

module load cuda/12.4
export PATH=/opt/venv/bin:"$PATH"

echo "$run on $(hostname), $(date)"
exec tune run lora_finetune_single_device --config "$config"
"""
SLURM = {
    "account": "lab",
    "partition": "gpu",
    "constraint": "a100|h100",
    "time": "04:00:00",
    "mem": "64G",
    "cpus": 8,
    "limit": 4,
    "modules": ["cuda/12.4"],
    "venv": "/opt/venv",
}


def script(folder, base="llama3_2/1B_lora_single_device", **slurm):
    made = {
        "experiment_name": "study",
        "base_config": base,
        "variables": {"lora_rank": [8, 16]},
        "slurm": slurm,
    }
    return generate_configs(made, folder, validator="none", slurm=True).script


def test_the_script_is_readable_and_complete(tmp_path):
    folder = tmp_path / "out"
    text = script(folder, **SLURM).read_text()
    assert text == GOLDEN.replace("FOLDER", str(folder)).replace("QUOTED", shlex.quote(str(folder)))


@pytest.mark.parametrize("name", ["plain", "with space", 'it\'s $HOME `x` "q"'])
def test_the_script_is_clean_for_shellcheck_and_bash_in_any_folder(name, tmp_path):
    file = script(tmp_path / name, conda="my env", setup=["export A=1"])
    subprocess.run(["bash", "-n", str(file)], check=True)
    if shutil.which("shellcheck") is not None:
        subprocess.run(["shellcheck", str(file)], check=True)
    done = subprocess.run(
        ["bash", str(script(tmp_path / name))],
        env=os.environ | {"SLURM_ARRAY_TASK_ID": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "there is no configs/run_007.yaml\n"


def test_a_distributed_recipe_gets_a_process_for_each_gpu(tmp_path):
    text = script(tmp_path / "out", base="llama3_2/1B_lora", gpus=4).read_text()
    assert "--nproc_per_node 4 lora_finetune_distributed --config" in text
    assert "#SBATCH --gpus-per-node=4" in text


def test_runs_of_hydra_are_passed_on_as_overrides(tmp_path):
    made = {
        "experiment": {"name": "rl", "framework": "hydra"},
        "framework_config": {"base_config": "quick_test"},
        "variables": {"seed": [1, 2]},
    }
    text = generate_configs(made, tmp_path / "out", slurm=True).script.read_text()
    assert text.endswith('exec olmix grpo train --overrides "$config"\n')


def test_without_a_recipe_there_is_no_script(tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text("model: {a: 1}\n")
    made = {"experiment_name": "x", "base_config_file": str(base), "variables": {"model.a": [1, 2]}}
    with pytest.raises(ConfigWriterError, match="not known which recipe"):
        generate_configs(made, tmp_path / "out", validator="none", slurm=True)


def test_indices_are_written_as_slurm_reads_them():
    assert compress([0]) == "0"
    assert compress([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
