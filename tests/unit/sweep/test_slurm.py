import os
import shlex
import shutil
import subprocess
import sys

import pytest

from olmix.sweep import ConfigWriterError, generate_configs
from olmix.sweep.torchtune import library
from olmix.text.slurm import compress

GOLDEN = """\
#!/usr/bin/env bash
# Experiment study: 2 runs of lora_finetune_single_device.
# Start all of them with: sbatch run_experiment.sh
# Start some of them with: sbatch --array=0,2 run_experiment.sh
#SBATCH --job-name=study
#SBATCH --array=0-1%4
#SBATCH --output=FOLDER/logs/run_%3a.log
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --account=lab
#SBATCH --partition=gpu
#SBATCH --constraint="a100|h100"

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
OWNERS = library.owners
"""As it is; other tests have an answer in its place."""
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


def script(folder, base="llama3_2/1B_lora_single_device", ranks=(8, 16), **slurm):
    made = {
        "experiment_name": "study",
        "base_config": base,
        "variables": {"lora_rank": list(ranks)},
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


def test_sweeps_take_what_launches_take(tmp_path):
    text = script(
        tmp_path / "out",
        base="llama3_2/1B_lora",
        gpus="h100:2",
        nodes=2,
        gres="tmpdisk:10",
        requeue=True,
        dependency="afterok:7",
        array_limit=3,
        container="tune.sif",
        modules="cuda/12.4 gcc",
        setup="export A=1\nexport B=2",
        time=90,
    ).read_text()
    for line in (
        "#SBATCH --array=0-1%3",
        "#SBATCH --nodes=2",
        "#SBATCH --gpus-per-node=h100:2",
        "#SBATCH --gres=tmpdisk:10",
        "#SBATCH --time=90",
        "#SBATCH --requeue",
        "#SBATCH --dependency=afterok:7",
        "#SBATCH --kill-on-invalid-dep=yes",
        "module load cuda/12.4 gcc\nexport A=1\nexport B=2",
    ):
        assert f"{line}\n" in text
    words = 'exec apptainer exec --nv --bind="$PWD" tune.sif tune run --nnodes 1 --nproc_per_node 2'
    assert words in text
    # GPUs are asked for once.
    text = script(tmp_path / "gres", base="llama3_2/1B_lora", gres="gpu:h100:4").read_text()
    assert "--nproc_per_node 4" in text
    assert "gpus-per-node" not in text


def test_without_an_environment_of_its_own_a_script_enters_the_one_that_wrote_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("sys.prefix", "/envs/olmix")
    entered = 'export PATH=/envs/olmix/bin:"$PATH"\n'
    assert entered in script(tmp_path / "a").read_text()
    for index, said in enumerate(({"venv": "/v"}, {"conda": "c"}, {"container": "a.sif"})):
        assert entered not in script(tmp_path / f"b{index}", **said).read_text()
    monkeypatch.setattr("sys.prefix", sys.base_prefix)
    assert "export PATH" not in script(tmp_path / "c").read_text()


def pretend(folder, *names):
    """Put commands into a folder that write their words, and what the shell has set, to a file."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" | tee -a {folder}/told\n')
        (folder / name).chmod(0o755)


def test_more_runs_than_an_array_may_have_are_split(tmp_path, monkeypatch):
    folder, fake = tmp_path / "my %s", tmp_path / "bin"
    first = script(folder, ranks=range(1, 8), max_array_size=3, array_limit=2, venv="/none")
    assert first.name == "submit_experiment.sh"
    names = ["run_experiment.sh", "run_experiment_2.sh", "run_experiment_3.sh"]
    texts = [(folder / name).read_text() for name in names]
    arrays = [line for text in texts for line in text.splitlines() if "--array=" in line]
    assert [line for line in arrays if "SBATCH" in line] == [
        "#SBATCH --array=0-2%2",
        "#SBATCH --array=0-2%2",
        "#SBATCH --array=0%2",
    ]
    pretend(fake, "sbatch", "tune")
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    subprocess.run(["bash", str(first)], check=True)
    assert (fake / "told").read_text().splitlines() == [
        "sbatch --parsable run_experiment.sh",
        "sbatch --parsable --dependency=afterany:sbatch --parsable run_experiment.sh "
        "run_experiment_2.sh",
        (fake / "told").read_text().splitlines()[2],
    ]
    # Task 1 of the second array is run 4, and logs to where all runs do.
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    subprocess.run(["bash", str(folder / names[1])], check=True)
    assert "--config configs/run_004.yaml" in (folder / "logs/run_004.log").read_text()
    if shutil.which("shellcheck") is not None:
        files = [first, *(folder / name for name in names)]
        subprocess.run(["shellcheck", *map(str, files)], check=True)
    # Fewer runs need one script; those of before are gone.
    assert script(folder, ranks=(1, 2), max_array_size=3).name == "run_experiment.sh"
    assert sorted(file.name for file in folder.glob("*.sh")) == ["run_experiment.sh"]


def test_runs_of_hydra_are_passed_on_as_overrides(tmp_path):
    made = {
        "experiment": {"name": "rl", "framework": "hydra"},
        "framework_config": {"base_config": "quick_test"},
        "variables": {"seed": [1, 2]},
    }
    text = generate_configs(made, tmp_path / "out", slurm=True).script.read_text()
    assert text.endswith('exec olmix grpo train --overrides "$config"\n')


def test_where_ray_has_the_command_tune_the_module_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "owners", lambda: {"torchtune", "ray"})
    text = script(tmp_path / "out").read_text()
    assert "exec python -m torchtune._cli.tune run lora_finetune_single_device" in text


def test_the_environment_is_searched_once_for_all_runs(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **what: asked.append(what) or ())
    monkeypatch.setattr(library, "owners", OWNERS)
    OWNERS.cache_clear()
    script(tmp_path / "out", ranks=range(1, 6))
    OWNERS.cache_clear()
    assert asked == [{"group": "console_scripts", "name": "tune"}]


def test_without_a_recipe_there_is_no_script(tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text("model: {a: 1}\n")
    made = {"experiment_name": "x", "base_config_file": str(base), "variables": {"model.a": [1, 2]}}
    with pytest.raises(ConfigWriterError, match="unknown which recipe"):
        generate_configs(made, tmp_path / "out", validator="none", slurm=True)


def test_indices_are_written_as_slurm_reads_them():
    assert compress([0]) == "0"
    assert compress([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
