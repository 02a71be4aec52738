"""What a run's Beaker experiment is made of; no service, no account, no beaker-py needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from olmix.config import BeakerInfra, LaunchConfig
from olmix.errors import LaunchError, MissingPackageError
from olmix.launch.beaker.engine import BeakerEngine
from olmix.launch.beaker.spec import (
    build_spec,
    describe,
    find_obstacles,
    render_specs,
    run_described,
)
from olmix.launch.group_plan import Group

FOLDER = Path("/weka/oe-training-default/me/runs/a1b2c3d4")
RUN = "swarm-a1b2c3d4-0000"
RUN_DIR = f"{FOLDER}/{RUN}"
EXAMPLES = Path(__file__).parents[4] / "configs/experiments"


def group_of(example):
    config = LaunchConfig.from_yaml(EXAMPLES / example)
    return Group("a1b2c3d4", (config,), config.infra)


OLMO_CORE = group_of("data_proportions/mix_baseline.yaml")
GROUP = group_of("proxy_local.yaml")


def infra(**changes):
    account = {"budget": "ai2/oe-base", "workspace": "ai2/mixing", "cluster": "ai2/jupiter"}
    return BeakerInfra.from_dict(account | changes)


def task(**changes):
    (task,) = build_spec(infra(**changes), GROUP, FOLDER, RUN)["tasks"]
    return task


def test_the_whole_spec_of_a_run():
    given = infra(
        image="me/olmix",
        priority="high",
        gpus=2,
        weka=True,
        env={"OMP_NUM_THREADS": 4},
        env_secrets={"WANDB_API_KEY": "my-wandb-key"},
        retries=3,
    )
    assert build_spec(given, GROUP, FOLDER, RUN) == {
        "version": "v2",
        "description": f"Olmix run {RUN} of group a1b2c3d4 in {RUN_DIR}",
        "budget": "ai2/oe-base",
        "retry": {"allowedTaskRetries": 3},
        "tasks": [
            {
                "name": RUN,
                "image": {"beaker": "me/olmix"},
                "command": ["python", "-m", "olmix.train.run_one", RUN_DIR],
                "envVars": [
                    {"name": "OLMIX_GROUP", "value": "a1b2c3d4"},
                    {"name": "OMP_NUM_THREADS", "value": "4"},
                    {"name": "WANDB_API_KEY", "secret": "my-wandb-key"},
                ],
                "datasets": [
                    {
                        "mountPath": "/weka/oe-training-default",
                        "source": {"weka": "oe-training-default"},
                    }
                ],
                "resources": {"gpuCount": 2, "sharedMemory": "10GiB"},
                "context": {"priority": "high", "autoResume": True},
                "constraints": {"cluster": ["ai2/jupiter"]},
            }
        ],
    }


def test_a_run_on_several_nodes_starts_fails_and_is_preempted_as_one():
    several = task(nodes=4)
    one = task(nodes=1)
    assert {key: several[key] for key in several.keys() - one.keys()} == {
        "replicas": 4,
        "leaderSelection": True,
        "hostNetworking": True,
        "propagateFailure": True,
        "propagatePreemption": True,
        "synchronizedStartTimeout": 5400 * 10**9,
    }


@pytest.mark.parametrize(
    ("changes", "context"),
    [
        ({}, {"priority": "normal", "autoResume": True}),
        ({"min_runtime_s": 90.5}, {"autoResume": True, "minRuntime": 90_500_000_000}),
        ({"preemptible": False}, {"preemptible": False}),
        ({"priority": "urgent"}, {"priority": "urgent"}),
    ],
)
def test_preemption_is_said_in_the_new_words_or_the_old_ones_but_never_both(changes, context):
    found = task(**changes)["context"]
    assert context.items() <= found.items()
    assert not {"autoResume", "preemptible"} <= found.keys()


def test_resources_limits_and_image_are_passed_on():
    asked = {"cpu_count": 3.5, "memory": "64GiB", "gpus": 0, "shared_memory": "1GiB"}
    found = task(**asked, docker_image="python:3.12", timeout_s=3600.0, python="/weka/py")
    assert found["resources"] == {
        "gpuCount": 0,
        "cpuCount": 3.5,
        "memory": "64GiB",
        "sharedMemory": "1GiB",
    }
    assert found["image"] == {"docker": "python:3.12"}
    assert found["timeout"] == 3600 * 10**9
    assert found["command"][0] == "/weka/py"


def test_switches_become_environment_variables():
    variables = task(shared_filesystem=True, wandb_debug=True)["envVars"]
    assert {"name": "OLMO_SHARED_FS", "value": "1"} in variables
    assert {"name": "WANDB_DEBUG", "value": "true"} in variables


def test_mounts_name_one_source_each():
    mounts = [
        {"path": "/net/nfs", "host_path": "/net/nfs"},
        {"path": "/data", "dataset": "01DS", "sub_path": "tokens"},
        {"path": "/key", "secret": "my-key"},
        {"path": "/scratch", "weka": "scratch"},
    ]
    assert task(mounts=mounts)["datasets"] == [
        {"mountPath": "/net/nfs", "source": {"hostPath": "/net/nfs"}},
        {"mountPath": "/data", "source": {"beaker": "01DS"}, "subPath": "tokens"},
        {"mountPath": "/key", "source": {"secret": "my-key"}},
        {"mountPath": "/scratch", "source": {"weka": "scratch"}},
    ]


def run_command(spec, folder, script='printf "%s|" "$STEP" "$@"', variables=None):
    """Run the command of a spec with a stand-in for Python that shows what it was given."""
    (task,) = spec["tasks"]
    stand_in = folder / "python"
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    words = [str(stand_in) if word == "python" else word for word in task["command"]]
    return subprocess.run(words, check=False, capture_output=True, text=True, env=variables or {})


def test_setup_runs_before_the_run_and_cannot_touch_its_path(tmp_path):
    folder = Path('/weka/it\'s $HOME; `x` "y"\n..')
    spec = build_spec(infra(setup="STEP=done\nexport STEP\n"), GROUP, folder, RUN)
    assert run_command(spec, tmp_path).stdout == f"done|-m|olmix.train.run_one|{folder / RUN}|"


def test_a_run_does_not_start_after_a_setup_that_failed(tmp_path):
    spec = build_spec(infra(setup="echo before\nfalse\necho after"), GROUP, FOLDER, RUN)
    done = run_command(spec, tmp_path)
    assert done.returncode == 1
    assert done.stdout == "before\n"


def command(group, **changes):
    (task,) = build_spec(infra(**changes), group, FOLDER, RUN)["tasks"]
    return task["command"]


def test_only_olmo_core_takes_several_gpus_as_one_job():
    alone = ["python", "-m", "olmix.train.run_one", RUN_DIR]
    assert command(OLMO_CORE, gpus=1) == alone
    assert command(GROUP, gpus=8) == alone
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=8", "--nnodes=1"]
    assert command(OLMO_CORE, gpus=8) == [alone[0], *torchrun, *alone[1:]]


def test_nodes_meet_at_their_leader(tmp_path):
    spec = build_spec(infra(nodes=2, gpus=8), OLMO_CORE, FOLDER, RUN)
    leader = {"BEAKER_LEADER_REPLICA_HOSTNAME": "node 7"}
    done = run_command(spec, tmp_path, 'printf "%s %s" "$PET_RDZV_ENDPOINT" "$*"', leader)
    assert done.stdout == (
        "node 7:29500 -m torch.distributed.run --nproc-per-node=8 --nnodes=2 --rdzv-backend=c10d "
        f"--rdzv-id={RUN} -m olmix.train.run_one {RUN_DIR}"
    )


def test_only_olmo_core_is_spread_over_nodes():
    given = infra(nodes=2, image="me/olmix", weka=True)
    assert not find_obstacles(given, OLMO_CORE, FOLDER)
    (obstacle,) = find_obstacles(given, GROUP, FOLDER)
    assert "infra.nodes = 2: only runs with training.trainer = olmo_core" in obstacle


def test_runs_are_found_again_by_their_description():
    written = describe(RUN, "a1b2c3d4", RUN_DIR)
    assert run_described(written, "a1b2c3d4") == RUN
    assert run_described(written, "a1b2") is None
    assert run_described(f"see {written}", "a1b2c3d4") is None
    assert run_described("", "a1b2c3d4") is None


def test_run_folders_may_be_mounted_elsewhere_in_a_job():
    given = infra(runs_dir="/weka/scratch/runs")
    spec = build_spec(given, GROUP, Path("/home/me/weka/runs/a1b2c3d4"), RUN)
    assert spec["tasks"][0]["command"][-1] == f"/weka/scratch/runs/a1b2c3d4/{RUN}"


def test_run_folders_must_be_on_a_disk_that_jobs_can_write():
    image = {"image": "me/olmix"}
    data = [{"path": "/weka/oe-training-default", "dataset": "01DS"}]
    assert not find_obstacles(infra(**image, weka=True), GROUP, FOLDER)
    for unseen in (infra(**image), infra(**image, mounts=data)):
        (obstacle,) = find_obstacles(unseen, GROUP, FOLDER)
        assert "mounted: nothing" in obstacle
    beside = Path("/weka/oe-training-default-2/runs/a1b2c3d4")
    (obstacle,) = find_obstacles(infra(**image, weka=True), GROUP, beside)
    assert str(beside) in obstacle


def test_preview_says_what_would_keep_a_run_from_starting():
    text = render_specs(infra(), GROUP, FOLDER, [RUN])
    assert text.startswith("# would not start like this: infra.image is missing")


def test_preview_is_yaml_with_a_document_for_each_run():
    import yaml

    runs = [f"run-{index}" for index in range(3)]
    text = render_specs(infra(weka=True, image="me/olmix"), GROUP, FOLDER, runs)
    documents = list(yaml.safe_load_all(text))
    assert [entry["tasks"][0]["name"] for entry in documents] == runs


def test_beaker_py_knows_every_key_of_the_spec():
    beaker = pytest.importorskip("beaker", reason="beaker-py is not installed")
    changes = {"nodes": 2, "retries": 1, "timeout_s": 60.0, "min_runtime_s": 5.0, "weka": True}
    spec = build_spec(infra(**changes, image="me/olmix"), GROUP, FOLDER, RUN)
    assert beaker.BeakerExperimentSpec.from_json(spec).to_json() == spec


def test_preview_needs_no_beaker_py_and_running_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "beaker", None)
    engine = BeakerEngine(infra(weka=True, image="me/olmix"))
    document = engine.render(GROUP, FOLDER, [RUN]).partition("---")[2].partition("\n")[2]
    assert json.loads(document)["budget"] == "ai2/oe-base"
    with pytest.raises(MissingPackageError, match=r"pip install '\.\[beaker\]'"):
        list(engine.submit(GROUP, FOLDER, [RUN]))


def test_runs_that_cannot_start_are_refused_before_anything_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "beaker", None)
    with pytest.raises(LaunchError, match=r"infra\.image is missing"):
        list(BeakerEngine(infra()).submit(GROUP, FOLDER, [RUN]))


def test_the_documented_section_can_be_launched():
    import yaml

    page = Path(__file__).parents[4] / "docs" / "launch_beaker.md"
    (block, *_) = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
    given = BeakerInfra.from_dict(yaml.safe_load(block)["infra"])
    assert not find_obstacles(given, GROUP, FOLDER)
