"""The Beaker experiment of a run, as plain values: pure, without beaker-py and without a network.

The keys are those of Beaker's experiment spec, version 2, in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from olmix.config.infra import BeakerInfra, BeakerMount
from olmix.launch.group_plan import Group
from olmix.launch.mounts import seen_folder, unseen_inputs, unseen_runs

__all__ = [
    "build_spec",
    "describe",
    "find_obstacles",
    "render_specs",
    "run_described",
]

_NANOSECONDS = 10**9
_TOGETHER_S = 90 * 60
"""How long the nodes of a run wait for each other."""
_DESCRIPTION = re.compile(r"Olmix run (\S+) of group (\S+) in .*", re.DOTALL)
_LEADER = """export PET_RDZV_ENDPOINT="$BEAKER_LEADER_REPLICA_HOSTNAME:29500\""""
"""torchrun reads what it is not told from variables that start with PET_."""


def describe(run: str, group_id: str, run_dir: str) -> str:
    """Return the description of an experiment, by which the runs of a group are found again.

    The run folder tells apart launches of one group by different people, or into different folders.
    """
    return f"Olmix run {run} of group {group_id} in {run_dir}"


def run_described(description: str, group_id: str) -> str | None:
    """Return the run that a description names, or None where it is not of that group."""
    match = _DESCRIPTION.fullmatch(description)
    return match[1] if match is not None and match[2] == group_id else None


def _run_folder(infra: BeakerInfra, folder: Path, run: str) -> str:
    """Return the folder of a run as the run sees it."""
    return f"{seen_folder(folder, infra.runs_dir)}/{run}"


def _is_distributed(infra: BeakerInfra, group: Group) -> bool:
    """Whether a run takes all its GPUs as one torchrun job."""
    return infra.gpus * infra.nodes > 1 and group.has_olmo_core


def build_spec(infra: BeakerInfra, group: Group, folder: Path, run: str) -> dict[str, object]:
    """Return the spec of a run's experiment.

    Args:
        infra: what it runs on.
        group: the group.
        folder: the group's folder on this machine.
        run: name of the run.
    """
    run_dir = _run_folder(infra, folder, run)
    task: dict[str, object] = {
        "name": run,
        "image": _image(infra),
        "command": _command(infra, run_dir, distributed=_is_distributed(infra, group)),
        "envVars": list(_environment(infra, group.group_id)),
        "datasets": [_mount(mount) for mount in infra.all_mounts],
        "resources": _resources(infra),
        "context": _context(infra),
        "constraints": {"cluster": [infra.cluster]},
    }
    if infra.timeout_s is not None:
        task["timeout"] = round(infra.timeout_s * _NANOSECONDS)
    if infra.nodes > 1:
        task |= _replicas(infra)
    spec: dict[str, object] = {
        "version": "v2",
        "description": describe(run, group.group_id, run_dir),
        "budget": infra.budget,
        "tasks": [task],
    }
    if infra.retries:
        spec["retry"] = {"allowedTaskRetries": infra.retries}
    return spec


def _image(infra: BeakerInfra) -> dict[str, str]:
    if infra.docker_image is not None:
        return {"docker": infra.docker_image}
    return {"beaker": infra.image} if infra.image is not None else {}


def _command(infra: BeakerInfra, run_dir: str, *, distributed: bool) -> list[str]:
    """Return the words of the command; a shell sees only `setup`, never a path."""
    words = [infra.python]
    before = [infra.setup.rstrip("\n")] if infra.setup is not None else []
    if distributed:
        words += ["-m", "torch.distributed.run", f"--nproc-per-node={infra.gpus}"]
        words += [f"--nnodes={infra.nodes}"]
        if infra.nodes > 1:
            words += ["--rdzv-backend=c10d", f"--rdzv-id={PurePosixPath(run_dir).name}"]
            before.append(_LEADER)
    words += ["-m", "olmix.train.run_one", run_dir]
    if not before:
        return words
    script = "\n".join(["set -e", *before, 'exec "$@"'])
    return ["/bin/sh", "-c", script, "sh", *words]


