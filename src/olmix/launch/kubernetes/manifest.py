"""The Indexed Job of some runs of a group, as plain values: pure, without the client or a network.

Pod N of the Job trains run N. The names of the runs are in an annotation of the Job, and in a file
in the group's folder, which the pods see on a shared volume.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from olmix.config import KubernetesInfra
from olmix.config.infra import KubernetesVolume
from olmix.launch.group_plan import Group
from olmix.launch.mounts import seen_folder, unseen_inputs, unseen_runs
from olmix.text.files import digest

__all__ = [
    "FOLDER",
    "GROUP",
    "RUNS",
    "build_manifest",
    "find_obstacles",
    "job_name",
    "render_manifest",
    "runs_file",
]

GROUP = "olmix.dev/group"
"""Annotation with the group's id: labels hold 63 letters, and names may be longer."""
RUNS = "olmix.dev/runs"
"""Annotation with the names of the runs, by index."""
FOLDER = "olmix.dev/folder"
"""Annotation with the folder of the group, as pods see it."""
_LABEL = "olmix.dev/group-hash"
_NAME_LENGTH = 40
_INTERRUPTED, _NO_FOLDER = 75, 2
_MOST_ANNOTATED = 200_000
"""Bytes of names that fit into the annotations of a Job, which hold 256 KiB."""


def job_name(group_id: str, runs: Sequence[str], attempt: int) -> str:
    """Return the name of a Job: what a DNS label may be, and new for each attempt."""
    words = re.sub(r"[^a-z0-9]+", "-", group_id.lower()).strip("-")[:_NAME_LENGTH].strip("-")
    return f"olmix-{words or 'group'}-{digest([group_id, list(runs), attempt])}"


def runs_file(name: str) -> str:
    """Return where the names of a Job's runs are, below the group's folder; a name a line."""
    return f"kubernetes/{name}.runs"


def build_manifest(
    infra: KubernetesInfra, group: Group, folder: Path, runs: Sequence[str], attempt: int = 0
) -> dict[str, object]:
    """Return the manifest of a Job.

    Args:
        infra: what it runs on.
        group: the group.
        folder: the group's folder on this machine.
        runs: names of the runs, by index.
        attempt: tells the Jobs of the same runs apart.
    """
    name = job_name(group.group_id, runs, attempt)
    labels = {"app.kubernetes.io/managed-by": "olmix", _LABEL: digest(group.group_id)}
    own = dict(labels)
    if infra.queue is not None:
        own["kueue.x-k8s.io/queue-name"] = infra.queue
    if infra.priority_class is not None and infra.queue is not None:
        own["kueue.x-k8s.io/priority-class"] = infra.priority_class
    annotations = {GROUP: group.group_id, FOLDER: seen_folder(folder, infra.runs_dir)}
    annotations[RUNS] = json.dumps(list(runs))
    metadata: dict[str, object] = {"name": name, "labels": own, "annotations": annotations}
    if infra.namespace is not None:
        metadata["namespace"] = infra.namespace
    spec: dict[str, object] = {
        "completionMode": "Indexed",
        "completions": len(runs),
        "parallelism": min(infra.array_limit or len(runs), len(runs)),
        "backoffLimitPerIndex": infra.retries,
        "podFailurePolicy": _failure_policy(),
        "template": {
            "metadata": {"labels": labels},
            "spec": _pod(infra, group, seen_folder(folder, infra.runs_dir), name),
        },
    }
    if infra.queue is not None:
        spec["suspend"] = True  # Kueue starts it
    if infra.ttl_s is not None:
        spec["ttlSecondsAfterFinished"] = infra.ttl_s
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _failure_policy() -> dict[str, object]:
    """Return what becomes of a run whose pod ends.

    A pod that was disrupted (a node drained, a pod pre-empted) costs no retry; a run that failed
    for good is not tried again.
    """
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    codes = {"containerName": "run", "operator": "In"}
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": disrupted},
            {"action": "Ignore", "onExitCodes": {**codes, "values": [_INTERRUPTED]}},
            {"action": "FailIndex", "onExitCodes": {**codes, "values": [1, _NO_FOLDER]}},
        ]
    }


