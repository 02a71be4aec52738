"""What every engine promises, with each of them: a new engine is a file and a world here."""

import contextlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from engine_worlds import BeakerNode, LocalWorld, Node, World, environment, processes_of
from private_ray import RAY, private_ray
from private_slurm import DAEMONS, private_slurm
from reporting_swarm import build_swarm, ended, states, wait_for

from olmix.config import GenerationConfig, LaunchConfig
from olmix.generate import generate
from olmix.launch import cancel, launch_local, load_group, read_group, read_jobs, read_log
from olmix.launch.engines import engine_of
from olmix.records.group import Job

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def _local(folder, patch):
    yield LocalWorld()


@contextlib.contextmanager
def _slurm(folder, patch):
    if os.geteuid() != 0 or any(shutil.which(name) is None for name in (*DAEMONS, "sbatch")):
        pytest.skip("a private SLURM needs root, slurm-wlm and munge")
    world = World()
    world.is_real = True
    world.infra = {"backend": "slurm", "max_array_size": 1001}
    with private_slurm(folder / "slurm") as variables:
        patch.setenv("SLURM_CONF", variables["SLURM_CONF"])
        yield world


@contextlib.contextmanager
def _ray(folder, patch):
    pytest.importorskip("ray.job_submission", reason="Ray is not installed")
    if not RAY.is_file():
        pytest.skip("no `ray` command")
    world = World()
    world.is_real = True
    with private_ray(cpus=4) as cluster:
        world.infra = {"backend": "ray", "address": cluster.url}
        yield world


@contextlib.contextmanager
def _kubernetes(folder, patch):
    pytest.importorskip("kubernetes", reason="the client is not installed")
    from fake_kubernetes import serve_kubernetes

    world = World()
    disk = {"name": "disk", "path": "/", "host_path": "/"}
    world.infra = {"backend": "kubernetes", "image": "me/olmix", "volumes": [disk]}
    with serve_kubernetes(folder) as (service, kubeconfig):
        patch.setenv("KUBECONFIG", str(kubeconfig))
        node = Node(lambda: service.step(environment()))
        yield world
        node.stop()


@contextlib.contextmanager
def _beaker(folder, patch):
    pytest.importorskip("beaker", reason="beaker-py is not installed")
    from beaker import beaker_pb2 as pb

    from fake_beaker_service import WORKSPACE, serve, trust

    world = World()
    world.infra = {
        "backend": "beaker", "budget": "b", "workspace": WORKSPACE, "cluster": "c", "image": "i",
        "gpus": 0, "mounts": [{"path": "/", "host_path": "/"}],
    }  # fmt: skip
    with serve(folder) as running:
        trust(patch, running)
        beaker = BeakerNode(running.service, pb)
        node = Node(beaker.step)
        yield world
        node.stop()
        beaker.stop()


WORLDS = {
    "local": _local, "slurm": _slurm, "ray": _ray, "kubernetes": _kubernetes, "beaker": _beaker,
}  # fmt: skip


@pytest.fixture(scope="module", params=WORLDS)
def world(request, tmp_path_factory):
    """Return the scheduler of one engine, which lives as long as its tests."""
    with (
        pytest.MonkeyPatch.context() as patch,
        WORLDS[request.param](tmp_path_factory.mktemp(request.param), patch) as made,
    ):
        yield made


@pytest.fixture
def group(tiny, world):
    """Return a group of two runs."""
    whole = build_swarm(tiny, world.infra)
    return replace(whole, runs=whole.runs[:2])


def _all(folder, state):
    return set(states(folder).values()) == {state}


def _resume(world, group, root, folder):
    """Submit again until all is finished: a job that is ending counts as one in the queue."""

    def done():
        waits = {"pending", "running"} & set(states(folder).values())
        if not waits or not any(processes_of(folder / run.name) for run in group.runs):
            world.submit(group, root)
        return _all(folder, "finished")

    wait_for(done, "finished runs")


def test_runs_finish_and_are_not_started_twice(world, group, tmp_path):
    folder, jobs = world.submit(group, tmp_path)
    wait_for(lambda: ended(folder), "end")
    assert _all(folder, "finished")
    _, again = world.submit(group, tmp_path)
    assert again == ()
    starts = [file.read_text().count("end") for file in folder.glob("*/starts")]
    assert starts == [1, 1]
    assert [name for job in jobs for name in job.runs] in ([], [run.name for run in group.runs])


def test_a_run_that_fails_says_why_and_is_started_again_alone(world, group, tmp_path):
    bad, good = (run.name for run in group.runs)
    (tmp_path / f"break-{bad}").touch()
    folder, _ = world.submit(group, tmp_path)
    wait_for(lambda: ended(folder), "end")
    assert states(folder) == {bad: "failed", good: "finished"}
    report = next(report for report in read_group(folder) if report.name == bad)
    assert "exit status 3" in report.status.error
    assert "the loss is no number" in read_log(folder, bad)
    (tmp_path / f"break-{bad}").unlink()
    _resume(world, group, tmp_path, folder)
    assert (folder / good / "starts").read_text().count("end") == 1


