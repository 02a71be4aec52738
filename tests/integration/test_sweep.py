"""Sweeps with torch itself: torchtune's own check, and training with `tune run` on the CPU."""

import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from olmix.config import read_yaml
from olmix.sweep import TorchtuneValidationError, generate_configs
from olmix.sweep.results import write_results
from olmix.sweep.status import read_states
from olmix.sweep.torchtune.registry import read_registry
from patience import STUCK_S

WHY = "needs torch and torchtune; `make test` installs them"
# Found, not imported: their import warns, and takes ten seconds.
if not all(
    any((Path(place) / name).is_dir() for place in sys.path) for name in ("torch", "torchtune")
):
    pytest.skip(WHY, allow_module_level=True)

# What torch and torchtune warn of while they are imported is theirs.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

BASE = "llama3_2/1B_lora_single_device"
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


def _lora_configs():
    return [
        name
        for name, shipped in read_registry().configs.items()
        if "\n  lora_rank:" in shipped.path.read_text()
    ]


def _verdicts(result):
    return result.plan.framework.validate(result.configs, "inprocess")


def test_every_lora_config_makes_a_grid_that_is_valid_wherever_its_base_is(tmp_path):
    names = _lora_configs()
    assert len(names) >= 60
    for name in names:
        made = {
            "experiment_name": "grid",
            "base_config": name,
            "variables": {"lora_rank": [4, 8], "learning_rate": [1e-4, 3e-4]},
            "controls": {"lora_alpha": "${mul:2,${lora_rank}}"},
        }
        result = generate_configs(made, tmp_path / name, validator="none")
        assert len(result.runs) == 4
        framework = result.plan.framework
        [base] = framework.validate([read_registry().configs[name].path], "inprocess")
        for verdict in _verdicts(result):
            assert verdict == base, name
        assert not base.errors, base


def test_an_invalid_config_is_told_apart_from_a_missing_package(tmp_path):
    made = {
        "experiment_name": "x",
        "base_config": BASE,
        "variables": {"loss": [{"_component_": "nothing_like_it.Loss"}]},
    }
    result = generate_configs(made, tmp_path / "missing")
    assert _verdicts(result)[0].missing == ("nothing_like_it",)
    assert "not installed: nothing_like_it" in result.report
    own = tmp_path / "own.yaml"
    text = read_registry().configs[BASE].path.read_text()
    own.write_text(text.replace("  lora_dropout: 0.0", "  lora_drop: 0.0"))
    made = {
        "experiment_name": "x",
        "base_config_file": str(own),
        "variables": {"lora_rank": [4, 8]},
    }
    with pytest.raises(TorchtuneValidationError, match="lora_drop") as found:
        generate_configs(made, tmp_path / "invalid", slurm=True)
    assert len(found.value.problems) == 2, "all configs are checked"
    assert "0 of 2 configs are valid" in found.value.result.report
    assert not (tmp_path / "invalid" / "run_experiment.sh").exists()


def test_the_real_command_line_says_the_same(tmp_path):
    made = {"experiment_name": "x", "base_config": BASE}
    result = generate_configs(made, tmp_path / "out", validator="subprocess")
    assert result.is_valid
    bad = tmp_path / "bad.yaml"
    bad.write_text("loss:\n  _component_: torchtune.modules.loss.CEWithChunkedOutputLoss\n  x: 1\n")
    ours = result.plan.framework.validate([bad], "inprocess")
    theirs = result.plan.framework.validate([bad], "subprocess")
    assert "unexpected keyword argument 'x'" in ours[0].errors[0]
    assert "unexpected keyword argument 'x'" in theirs[0].errors[0]


@pytest.mark.parametrize(
    "base",
    [
        "gemma2/2B_lora",  # a distributed recipe, in a group of one process
        "qwen2_5/0.5B_full_single_device",
        "llama3_1/8B_lora_dpo_single_device",
        "llama3_1/8B_full_dpo",
        "mistral/7B_full_ppo_low_memory",
        "llama3_2/8B_to_1B_KD_lora_single_device",
        "llama2/7B_qat_full",
    ],
)
def test_smoke_trains_every_config_of_a_recipe(base, tmp_path):
    made = {
        "experiment_name": "smoke",
        "base_config": base,
        "variables": {"learning_rate": [1e-4, 1e-3]},
    }
    result = generate_configs(made, tmp_path / "out", validator="none", smoke=True)
    assert "2 of 2 configs train" in result.report


