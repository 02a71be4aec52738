"""The SLURM array scripts of an experiment: one, or several where the runs are too many for one.

Task N of an array is run `first + N`, because SLURM limits the largest index of a task too.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from olmix.config.experiment import SlurmConfig
from olmix.errors import Problem
from olmix.sweep.errors import ExperimentSchemaError
from olmix.sweep.folder import Mapped
from olmix.sweep.study_plan import StudyPlan
from olmix.text.files import write_text
from olmix.text.numbers import counted
from olmix.text.slurm import (
    comment,
    compress,
    directive_lines,
    enter_folder,
    log_pattern,
    own_environment,
)

__all__ = ["SCRIPT", "SUBMIT", "old_scripts", "render_scripts", "write_scripts"]

SCRIPT = "run_experiment.sh"
_CONFIG = "\0config\0"
"""Stands in a command for the config file, which the script knows."""
SUBMIT = "submit_experiment.sh"
"""Submits all arrays, where there are several."""


def write_scripts(plan: StudyPlan, rows: Sequence[Mapped], target: Path) -> Path:
    """Write the scripts into the experiment's folder; returns the one that starts all runs.

    Raises:
        ExperimentSchemaError: it is unknown which recipe trains the runs.
        DataError: SLURM cannot write logs to this folder.
    """
    texts = render_scripts(plan, rows, target.resolve())
    (target / "logs").mkdir(exist_ok=True)
    for file in old_scripts(target):
        if file.name not in texts:
            file.unlink()
    for name, text in texts.items():
        write_text(target / name, text)
        (target / name).chmod(0o755)
    return target / (SUBMIT if SUBMIT in texts else SCRIPT)


def old_scripts(target: Path) -> list[Path]:
    """Return the scripts that are in a folder."""
    parts = sorted(target.glob("run_experiment_[0-9]*.sh"))
    return [*(file for name in (SCRIPT, SUBMIT) if (file := target / name).is_file()), *parts]


def render_scripts(plan: StudyPlan, rows: Sequence[Mapped], folder: Path) -> dict[str, str]:
    """Return the text of every script, by its name.

    `sbatch` takes the first one as it is, and `sbatch --array=...` too.

    Args:
        plan: the runs.
        rows: their rows in the mapping.
        folder: where they are, absolute.

    Raises:
        ExperimentSchemaError: it is unknown which recipe trains the runs.
        DataError: SLURM cannot write logs to this folder.
    """
    if plan.base.recipe is None:
        raise ExperimentSchemaError(
            [
                Problem(
                    "framework_config.recipe",
                    f"it is unknown which recipe trains {plan.base.name}; name it, such as "
                    "lora_finetune_single_device",
                )
            ],
            plan.experiment.name,
        )
    slurm = plan.experiment.config.slurm or SlurmConfig()
    digits = len(rows[0].id.partition("_")[2])
    numbers = sorted(int(row.id.partition("_")[2]) for row in rows)
    size = slurm.max_array_size
    parts = [list(part) for _, part in itertools.groupby(numbers, lambda number: number // size)]
    names = [SCRIPT, *(f"run_experiment_{index}.sh" for index in range(2, len(parts) + 1))]
    texts = {
        name: "\n".join(_array_script(plan, slurm, folder, part, digits, name)) + "\n"
        for name, part in zip(names, parts, strict=True)
    }
    if len(parts) > 1:
        texts[SUBMIT] = "\n".join(_submit_script(slurm, folder, names)) + "\n"
    return texts


def _array_script(
    plan: StudyPlan, slurm: SlurmConfig, folder: Path, part: Sequence[int], digits: int, script: str
) -> Iterator[str]:
    """Yield the lines of the array of some runs, all of which lie within one array's indices."""
    first = part[0] // slurm.max_array_size * slurm.max_array_size
    name, recipe = plan.experiment.config.experiment.name, plan.base.recipe or ""
    # What SLURM calls a log knows the task's number alone; the script itself knows the run's.
    log = log_pattern(folder / "logs", f"array_{first}_%a.log" if first else f"run_%{digits}a.log")
    tasks = compress([number - first for number in part])
    needed = {"dependency": slurm.dependency, "kill-on-invalid-dep": slurm.dependency and "yes"}
    task = "${SLURM_ARRAY_TASK_ID:?use sbatch}"
    number = f"$(({first} + {task}))" if first else task
    environment = slurm.environment(own_environment())
    words = map(_quoted, plan.framework.command(recipe, _CONFIG, slurm.num_gpus))
    yield from (
        "#!/usr/bin/env bash",
        comment(f"Experiment {name}: {counted(len(part), 'run')} of {recipe}."),
        f"# Start all of them with: sbatch {script}",
        f"# Start some of them with: sbatch --array=0,2 {script}",
        *([f"# Task N is run {first} + N."] if first else []),
        *directive_lines({**slurm.directives(name, tasks, log), **needed}),
        "",
        "set -euo pipefail",
        *enter_folder(folder),
        "",
        f'run=$(printf "run_%0{digits}d" "{number}")',
        f'config="configs/$run{plan.framework.suffix}"',
        'if [ ! -f "$config" ]; then',
        '  echo "there is no $config" >&2',
        "  exit 2",
        "fi",
        *(['exec > "logs/$run.log" 2>&1'] if first else []),
        *([""] if environment else []),
        *environment,
        "",
        'echo "$run on $(hostname), $(date)"',
        " ".join(["exec", *slurm.in_container(), *words]),
    )


def _quoted(word: str) -> str:
    """Return a word for the shell, with the variable in place of the config file."""
    parts = word.split(_CONFIG)
    return '"$config"'.join(shlex.quote(part) if part or len(parts) == 1 else "" for part in parts)


def _submit_script(slurm: SlurmConfig, folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Yield the lines that submit several arrays, in turn where only so many runs may run."""
    yield from (
        "#!/usr/bin/env bash",
        comment(f"Submits all runs: an array has {slurm.max_array_size} of them at most."),
        "set -euo pipefail",
        *enter_folder(folder),
    )
    if slurm.array_limit is None:
        yield from (f"sbatch {name}" for name in names)
        return
    needed = "" if slurm.dependency is None else f"{slurm.dependency},"
    yield f"job=$(sbatch --parsable {names[0]})"
    for name in names[1:]:
        after = f'{shlex.quote(needed) if needed else ""}afterany:"${{job%%;*}}"'
        yield f"job=$(sbatch --parsable --dependency={after} {name})"