def test_a_run_that_is_killed_comes_back(world, group, tmp_path):
    (tmp_path / "hold").touch()
    folder, _ = world.submit(group, tmp_path)
    run = folder / group.runs[0].name
    wait_for(lambda: (run / "starts").is_file() and states(folder)[run.name] == "running", "start")
    world.kill(run)
    (tmp_path / "hold").unlink()

    def settled():
        # Some schedulers start it again, others leave that to `resume`.
        found = states(folder)
        alive = [each for each in group.runs if processes_of(folder / each.name)]
        return _all(folder, "finished") or (found[run.name] in ("failed", "pending") and not alive)

    wait_for(settled, "end of the killed run")
    _resume(world, group, tmp_path, folder)
    assert (run / "starts").read_text().split()[::2].count("end") == 1


def test_cancelled_runs_end_and_can_be_resumed(world, group, tmp_path):
    (tmp_path / "hold").touch()
    folder, _ = world.submit(group, tmp_path)
    wait_for(lambda: len(list(folder.glob("*/starts"))) == 2, "start")
    cancel(folder)
    wait_for(lambda: _all(folder, "cancelled"), "cancelled runs")
    wait_for(lambda: not any(processes_of(folder / run.name) for run in group.runs), "no process")
    cancel(folder)  # cancelling what has ended is no error
    (tmp_path / "hold").unlink()

    _resume(world, group, tmp_path, folder)
    for run in group.runs:
        # They saved their state when they were told to end.
        assert (folder / run.name / "starts").read_text().split()[0:4:2] == ["0", "1"]


def test_jobs_of_others_are_left_alone(world, group, tmp_path, caplog):
    if isinstance(world, LocalWorld):
        pytest.skip("elsewhere: this machine has no jobs of others")
    (tmp_path / "hold").touch()
    runs = tuple(run.model_copy(update={"name": f"their-{run.name}"}) for run in group.runs)
    theirs = replace(group, group_id="theirs", runs=runs)
    other, (job, *_) = world.submit(theirs, tmp_path)
    folder, _ = world.submit(group, tmp_path)
    with (folder / "jobs.jsonl").open("a") as lines:
        names = [run.name for run in group.runs]
        lines.write(json.dumps({"id": job.id, "runs": names, "url": job.url}) + "\n")
    wait_for(lambda: _all(other, "running"), "running runs of theirs")
    cancel(folder)
    wait_for(lambda: _all(folder, "cancelled"), "cancelled runs")
    assert _all(other, "running")
    assert job.id in caplog.text
    assert "left alone" in caplog.text
    nobody = Job("404404", job.runs, job.url, group.group_id)
    engine = engine_of(group.infra)
    assert engine.states([nobody]) == {}
    engine.cancel([nobody])
    (tmp_path / "hold").unlink()
    wait_for(lambda: _all(other, "finished"), "finished runs of theirs")


@pytest.mark.parametrize("name", ["my 50% of %A", 'it\'s "q" # $HOME'])
def test_folders_of_any_name(world, group, tmp_path, name):
    folder, _ = world.submit(replace(group, runs=group.runs[:1]), tmp_path / name)
    wait_for(lambda: ended(folder), "end")
    assert _all(folder, "finished")
    assert Path(folder).is_dir()
    for job in read_jobs(folder):
        engine_of(group.infra).logs(job, group.runs[0].name)


@pytest.fixture(scope="module")
def numbers_of_this_machine():
    """Return an empty dict, for what the runs of `test_..._bit_for_bit` give on this machine."""
    return {}


def _proxies(tiny, infra):
    """Return 12 runs of the embedded trainer."""
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    plan = GenerationConfig.from_yaml(tiny.generation).to_plain()
    plan["swarm"]["variants"] = 12 - len(plan["swarm"]["references"])
    made = generate(
        GenerationConfig.from_dict(plan),
        tiny.folder / str(infra["backend"]),
        LaunchConfig.from_dict({**base, "infra": infra}),
    )
    return load_group(made.folder)


def _numbers(folder):
    """Return the metrics of every run, and all that it wrote down on the way."""
    return {
        file.parent.name.rpartition("-")[2]: (
            json.loads(file.read_text())["metrics"],
            (file.parent / "metrics.jsonl").read_bytes(),
        )
        for file in folder.glob("*/summary.json")
    }


def test_a_swarm_of_the_embedded_trainer_gives_the_numbers_of_this_machine_bit_for_bit(
    world, tiny, tmp_path, numbers_of_this_machine
):
    if not world.is_real:
        pytest.skip("elsewhere: SLURM and Ray start the same processes on real schedulers")
    if not numbers_of_this_machine:
        launched = launch_local(_proxies(tiny, {"backend": "local", "workers": 2}), tmp_path)
        numbers_of_this_machine |= _numbers(launched.folder)
    folder, _ = world.submit(_proxies(tiny, world.infra), tmp_path)
    wait_for(lambda: ended(folder), "end")
    found = _numbers(folder)
    assert len(found) == 12
    assert found == numbers_of_this_machine