def _pod(infra: KubernetesInfra, group: Group, seen: str, name: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "run",
        "image": infra.image,
        "command": _command(infra, group, f"{seen}/{runs_file(name)}", seen),
        "env": list(_environment(infra, group.group_id)),
        "resources": _resources(infra),
        "volumeMounts": [_mount(volume) for volume in infra.volumes],
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": infra.grace_s,
        "containers": [container],
        "volumes": [_volume(volume) for volume in infra.volumes],
    }
    optional = {
        "nodeSelector": dict(infra.node_selector),
        "tolerations": [toleration.to_plain() for toleration in infra.tolerations],
        "imagePullSecrets": [{"name": secret} for secret in infra.image_pull_secrets],
        "serviceAccountName": infra.service_account,
        "priorityClassName": infra.priority_class if infra.queue is None else None,
    }
    pod |= {key: value for key, value in optional.items() if value}
    if infra.shared_memory is not None:
        memory = {"medium": "Memory", "sizeLimit": infra.shared_memory}
        pod["volumes"].append({"name": "shm", "emptyDir": memory})
        container["volumeMounts"].append({"name": "shm", "mountPath": "/dev/shm"})
    return pod


def _command(infra: KubernetesInfra, group: Group, listed: str, seen: str) -> list[str]:
    """Return the words of the container; the shell sees paths as arguments only.

    It becomes the run, so that the pod's SIGTERM reaches it.
    """
    words = [infra.python, "-m"]
    if infra.gpus > 1 and group.has_olmo_core:
        words += ["torch.distributed.run", "--standalone", f"--nproc-per-node={infra.gpus}", "-m"]
    words.append("olmix.train.run_one")
    before = [infra.setup.rstrip("\n")] if infra.setup is not None else []
    script = [
        "set -e",
        *before,
        "list=$1 folder=$2; shift 2",
        'run=$(sed -n "$((JOB_COMPLETION_INDEX + 1))p" "$list")',
        'exec "$@" "$folder/$run"',
    ]
    return ["/bin/sh", "-c", "\n".join(script), "sh", listed, seen, *words]


def _environment(infra: KubernetesInfra, group_id: str) -> Iterator[dict[str, object]]:
    yield {"name": "OLMIX_GROUP", "value": group_id}
    for name, value in infra.env.items():
        yield {"name": name, "value": str(value)}
    for name, secret in infra.env_secrets.items():
        key, _, field = secret.partition("/")
        reference = {"name": key, "key": field or name}
        yield {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _resources(infra: KubernetesInfra) -> dict[str, object]:
    asked: dict[str, str] = {"cpu": f"{infra.cpus:g}"}
    if infra.memory is not None:
        asked["memory"] = infra.memory
    if infra.gpus:
        asked[infra.gpu_resource] = str(infra.gpus)
    asked |= {name: str(value) for name, value in infra.resources.items()}
    # Extended resources such as GPUs need equal requests and limits; a core's share may be passed.
    return {"requests": asked, "limits": {k: v for k, v in asked.items() if k != "cpu"}}


def _mount(volume: KubernetesVolume) -> dict[str, object]:
    found: dict[str, Any] = {"name": volume.name, "mountPath": volume.path}
    if volume.sub_path is not None:
        found["subPath"] = volume.sub_path
    if not volume.writable:
        found["readOnly"] = True
    return found


def _volume(volume: KubernetesVolume) -> dict[str, object]:
    if volume.claim is not None:
        source: dict[str, Any] = {"persistentVolumeClaim": {"claimName": volume.claim}}
    elif volume.host_path is not None:
        source = {"hostPath": {"path": volume.host_path}}
    elif volume.nfs is not None:
        server, _, path = volume.nfs.partition(":")
        source = {"nfs": {"server": server, "path": path}}
    elif volume.secret is not None:
        source = {"secret": {"secretName": volume.secret}}
    else:
        source = {"configMap": {"name": volume.config_map}}
    return {"name": volume.name, **source}


def find_obstacles(infra: KubernetesInfra, folder: Path, runs: Sequence[str]) -> list[str]:
    """Return what keeps runs of a group from starting, each with what to do about it."""
    where = seen_folder(folder, infra.runs_dir)
    unseen = unseen_runs(where, infra.volumes, "pod", "infra.volumes")
    found = [] if unseen is None else [unseen]
    if len(json.dumps(list(runs))) > _MOST_ANNOTATED:
        found.append(
            f"{len(runs)} names do not fit into the annotations of one Job; launch fewer at a time"
        )
    return found


def render_manifest(infra: KubernetesInfra, group: Group, folder: Path, runs: Sequence[str]) -> str:
    """Return the manifest as JSON, which is YAML, below what would keep it from starting."""
    lines = [f"# would not start like this: {what}" for what in find_obstacles(infra, folder, runs)]
    unseen = unseen_inputs(group, infra.volumes, "pod")
    lines += [] if unseen is None else [f"# warning: {unseen}"]
    text = json.dumps(build_manifest(infra, group, folder, runs), indent=2)
    return "\n".join([*lines, "---", text]) + "\n"
