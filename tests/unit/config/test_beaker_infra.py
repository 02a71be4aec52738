"""The rules of `infra` with `backend: beaker`."""

from __future__ import annotations

import pytest

from olmix.config import BeakerInfra
from olmix.errors import ConfigError

ACCOUNT = {"budget": "ai2/oe-base", "workspace": "ai2/mixing", "cluster": "ai2/jupiter"}


def broken(**changes):
    with pytest.raises(ConfigError) as error:
        BeakerInfra.from_dict(ACCOUNT | changes, "launch.yaml")
    return str(error.value)


def test_budget_workspace_and_cluster_are_enough_to_preview():
    given = BeakerInfra.from_dict(ACCOUNT)
    assert given.backend == "beaker"
    assert given.preemptible
    assert not given.all_mounts


@pytest.mark.parametrize(
    "name",
    ["WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "db_password"],
)
def test_secrets_are_refused_in_env_and_not_repeated(name):
    message = broken(env={name: "s3cr3t"})
    assert f"launch.yaml: env.{name}: looks like a secret" in message
    assert f"env_secrets: {{{name}: ...}}" in message
    assert "s3cr3t" not in message


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "OMP_NUM_THREADS", "MONKEY", "KEYS"])
def test_variables_that_only_sound_like_secrets_are_fine(name):
    assert BeakerInfra.from_dict(ACCOUNT | {"env": {name: "1"}}).env == {name: "1"}


def test_all_broken_rules_are_reported_at_once():
    message = broken(
        image="me/olmix",
        docker_image="python:3.12",
        preemptible=False,
        min_runtime_s=60.0,
        env={"A B": "1", "OLMIX_GROUP": "x", "TWICE": "1"},
        env_secrets={"TWICE": "key"},
    )
    assert message.splitlines() == [
        "launch.yaml: docker_image: give image or docker_image, not both",
        "launch.yaml: min_runtime_s: has no effect on jobs that are not preemptible",
        "launch.yaml: env.A B: is not a valid name of an environment variable",
        "launch.yaml: env.OLMIX_GROUP: is set by Olmix (the group's id)",
        "launch.yaml: env.TWICE: is in env_secrets too; give it once",
    ]


def test_a_mount_has_one_source_and_a_place_of_its_own():
    assert "found none of them; give exactly one of weka, host_path" in broken(
        mounts=[{"path": "/data"}]
    )
    assert "found weka and secret; give exactly one" in broken(
        mounts=[{"path": "/data", "weka": "a", "secret": "b"}]
    )
    twice = [{"path": "/weka/oe-training-default/", "host_path": "/disk"}]
    assert "two mounts at /weka/oe-training-default" in broken(weka=True, mounts=twice)


def test_each_weka_bucket_is_mounted_under_its_name():
    given = BeakerInfra.from_dict(ACCOUNT | {"weka": True, "weka_buckets": ["one", "two"]})
    assert [(mount.path, mount.weka) for mount in given.all_mounts] == [
        ("/weka/one", "one"),
        ("/weka/two", "two"),
    ]
