"""The SLURM array script of an experiment; a pure function renders it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from olmix.config.experiment import SlurmConfig
from olmix.errors import Problem
from olmix.sweep.errors import ExperimentSchemaError
from olmix.sweep.folder import Mapped
from olmix.sweep.plan import Plan

__all__ = ["SCRIPT", "compress", "render_script"]

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
    directives = dict(_directives(slurm))
    name = config.experiment.name
    head = [
        "#!/usr/bin/env bash",
        f"# Experiment {name}: {len(rows)} runs of {plan.base.recipe}.",
        f"# Start all of them with: sbatch {SCRIPT}",
        f"# Start some of them with: sbatch --array=0,2 {SCRIPT}",
        f"#SBATCH --job-name={name}",
        f"#SBATCH --array={compress(numbers)}{limit}",
        f'#SBATCH --output="{folder}/logs/run_%{digits}a.log"',
        *(f"#SBATCH --{key}={value}" for key, value in directives.items()),
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
        *_environment(slurm),
        "",
        'echo "$run on $(hostname), $(date)"',
        "exec " + " ".join(words),
    ]
    return "\n".join([*head, *body]) + "\n"


def _directives(slurm: SlurmConfig) -> Iterator[tuple[str, object]]:
    yield "time", slurm.time
    yield "nodes", 1
    yield "ntasks", 1
    for key, value in (
        ("account", slurm.account),
        ("partition", slurm.partition),
        ("constraint", slurm.constraint),
        ("qos", slurm.qos),
        ("mem", slurm.mem),
        ("cpus-per-task", slurm.cpus),
    ):
        if value is not None:
            text = str(value)
            yield key, text if text.replace("-", "").replace(":", "").isalnum() else f'"{text}"'
    if slurm.gpus:
        yield "gpus-per-node", slurm.gpus


def _environment(slurm: SlurmConfig) -> Iterator[str]:
    if slurm.modules or slurm.venv or slurm.conda or slurm.setup:
        yield ""
    if slurm.modules:
        yield f"module load {' '.join(map(shlex.quote, slurm.modules))}"
    if slurm.venv is not None:
        yield f'export PATH={shlex.quote(str(Path(slurm.venv) / "bin"))}:"$PATH"'
    if slurm.conda is not None:
        yield 'eval "$(conda shell.bash hook)"'
        yield f"conda activate {shlex.quote(slurm.conda)}"
    yield from slurm.setup


def compress(numbers: Sequence[int]) -> str:
    """Return array indices as SLURM reads them: 0, 1, 2, 5 are ``0-2,5``."""
    parts: list[str] = []
    ordered = sorted(numbers)
    start = 0
    for index in range(1, len(ordered) + 1):
        if index == len(ordered) or ordered[index] != ordered[index - 1] + 1:
            first, last = ordered[start], ordered[index - 1]
            parts.append(str(first) if first == last else f"{first}-{last}")
            start = index
    return ",".join(parts)
