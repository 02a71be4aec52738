"""Manifests of Jobs: what they say, and that the published schemas allow it."""

import json
from pathlib import Path

import pytest

from olmix.config import KubernetesInfra, LaunchConfig
from olmix.errors import ConfigError, LaunchError
from olmix.launch.group_plan import Group
from olmix.launch.kubernetes.engine import KubernetesEngine
from olmix.launch.kubernetes.manifest import build_manifest, job_name
from olmix.text.yaml import parse_yaml

RUNS = ("swarm-a1b2c3d4-0000", "swarm-a1b2c3d4-0001")
FOLDER = Path("/net/runs/a1b2c3d4")
DISK = {"name": "runs", "path": "/net/runs", "claim": "runs"}


def _infra(**changes):
    plain = {"backend": "kubernetes", "image": "me/olmix:1", "volumes": [DISK], **changes}
    return KubernetesInfra.from_dict(plain)


@pytest.fixture
def group(tiny):
    config = LaunchConfig.from_yaml(tiny.launch)
    return Group("a1b2c3d4", (config,), config.infra)


ALL = {
    "namespace": "lab",
    "cpus": 4,
    "gpus": 2,
    "memory": "64Gi",
    "shared_memory": "8Gi",
    "resources": {"rdma/hca": 1},
    "node_selector": {"gpu": "h100"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "volumes": [
        DISK,
        {"name": "home", "path": "/home/me", "nfs": "server:/export/me", "sub_path": "x"},
        {"name": "keys", "path": "/keys", "secret": "keys"},
        {"name": "host", "path": "/host", "host_path": "/mnt"},
        {"name": "map", "path": "/map", "config_map": "settings"},
    ],
    "queue": "research",
    "priority_class": "low",
    "array_limit": 1,
    "env": {"OMP_NUM_THREADS": 4},
    "env_secrets": {"WANDB_API_KEY": "wandb", "HF_TOKEN": "hub/token"},
    "setup": "source /net/venv/bin/activate",
    "service_account": "trainer",
    "image_pull_secrets": ["registry"],
    "ttl_s": 86400,
}


@pytest.mark.parametrize("version", ["1.29", "1.31", "1.33", "1.37"])
@pytest.mark.parametrize("changes", [{}, ALL])
def test_the_published_schemas_allow_the_manifest(group, version, changes):
    validate = pytest.importorskip("kubernetes_validate")
    manifest = build_manifest(_infra(**changes), group, FOLDER, RUNS)
    validate.validate(manifest, version, strict=True)


def test_one_job_has_a_pod_for_each_run(group):
    spec = build_manifest(_infra(array_limit=1), group, FOLDER, RUNS)["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 1)
    assert spec["backoffLimitPerIndex"] == 3
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "Ignore"


def test_kueue_starts_what_goes_into_a_queue(group):
    manifest = build_manifest(_infra(**ALL), group, FOLDER, RUNS)
    labels = manifest["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "research"
    assert labels["kueue.x-k8s.io/priority-class"] == "low"
    assert manifest["spec"]["suspend"] is True
    assert "priorityClassName" not in manifest["spec"]["template"]["spec"]


def test_secrets_are_named_and_never_written(group):
    manifest = build_manifest(_infra(**ALL), group, FOLDER, RUNS)
    env = manifest["spec"]["template"]["spec"]["containers"][0]["env"]
    named = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in env if "valueFrom" in e}
    assert named == {
        "WANDB_API_KEY": {"name": "wandb", "key": "WANDB_API_KEY"},
        "HF_TOKEN": {"name": "hub", "key": "token"},
    }
    with pytest.raises(ConfigError, match="looks like a secret .* store it as a Secret"):
        _infra(env={"WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567"})


@pytest.mark.parametrize("name", ["A_b.c", "x" * 200, "9", "---a---"])
def test_names_of_jobs_are_dns_labels_whatever_the_group_is_called(name):
    made = job_name(name, RUNS, 0)
    assert made == made.lower()
    assert len(made) <= 63
    assert made.replace("-", "").isalnum()
    assert made != job_name(name, RUNS, 1)


def test_run_folders_that_no_pod_sees_are_refused_and_previewed(group):
    infra = _infra(volumes=[])
    engine = KubernetesEngine(infra)
    with pytest.raises(
        LaunchError, match="on no shared disk that a pod can write to .* infra.volumes"
    ):
        engine.check(group, FOLDER, RUNS)
    assert "# would not start like this" in engine.render(group, FOLDER, RUNS)
    seen = _infra(volumes=[{**DISK, "path": "/disk"}], runs_dir="/disk/runs")
    KubernetesEngine(seen).check(group, FOLDER, RUNS)


def test_the_preview_is_the_manifest_that_is_sent(group):
    shown = KubernetesEngine(_infra()).render(group, FOLDER, RUNS)
    assert parse_yaml(shown, "preview") == build_manifest(_infra(), group, FOLDER, RUNS)
    assert json.loads(shown.partition("---\n")[2])["kind"] == "Job"


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ({"name": "a", "path": "/a"}, "found none of them; give exactly one of claim"),
        ({"name": "a", "path": "/a", "claim": "x", "nfs": "s:/x"}, "found claim and nfs"),
        ({"name": "A", "path": "/a", "claim": "x"}, "name"),
    ],
)
def test_volumes_are_of_one_kind(volume, why):
    with pytest.raises(ConfigError, match=why):
        _infra(volumes=[volume])
