"""The array scripts of a group and the lists of their tasks, as text, made without the cluster.

A script starts its run in the background and waits, because only so bash passes signals on:
SIGTERM of a pre-emption or of `scancel`, and SIGUSR1, which SLURM sends `signal_s` seconds before
the time limit. A run that the limit stopped has saved its state and goes back into the queue; one
that was cancelled does not.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmix.config import SlurmInfra
from olmix.launch.command_runs import CommandRun
from olmix.launch.group_plan import Group
from olmix.text.files import digest
from olmix.text.slurm import directive_lines, enter_folder, log_pattern, own_environment

__all__ = ["LOGS", "Chunk", "job_name", "render_chunks", "submit_words"]

LOGS = "slurm/logs"
"""Folder of what the tasks print, below the group's."""
_RUN = "olmix.train.run_one"


def job_name(group_id: str) -> str:
    """Return the name of all jobs of a group, which sets them apart from others' jobs."""
    return f"olmix-{group_id}"


@dataclass(frozen=True)
class Chunk:
    """One array: SLURM limits how many tasks an array may have.

    Attributes:
        runs: names of the runs, by task.
        tasks_file: where the list of tasks is.
        tasks: its text, a run a line.
        script_file: where the script is.
        script: its text.
    """

    runs: tuple[str, ...]
    tasks_file: Path
    tasks: str
    script_file: Path
    script: str


def render_chunks(
    infra: SlurmInfra, group: Group, folder: Path, runs: Sequence[str]
) -> list[Chunk]:
    """Return the arrays that carry out some runs of a group, in their order.

    Files are named by a hash of what stands in them: a list of tasks that a waiting job will read
    is never overwritten by another one.
    """
    root = folder.resolve()
    size = infra.max_array_size
    chunks = []
    for first in range(0, len(runs), size):
        part = tuple(runs[first : first + size])
        tasks = "".join(f"{run}\n" for run in part)
        tasks_file = root / "slurm" / f"{digest(tasks)}.tasks"
        script = _render_script(infra, group, root, tasks_file, len(part))
        script_file = tasks_file.with_name(f"{digest(script)}.sbatch")
        chunks.append(Chunk(part, tasks_file, tasks, script_file, script))
    return chunks


def submit_words(infra: SlurmInfra, chunk: Chunk, before: str | None) -> list[str]:
    """Return the command that submits an array.

    Args:
        infra: the cluster.
        chunk: the array.
        before: the array before it, which must end first where only so many runs are allowed at
            the same time.
    """
    needed = [infra.dependency] if infra.dependency is not None else []
    if before is not None and infra.array_limit is not None:
        needed.append(f"afterany:{before}")
    words = ["sbatch", "--parsable"]
    if needed:
        words += [f"--dependency={','.join(needed)}", "--kill-on-invalid-dep=yes"]
    return [*words, str(chunk.script_file)]


def _render_script(
    infra: SlurmInfra, group: Group, root: Path, tasks_file: Path, num_tasks: int
) -> str:
    signal = f"B:USR1@{infra.signal_s}" if infra.signal_s and infra.time is not None else None
    log = log_pattern(root / LOGS, "%A_%a.log")
    directives = infra.directives(job_name(group.group_id), f"0-{num_tasks - 1}", log)
    # Commands of a sweep, such as `tune`, are those of the environment that launches them.
    of_sweep = any(isinstance(run, CommandRun) for run in group.runs)
    environment = infra.environment(own_environment() if of_sweep and infra.ssh is None else None)
    lines = [
        "#!/usr/bin/env bash",
        f"# Olmix group {group.group_id}: task N trains the run in line N + 1 of",
        f"# {tasks_file.name}, and leaves everything in the folder of that run.",
        # A task that goes back into the queue adds to what it printed.
        *directive_lines({**directives, "open-mode": "append", "signal": signal}),
        "",
        "set -euo pipefail",
        *enter_folder(root),
        "line=$((${SLURM_ARRAY_TASK_ID:?submit this script with sbatch} + 1))",
        f'run=$(sed -n "${{line}}p" slurm/{tasks_file.name})',
        *([""] if environment else []),
        *environment,
        "",
        'echo "$run on $(hostname), $(date)"',
        *_start(infra, _distributed(infra, group)),
        *_wait(infra),
    ]
    return "\n".join(lines) + "\n"


def _python(infra: SlurmInfra) -> str:
    """Return the Python of the runs: the current one, unless the config says otherwise.

    A launcher that submits through `ssh` is on another machine, with other environments.
    """
    if infra.python is not None:
        return infra.python
    return "python" if infra.has_own_environment or infra.ssh is not None else sys.executable


def _distributed(infra: SlurmInfra, group: Group) -> bool:
    """Whether a run is one process for each of several GPUs; only OLMo-core's are."""
    return infra.num_gpus * infra.nodes > 1 and group.has_olmo_core


def _start(infra: SlurmInfra, distributed: bool) -> Iterator[str]:
    """Yield the lines that start the run in the background."""
    words = [shlex.quote(_python(infra)), "-m"]
    if distributed:
        words += ["torch.distributed.run", f"--nproc-per-node={infra.num_gpus}"]
        if infra.nodes > 1:
            yield 'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'
            # Tasks that share a node need ports of their own.
            yield "port=$((20000 + SLURM_JOB_ID % 20000))"
            words += [f"--nnodes={infra.nodes}", "--rdzv-backend=c10d"]
            words += ['--rdzv-id="$SLURM_JOB_ID"', '--rdzv-endpoint="$first:$port"']
        else:
            words.append("--standalone")
        words.append("-m")
    words += [_RUN, '"$PWD/$run"']
    before = infra.in_container()
    if distributed and infra.nodes > 1 and before[:1] != ["srun"]:
        before = ["srun", *before]
    yield " ".join([*before, *words, "&"])


def _wait(infra: SlurmInfra) -> Iterator[str]:
    """Yield the lines that pass signals on and wait for the end of the run."""
    yield "child=$!"
    yield "expired=no"
    yield "trap 'kill -TERM \"$child\"' TERM"
    yield "trap 'expired=yes; kill -TERM \"$child\"' USR1 # the time limit is near"
    # A signal ends `wait` early; bash keeps the status of a child until it is asked for.
    yield 'while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done'
    yield 'status=0; wait "$child" || status=$?'
    if infra.requeue:
        # Its status is the run's own; that of a torchrun says nothing.
        yield 'if [ "$expired" = yes ] && grep -q \'"state": "pending"\' "$run/status.json"; then'
        # A script that ends before SLURM has stopped it makes the requeued job a failed one.
        yield '  scontrol requeue "$SLURM_JOB_ID" && exec sleep 60 # resume later'
        yield "fi"
    else:
        yield 'echo "status $status, time limit reached: $expired"'
    yield 'exit "$status"'
