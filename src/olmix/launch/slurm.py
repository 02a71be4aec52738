"""SLURM: a group of runs as arrays of jobs, each a readable script beside a list of its runs.

Task N of an array trains line N + 1 of its list. The script waits for the trainer in the
background, so that the SIGTERM which SLURM sends before a time limit or a pre-emption reaches it;
a run that saved its state and ended with status 75 goes back into the queue where `requeue` says
so. States come from `squeue`, and from `sacct` where the cluster keeps accounts.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from olmix.config import LaunchConfig, OlmoCoreTraining, SlurmInfra
from olmix.errors import LaunchError
from olmix.io.files import write_text
from olmix.launch.engine import Engine, Job, JobState
from olmix.launch.plan import Group

__all__ = ["SlurmEngine", "render_script", "split_runs"]

_TIMEOUT_S = 60
_PLAIN = re.compile(r"[\w.,:=/@%+-]+")
_NEVER = "DependencyNeverSatisfied"
_STATES: dict[str, str] = {
    "PENDING": "pending",
    "CONFIGURING": "pending",
    "REQUEUED": "pending",
    "REQUEUE_HOLD": "pending",
    "REQUEUE_FED": "pending",
    "SPECIAL_EXIT": "pending",
    "PREEMPTED": "pending",
    "SUSPENDED": "pending",
    "RESV_DEL_HOLD": "pending",
    "RUNNING": "running",
    "COMPLETING": "running",
    "STAGE_OUT": "running",
    "SIGNALING": "running",
    "RESIZING": "running",
    "STOPPED": "running",
    "COMPLETED": "finished",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
}
"""SLURM's words in ours; any other one is a failure."""


@dataclass(frozen=True)
class _Array:
    """One array of jobs."""

    name: str
    runs: tuple[str, ...]


