"""The Ray engine with a real Ray: a private cluster, for the length of this module."""

import json
import sys
from dataclasses import replace

import pytest

pytest.importorskip("ray.job_submission", reason="Ray is not installed")

from private_ray import RAY, private_ray
from reporting_swarm import build_swarm, ended, states, wait_for

from olmix.config import RayInfra
from olmix.errors import LaunchError
from olmix.launch import cancel, launch_local, read_group, submit_group
from olmix.launch.ray.engine import RayEngine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not RAY.is_file(), reason="no `ray` command")]


@pytest.fixture(scope="module")
def cluster():
    with private_ray(cpus=2) as running:
        yield running


@pytest.fixture
def swarm(tiny, cluster):
    """Return a function that makes a group of 5 runs, carried out where it is told."""

    def build(**infra):
        plain = {"backend": "ray", "address": cluster.url, "python": sys.executable}
        return build_swarm(tiny, infra if infra.get("backend") == "local" else {**plain, **infra})

    return build


def _metrics(folder):
    files = sorted(folder.glob("*/summary.json"))
    return {file.parent.name: json.loads(file.read_text())["metrics"] for file in files}


def test_a_swarm_gives_what_this_machine_gives(swarm, tmp_path):
    here = launch_local(swarm(backend="local"), tmp_path / "here")
    there = submit_group(swarm(array_limit=1), tmp_path / "there")
    wait_for(lambda: ended(there.folder), "end")
    assert set(states(there.folder).values()) == {"finished"}
    assert _metrics(there.folder) == _metrics(here.folder)
    again = submit_group(swarm(array_limit=1), tmp_path / "there")
    assert (again.jobs, len(again.left)) == ((), 5)


@pytest.mark.parametrize("spare", ["olmix.train.run_one", ""])
def test_a_run_whose_node_is_lost_starts_again_on_another(swarm, tmp_path, cluster, spare):
    (tmp_path / "hold").touch()
    zone = f"zone-{len(spare)}"
    node = cluster.add_node(1, zone=zone)
    group = swarm(labels={"zone": zone})
    one = replace(group, runs=group.runs[:1])
    launched = submit_group(one, tmp_path)
    run = launched.folder / one.runs[0].name
    wait_for((run / "starts").exists, "start")
    wait_for(lambda: states(launched.folder)[run.name] == "running", "running run")
    cluster.kill(node, spare=spare)
    if spare:
        # Its worker is gone, so that it saves its state and ends.
        wait_for((run / "state.json").exists, "saved state")
    wait_for(lambda: states(launched.folder)[run.name] == "pending", "pending run")
    (tmp_path / "hold").unlink()
    cluster.add_node(1, zone=zone)
    wait_for(lambda: ended(launched.folder), "end")
    assert states(launched.folder)[run.name] == "finished"
    starts = [line.split()[0] for line in (run / "starts").read_text().splitlines()]
    assert starts == ["0", "1" if spare else "0", "end"]


def test_what_no_node_has_is_said_while_a_run_waits(swarm, tmp_path):
    group = swarm(gpus=2, labels={"zone": "nowhere"})
    launched = submit_group(group, tmp_path)
    wait_for(
        lambda: "waits for a node with CPU 1, GPU 2, zone nowhere" in str(_errors(launched.folder)),
        "reason",
    )
    cancel(launched.folder)
    assert set(states(launched.folder).values()) == {"cancelled"}
    wait_for(lambda: not _live(launched, group), "end of the job")


def _errors(folder):
    return [report.status.error for report in read_group(folder)]


def _live(launched, group):
    found = RayEngine(group.infra).states(list(launched.jobs))
    return [name for name, state in found.items() if state.state in ("pending", "running")]


def test_workers_without_olmix_or_without_the_shared_disk_say_so(swarm, tmp_path):
    launched = submit_group(swarm(python="/nowhere/python"), tmp_path / "a")
    wait_for(lambda: ended(launched.folder), "end")
    assert all("/nowhere/python on " in error for error in _errors(launched.folder))
    assert all("has no olmix" in error for error in _errors(launched.folder))
    launched = submit_group(swarm(runs_dir="/nowhere"), tmp_path / "b")
    wait_for(lambda: ended(launched.folder), "end")
    assert all("No such file" in error for error in _errors(launched.folder))


def test_a_cluster_that_is_not_there_is_an_error_and_leaves_no_folders(swarm, tmp_path):
    with pytest.raises(LaunchError, match=r"Ray: http://127.0.0.1:9: Failed to connect"):
        submit_group(swarm(address="http://127.0.0.1:9"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_address_of_the_cluster_itself_finds_the_job_server(swarm, tmp_path, cluster):
    group = swarm(address=cluster.address)
    launched = submit_group(replace(group, runs=group.runs[:1]), tmp_path)
    wait_for(lambda: ended(launched.folder), "end")
    assert list(states(launched.folder).values()) == ["finished"]
    job = launched.jobs[0]
    assert f"{group.runs[0].name} on " in RayEngine(group.infra).logs(job, group.runs[0].name)


def test_the_preview_needs_no_cluster(swarm, tmp_path):
    group = swarm(cpus=2, labels={"zone": "spot"})
    shown = RayEngine(group.infra).render(group, tmp_path, ["a"])
    request, _, entrypoint = shown.partition("\n$ ")
    assert json.loads(request)["options"]["label_selector"] == {"zone": "spot"}
    assert entrypoint.startswith("python ")


@pytest.mark.parametrize("bad", ["local:", "somewhere", "ftp://x"])
def test_addresses_that_are_none_are_refused(bad):
    with pytest.raises(Exception, match="address"):
        RayInfra.from_dict({"backend": "ray", "address": bad})