def _environment(infra: BeakerInfra, group_id: str) -> Iterator[dict[str, str]]:
    values = {"OLMIX_GROUP": group_id}
    if infra.shared_filesystem:
        values["OLMO_SHARED_FS"] = "1"
    if infra.wandb_debug:
        values["WANDB_DEBUG"] = "true"
    values |= {name: str(value) for name, value in infra.env.items()}
    for name, value in values.items():
        yield {"name": name, "value": value}
    for name, secret in infra.env_secrets.items():
        yield {"name": name, "secret": secret}


def _mount(mount: BeakerMount) -> dict[str, object]:
    sources = {
        "weka": mount.weka,
        "hostPath": mount.host_path,
        "beaker": mount.dataset,
        "secret": mount.secret,
    }
    found: dict[str, Any] = {
        "mountPath": mount.path,
        "source": {kind: name for kind, name in sources.items() if name is not None},
    }
    if mount.sub_path is not None:
        found["subPath"] = mount.sub_path
    return found


def _resources(infra: BeakerInfra) -> dict[str, object]:
    asked = {
        "gpuCount": infra.gpus,
        "cpuCount": infra.cpu_count,
        "memory": infra.memory,
        "sharedMemory": infra.shared_memory,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _context(infra: BeakerInfra) -> dict[str, object]:
    """Return priority and preemption.

    A service takes `autoResume` and `minRuntime`, or the older `preemptible`, never both. Only the
    older one says that a job is not to be preempted at all.
    """
    context: dict[str, Any] = {"priority": infra.priority}
    if not infra.preemptible:
        return context | {"preemptible": False}
    context["autoResume"] = True
    if infra.min_runtime_s is not None:
        context["minRuntime"] = round(infra.min_runtime_s * _NANOSECONDS)
    return context


def _replicas(infra: BeakerInfra) -> dict[str, object]:
    """Return what makes the nodes of a run one: they start, fail and are preempted together."""
    return {
        "replicas": infra.nodes,
        "leaderSelection": True,
        "hostNetworking": True,
        "propagateFailure": True,
        "propagatePreemption": True,
        "synchronizedStartTimeout": _TOGETHER_S * _NANOSECONDS,
    }


def find_obstacles(infra: BeakerInfra, group: Group, folder: Path) -> list[str]:
    """Return what keeps runs of a group from starting, each with what to do about it."""
    found = []
    if infra.nodes > 1 and not (infra.gpus and _is_distributed(infra, group)):
        found.append(
            f"infra.nodes = {infra.nodes}: only runs with training.trainer = olmo_core on GPUs "
            "can span nodes; set infra.nodes to 1"
        )
    if infra.image is None and infra.docker_image is None:
        found.append(
            "infra.image is missing: name a Beaker image (or a docker_image) with Olmix installed"
        )
    where = seen_folder(folder, infra.runs_dir)
    unseen = unseen_runs(where, infra.all_mounts, "job", "infra.weka or infra.mounts")
    found += [] if unseen is None else [unseen]
    return found


def render_specs(infra: BeakerInfra, group: Group, folder: Path, runs: Sequence[str]) -> str:
    """Return the specs of runs as a stream of YAML documents, each written as JSON.

    JSON is YAML, is what goes over the wire, and takes 1,000 runs a tenth of a second instead of
    three.
    """
    lines = [
        f"# would not start like this: {what}" for what in find_obstacles(infra, group, folder)
    ]
    unseen = unseen_inputs(group, infra.all_mounts, "job")
    lines += [] if unseen is None else [f"# warning: {unseen}"]
    for run in runs:
        lines.append(f"--- # experiment {run} in workspace {infra.workspace}")
        lines.append(json.dumps(build_spec(infra, group, folder, run), indent=2))
    return "\n".join(lines) + "\n"