def split_runs(group_id: str, runs: Sequence[str], most: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return arrays of at most `most` runs as (name, runs)."""
    parts = [tuple(runs[first : first + most]) for first in range(0, len(runs), most)]
    if len(parts) == 1:
        return [(group_id, parts[0])]
    return [(f"{group_id}-{index + 1}", part) for index, part in enumerate(parts)]


def render_script(
    infra: SlurmInfra, name: str, num_runs: int, folder: Path, *, distributed: bool
) -> str:
    """Return the script of one array, as `sbatch` reads it.

    Args:
        infra: the cluster.
        name: name of the array, of its list of runs and of its logs.
        num_runs: runs in the list.
        folder: folder of the scripts, absolute.
        distributed: whether a run takes all its GPUs as one torchrun job.
    """
    limit = f"%{infra.array_limit}" if infra.array_limit is not None else ""
    head = [
        "#!/usr/bin/env bash",
        f"# {num_runs} runs of group {name}; task N trains line N + 1 of {name}.txt.",
        f"#SBATCH --job-name={name}",
        f"#SBATCH --array=0-{num_runs - 1}{limit}",
        f"#SBATCH --output={_quoted(f'{folder}/{name}-%a.log')}",
        "#SBATCH --open-mode=append",
        *(f"#SBATCH --{key}={_quoted(value)}" for key, value in _directives(infra)),
        f"#SBATCH --{'requeue' if infra.requeue else 'no-requeue'}",
    ]
    body = [
        "",
        "set -euo pipefail",
        # Dollars and backticks of a folder's name are meant to stay as they are.
        *(["# shellcheck disable=SC2016"] if set("$`") & set(str(folder)) else []),
        f"runs={shlex.quote(f'{folder}/{name}.txt')}",
        'run=$(sed -n "$((${SLURM_ARRAY_TASK_ID:?use sbatch} + 1))p" "$runs")',
        'if [ ! -d "$run" ]; then',
        '  echo "there is no run folder $run" >&2',
        "  exit 2",
        "fi",
        *_environment(infra),
        "",
        'echo "$run on $(hostname), $(date)"',
        f"{_command(infra, distributed)} &",
        "child=$!",
        "# SLURM's signal comes to this script; the trainer saves its state and ends with 75.",
        "trap 'kill -TERM \"$child\"' TERM",
        "status=0",
        'wait "$child" || status=$?',
        'while kill -0 "$child" 2>/dev/null; do',
        "  status=0",
        '  wait "$child" || status=$?',
        "done",
        *_back_into_the_queue(infra),
        'exit "$status"',
    ]
    return "\n".join([*head, *body]) + "\n"


def _quoted(value: str) -> str:
    """Return a value of a directive, quoted where SLURM would split it."""
    return value if _PLAIN.fullmatch(value) else '"' + value.replace('"', '\\"') + '"'


def _directives(infra: SlurmInfra) -> Iterator[tuple[str, str]]:
    given: list[tuple[str, object]] = [
        ("account", infra.account),
        ("partition", infra.partition),
        ("qos", infra.qos),
        ("constraint", infra.constraint),
        ("gres", infra.gres),
        ("nodes", infra.nodes),
        ("ntasks-per-node", 1),
        ("cpus-per-task", infra.cpus),
        ("gpus-per-node", infra.gpus or None),
        ("mem", infra.mem),
        ("time", infra.time),
        ("dependency", infra.dependency),
        ("kill-on-invalid-dep", "yes" if infra.dependency is not None else None),
        ("signal", f"B:TERM@{infra.signal_s}" if infra.signal_s else None),
    ]
    if infra.container is not None and infra.container_runtime == "pyxis":
        given.append(("container-image", infra.container))
    return ((key, str(value)) for key, value in given if value is not None)


def _environment(infra: SlurmInfra) -> Iterator[str]:
    if infra.modules or infra.venv is not None or infra.setup is not None:
        yield ""
    if infra.modules:
        yield f"module load {' '.join(map(shlex.quote, infra.modules))}"
    if infra.venv is not None:
        yield f'export PATH={shlex.quote(f"{infra.venv}/bin")}:"$PATH"'
    if infra.setup is not None:
        yield infra.setup.rstrip("\n")


def _command(infra: SlurmInfra, distributed: bool) -> str:
    words = [infra.python, "-m", "olmix.train.one"]
    if distributed:
        words = [infra.python, "-m", "torch.distributed.run"]
        words += [f"--nproc-per-node={infra.gpus}", f"--nnodes={infra.nodes}"]
        if infra.nodes > 1:
            words += ["--rdzv-backend=c10d", '--rdzv-id="$SLURM_JOB_ID"', '--rdzv-endpoint="$head"']
        words += ["-m", "olmix.train.one"]
    if infra.container is not None and infra.container_runtime == "apptainer":
        runtime = ["apptainer", "exec", *(["--nv"] if infra.gpus else [])]
        words = [*runtime, infra.container, *words]
    # The variables of the shell stay as they are, everything else is quoted.
    text = " ".join(word if "$" in word else shlex.quote(word) for word in words)
    if distributed and infra.nodes > 1:
        head = 'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):29500\n'
        return f'{head}srun {text} "$run"'
    return f'{text} "$run"'


def _back_into_the_queue(infra: SlurmInfra) -> list[str]:
    if not infra.requeue:
        return []
    return [
        'if [ "$status" -eq 75 ]; then',
        '  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"',
        "fi",
    ]


class SlurmEngine(Engine):
    """Submits arrays with `sbatch`, here or on a login node.

    Args:
        infra: the cluster.
    """

    name: ClassVar[str] = "slurm"

    def __init__(self, infra: SlurmInfra) -> None:
        self.infra = infra

    def _arrays(self, group: Group, folder: Path, runs: Sequence[str], most: int) -> list[_Array]:
        taken = {path.stem for path in self._scripts(folder).glob("*.sh")}
        names = split_runs(group.group_id, runs, most)
        again = next(n for n in range(len(taken) + 1) if self._name(names[0][0], n) not in taken)
        return [_Array(self._name(name, again), part) for name, part in names]

    @staticmethod
    def _name(name: str, again: int) -> str:
        """Return the name of an array that is submitted for the n-th time."""
        return name if again == 0 else f"{name}.{again}"

    @staticmethod
    def _scripts(folder: Path) -> Path:
        return folder.resolve() / "slurm"

    def _script(self, group: Group, array: _Array, folder: Path) -> str:
        distributed = self.infra.gpus * self.infra.nodes > 1 and any(
            isinstance(run, LaunchConfig) and isinstance(run.training, OlmoCoreTraining)
            for run in group.runs
        )
        return render_script(
            self.infra,
            array.name,
            len(array.runs),
            self._scripts(folder),
            distributed=distributed,
        )

    def render(self, group: Group, folder: Path, runs: Sequence[str]) -> str:
        """Return the command, the script and the list of every array."""
        scripts = self._scripts(folder)
        parts = []
        for array in self._arrays(group, folder, runs, self.infra.max_array_size - 1):
            command = shlex.join(
                self._words(["sbatch", "--parsable", f"{scripts}/{array.name}.sh"])
            )
            listed = "".join(f"{folder.resolve() / run}\n" for run in array.runs)
            parts.append(
                f"# {command}\n# {scripts}/{array.name}.sh\n{self._script(group, array, folder)}"
                f"\n# {scripts}/{array.name}.txt\n{listed}"
            )
        return "\n".join(parts)

    def submit(self, group: Group, folder: Path, runs: Sequence[str]) -> Iterator[Job]:
        """Write script and list of every array, and submit them one after the other.

        Raises:
            LaunchError: SLURM refuses, or is not there.
        """
        scripts = self._scripts(folder)
        most = min(self.infra.max_array_size, self._max_array_size()) - 1
        for array in self._arrays(group, folder, runs, most):
            listed = "".join(f"{folder.resolve() / run}\n" for run in array.runs)
            write_text(scripts / f"{array.name}.txt", listed)
            script = scripts / f"{array.name}.sh"
            write_text(script, self._script(group, array, folder))
            try:
                said = self._run(["sbatch", "--parsable", str(script)])
            except LaunchError:
                script.unlink()
                raise
            yield Job(said.split(";")[0].strip(), array.runs)

    def _max_array_size(self) -> int:
        """Return the cluster's own limit."""
        found = re.search(r"MaxArraySize\s*=\s*(\d+)", self._run(["scontrol", "show", "config"]))
        return int(found[1]) if found is not None else self.infra.max_array_size

    def states(self, jobs: Sequence[Job]) -> dict[str, JobState]:
        """Ask `squeue`, and `sacct` for what has left the queue."""
        if not jobs:
            return {}
        # Of several jobs that carried out a run, the last one counts.
        last = {run: f"{job.id}_{n}" for job in jobs for n, run in enumerate(job.runs)}
        by_task = {task: run for run, task in last.items()}
        ids = ",".join(dict.fromkeys(job.id for job in jobs))
        found: dict[str, JobState] = {}
        never = []
        for line in self._ask(["squeue", "--array", "-h", "-o", "%i|%T|%r", "--jobs", ids]):
            task, state, reason = [*line.split("|"), "", ""][:3]
            if task in by_task:
                found[by_task[task]] = _state(state, reason)
                never += [task] if reason == _NEVER else []
        if never:
            self._ask(["scancel", *never])
            found |= {by_task[task]: JobState("cancelled", _NEVER) for task in never}
        if len(found) < len(by_task):
            words = ["sacct", "-X", "-P", "-n", "-o", "JobID,State", "-j", ids]
            for line in self._ask(words):
                task, state = [*line.split("|"), ""][:2]
                run = by_task.get(task)
                if run is not None and run not in found:
                    found[run] = _state(state.split()[0] if state else "", "")
        return found

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Cancel all tasks that have not ended."""
        if jobs:
            self._run(["scancel", *dict.fromkeys(job.id for job in jobs)])

    def logs(self, job: Job, run: str) -> str:
        """Say where SLURM's own output lies; that of the trainer is in the run's `log.txt`."""
        return f"SLURM job {job.id}_{job.runs.index(run)}: its output is in the folder slurm/"

    def _words(self, words: Sequence[str]) -> list[str]:
        """Return a command as it is started: here, or on the login node."""
        if self.infra.ssh is None:
            return list(words)
        return ["ssh", self.infra.ssh, shlex.join(words)]

    def _ask(self, words: Sequence[str]) -> list[str]:
        """Return the lines of an answer; none where the command is missing or fails."""
        try:
            return self._run(words).splitlines()
        except LaunchError:
            return []

    def _run(self, words: Sequence[str]) -> str:
        command = self._words(words)
        if shutil.which(command[0]) is None:
            raise LaunchError(
                f"{command[0]} is not here: this machine does not know a SLURM cluster. Launch "
                "from a login node, or name one in infra.ssh"
            )
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise LaunchError(f"{command[0]} does not answer within {_TIMEOUT_S} s") from None
        if done.returncode:
            raise LaunchError(f"{shlex.join(words[:2])}: {done.stderr.strip() or 'it failed'}")
        return done.stdout


def _state(word: str, reason: str) -> JobState:
    known = _STATES.get(word, "failed")
    note = word if reason in ("", "None") else f"{word}: {reason}"
    if known == "pending":
        return JobState("pending", note)
    if known == "running":
        return JobState("running", note)
    if known == "finished":
        return JobState("finished", note)
    return JobState("cancelled" if known == "cancelled" else "failed", note)