def test_smoke_says_which_config_does_not_train_and_why(tmp_path):
    made = {
        "experiment_name": "smoke",
        "base_config": BASE,
        # Every check of types passes an empty list; the model's builder does not.
        "variables": {"model.lora_attn_modules": [["q_proj"], []]},
    }
    with pytest.raises(TorchtuneValidationError, match=r"run_001\.yaml"):
        generate_configs(made, tmp_path / "out", validator="none", smoke=True)


def olmix(*words, cwd, expect=0):
    """Run a command as the documentation writes it."""
    done = subprocess.run(
        [str(BIN / "olmix"), *words], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The folder that holds ``tiny/``: a 2x2 grid with a model, tokenizer and data of its own."""
    folder = tmp_path_factory.mktemp("example")
    assert olmix("sweep", "example", "tiny", cwd=folder).stdout.endswith("tiny/experiment.yaml\n")
    return folder


def _run_tasks(folder, number):
    """Run what SLURM would run; a task of the array needs only its index."""

    def task(index):
        return subprocess.run(
            ["bash", "study/run_experiment.sh"],
            env=os.environ | {"SLURM_ARRAY_TASK_ID": str(index), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(task, range(number)):
            assert done.returncode == 0, done.stderr[-2000:]


def test_the_worked_study_runs_as_documented_from_question_to_surface(example):
    page = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")
    study = page[page.index("## A worked study") :]
    first, *commands = study[study.index("```bash\n") + 8 :].partition("```")[0].splitlines()
    assert first == "olmix sweep example tiny", "the fixture has run it"
    shown = {}
    for command in commands:
        name, *words = shlex.split(command)
        if name == "sbatch":
            _run_tasks(example, 4)
        else:
            shown[words[1]] = olmix(*words, cwd=example)
    assert "4 runs from llama3_2/1B_lora_single_device" in shown["preview"].stdout
    assert (example / "study/validation_report.txt").read_text().count("valid  ") == 4
    assert "4 of 4 runs are finished" in shown["status"].stderr
    assert commands[-1] in shown["results"].stderr
    _check_trained(example / "study", 4)
    assert "effect of half the tested range on loss" in shown["-c"].stdout
    assert (example / "study/results/fit/latest/surface.json").is_file()


def test_a_distributed_recipe_starts_a_process_for_each_gpu_and_cannot_train_without(
    example, tmp_path
):
    """What docs/sweep.md says of `tune run` on a CPU: recipes name NCCL, which is not there."""
    version = next(Path(place, "torch", "version.py") for place in sys.path if _has_torch(place))
    if "+cpu" not in version.read_text():
        pytest.skip("elsewhere: this build of torch has NCCL; a GPU would be needed to go on")
    study = read_yaml(example / "tiny" / "experiment.yaml").data
    study["framework_config"] = {"base_config": "llama3_2/1B_lora"}
    study["slurm"]["gpus"] = 2
    result = generate_configs(study, tmp_path / "out", validator="none", slurm=True)
    done = subprocess.run(
        ["bash", str(result.script)],
        env=os.environ | {"SLURM_ARRAY_TASK_ID": "0", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    said = "RuntimeError: Distributed package doesn't have NCCL built in"
    assert done.stderr.count(said) == 2


def _has_torch(place):
    return Path(place, "torch", "version.py").is_file()


def _check_trained(folder, number):
    states = read_states(folder)
    assert [(state.state, state.steps) for state in states] == [("finished", 16)] * number
    found = write_results(folder)
    losses = [value for _, value in found.ranking]
    assert losses == sorted(losses)
    assert len(set(losses)) == number, "the losses differ between runs"
    assert set(found.effects) == {"lora_rank", "learning_rate"}
    for name in ("results.csv", "curves.csv", "main_effects.csv", "curves.png", "main_effects.png"):
        assert (folder / "results" / name).stat().st_size > 0


def test_the_array_script_runs_under_a_real_slurm(example, tmp_path):
    if shutil.which("slurmctld") is None or os.geteuid() != 0:
        pytest.skip("needs slurm-wlm, slurm-client and munge, and root, for a private SLURM")
    study = read_yaml(example / "tiny" / "experiment.yaml").data
    study["variables"] = {"lora_rank": [2, 8], "learning_rate": [3e-2]}
    result = generate_configs(study, tmp_path / "out", validator="none", slurm=True)
    from private_slurm import private_slurm

    with private_slurm(tmp_path / "slurm") as environment:
        done = subprocess.run(
            ["sbatch", "--wait", str(result.script)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=STUCK_S,
        )
        logs = "".join(file.read_text() for file in (result.folder / "logs").iterdir())
        assert done.returncode == 0, done.stderr + logs[-3000:]
    assert len(list((result.folder / "logs").glob("run_00[01].log"))) == 2
    _check_trained(result.folder, 2)
