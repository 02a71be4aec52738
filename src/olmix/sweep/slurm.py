"""The SLURM array script of an experiment; a pure function renders it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from olmix.config.experiment import SlurmConfig
from olmix.errors import Problem
from olmix.sweep.errors import ExperimentSchemaError
from olmix.sweep.folder import Mapped
from olmix.sweep.study_plan import Plan
from olmix.text.slurm import compress, directive_lines, environment_lines

__all__ = ["SCRIPT", "render_script"]

SCRIPT = "run_experiment.sh"


def render_script(plan: Plan, rows: Sequence[Mapped], folder: Path) -> str:
    """Return the array script, which `sbatch` takes as it is and `sbatch --array=...` too.

    Args:
        plan: the runs.
        rows: their rows in the mapping.
        folder: where they are, absolute.

    Raises:
        ExperimentSchemaError: it is not known which recipe trains the runs.
    """
    if plan.base.recipe is None:
        raise ExperimentSchemaError(
            [
                Problem(
                    "framework_config.recipe",
                    f"it is not known which recipe trains {plan.base.name}; name it, such as "
                    "lora_finetune_single_device",
                )
            ],
            plan.experiment.name,
        )
    config = plan.experiment.config
    slurm = config.slurm or SlurmConfig()
    digits = len(rows[0].id.partition("_")[2])
    numbers = [int(row.id.partition("_")[2]) for row in rows]
    limit = f"%{slurm.limit}" if slurm.limit is not None else ""
    directives = {
        "time": slurm.time,
        "nodes": 1,
        "ntasks": 1,
        "account": slurm.account,
        "partition": slurm.partition,
        "constraint": slurm.constraint,
        "qos": slurm.qos,
        "mem": slurm.mem,
        "cpus-per-task": slurm.cpus,
        "gpus-per-node": slurm.gpus or None,
    }
    environment = list(environment_lines(slurm.modules, slurm.venv, slurm.conda, slurm.setup))
    name = config.experiment.name
    head = [
        "#!/usr/bin/env bash",
        f"# Experiment {name}: {len(rows)} runs of {plan.base.recipe}.",
        f"# Start all of them with: sbatch {SCRIPT}",
        f"# Start some of them with: sbatch --array=0,2 {SCRIPT}",
        f"#SBATCH --job-name={name}",
        f"#SBATCH --array={compress(numbers)}{limit}",
        f'#SBATCH --output="{folder}/logs/run_%{digits}a.log"',
        *directive_lines(directives),
    ]
    command = plan.framework.command(plan.base.recipe, "CONFIG", slurm.gpus)
    words = ['"$config"' if word == "CONFIG" else shlex.quote(word) for word in command]
    body = [
        "",
        "set -euo pipefail",
        # Dollars and backticks of a folder's name are meant to stay as they are.
        *(["# shellcheck disable=SC2016"] if set("$`") & set(str(folder)) else []),
        f"cd {shlex.quote(str(folder))}",
        "",
        f'run=$(printf "run_%0{digits}d" "${{SLURM_ARRAY_TASK_ID:?use sbatch}}")',
        'config="configs/$run.yaml"',
        'if [ ! -f "$config" ]; then',
        '  echo "there is no $config" >&2',
        "  exit 2",
        "fi",
        *([""] if environment else []),
        *environment,
        "",
        'echo "$run on $(hostname), $(date)"',
        "exec " + " ".join(words),
    ]
    return "\n".join([*head, *body]) + "\n"
