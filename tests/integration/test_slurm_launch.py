"""The same swarm on a real SLURM: submitted, watched, interrupted, resumed, collected."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time

import pytest
from private_slurm import private_slurm

from olmix.config import GenerationConfig, LaunchConfig
from olmix.generate import generate
from olmix.io.files import write_yaml
from olmix.io.runs import RunFolder
from olmix.launch import find_group, launch_local, load_group, read_group, submit_group

needed = ("slurmctld", "slurmd", "munged", "sbatch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, needed)) or os.geteuid() != 0,
        reason="needs root, and SLURM: apt-get install slurm-wlm munge",
    ),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Start one private SLURM for all tests of this file."""
    with private_slurm(tmp_path_factory.mktemp("slurm") / "state") as environment:
        before = dict(os.environ)
        os.environ.update(environment)
        yield environment
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def base(tiny):
    """Return a launch config for SLURM, as plain values."""
    infra = {"backend": "slurm", "partition": "main", "python": sys.executable, "time": "5"}
    return {**LaunchConfig.from_yaml(tiny.launch).to_plain(), "infra": infra}


def variants_of(tiny, base, name="variants"):
    config = LaunchConfig.from_dict(base)
    return generate(GenerationConfig.from_yaml(tiny.generation), tiny.folder / name, config)


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, subprocess.run(
            ["squeue", "--array"], capture_output=True, text=True, check=False
        ).stdout
        time.sleep(0.3)


def states(folder):
    return {report.name: report.status.state for report in read_group(folder)}


def metrics(folder):
    found = sorted(folder.glob("*/summary.json"))
    return {file.parent.name: json.loads(file.read_text())["metrics"] for file in found}


def test_a_swarm_on_slurm_gives_the_numbers_of_this_machine(slurm, tiny, base, tmp_path):
    made = variants_of(tiny, {**base, "infra": {**base["infra"], "array_limit": 3}})
    group = load_group(made.folder)
    submitted = submit_group(group, tmp_path / "there")
    assert [len(job.runs) for job in submitted.jobs] == [5]
    again = submit_group(group, tmp_path / "there")
    assert again.jobs == ()
    assert len(again.left) == 5
    folder = find_group(tmp_path / "there", None)
    wait_until(lambda: set(states(folder).values()) == {"finished"})
    here = {**base, "infra": {"backend": "local"}}
    local = launch_local(load_group(variants_of(tiny, here, "here").folder), tmp_path / "here")
    assert list(metrics(folder).values()) == list(metrics(local.folder).values())


def command(base, tmp_path, code, **infra):
    """Return a base config whose runs execute a piece of Python."""
    file = tmp_path / "trainer.py"
    file.write_text(code)
    training = {"trainer": "command", "command": f"{sys.executable} {file}", "max_tokens": 1000}
    return {**base, "training": training, "infra": {**base["infra"], **infra}}


REPORTS = """
import json, os, pathlib
with open(pathlib.Path(os.environ["OLMIX_RUN_DIR"]) / "metrics.jsonl", "a") as log:
    log.write(json.dumps({"step": 1, "loss": 2.5}) + "\\n")
"""


def test_groups_above_the_largest_array_are_split_and_failures_are_resumed(
    slurm, tiny, base, tmp_path
):
    code = REPORTS + (
        "folder = pathlib.Path(os.environ['OLMIX_RUN_DIR'])\n"
        "if folder.name.endswith('3') and not (folder / 'tried').exists():\n"
        "    (folder / 'tried').touch(); raise SystemExit('out of luck')\n"
    )
    made = variants_of(tiny, command(base, tmp_path, code, max_array_size=3))
    group = load_group(made.folder)
    submitted = submit_group(group, tmp_path / "runs")
    assert [len(job.runs) for job in submitted.jobs] == [2, 2, 1]
    folder = find_group(tmp_path / "runs", None)
    wait_until(lambda: set(states(folder).values()) <= {"finished", "failed"})
    (failed,) = [name for name, state in states(folder).items() if state == "failed"]
    assert "out of luck" in RunFolder(folder / failed).read_status().error
    words = [sys.executable, "-m", "olmix", "launch", "resume", "-o", str(tmp_path / "runs")]
    subprocess.run([*words, "--yes"], check=True, capture_output=True)
    wait_until(lambda: set(states(folder).values()) == {"finished"})
    jobs = json.loads((folder / "group.json").read_text())["jobs"]
    assert [len(job["runs"]) for job in jobs] == [2, 2, 1, 1]


SAVES = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(os.environ["OLMIX_RUN_DIR"])
if (folder / "saved").exists():
    sys.exit(0)
def save(*_):
    (folder / "saved").touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
(folder / "ready").touch()
time.sleep(100)
"""


def test_a_run_that_is_told_to_save_goes_back_into_the_queue(slurm, tiny, base, tmp_path):
    made = variants_of(tiny, command(base, tmp_path, SAVES))
    submitted = submit_group(load_group(made.files[0]), tmp_path / "runs")
    folder = submitted.folder
    (name,) = submitted.jobs[0].runs
    wait_until((folder / name / "ready").exists)
    task = f"{submitted.jobs[0].id}_0"
    subprocess.run(["scancel", "--batch", "--signal=TERM", task], check=True)
    wait_until((folder / name / "saved").exists)
    wait_until(lambda: states(folder)[name] == "pending")
    # SLURM holds a requeued job back for a while; nobody needs to wait for that here.
    wait_until(lambda: "PENDING" in squeue(submitted.jobs[0].id))
    subprocess.run(["scontrol", "update", f"JobId={task}", "StartTime=now"], check=True)
    wait_until(lambda: states(folder)[name] == "finished")


def squeue(job):
    words = ["squeue", "--array", "-h", "-o", "%T", "--jobs", job]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def test_cancelling_ends_the_jobs_and_a_dependency_that_cannot_be_met_ends_too(
    slurm, tiny, base, tmp_path
):
    code = "import time; time.sleep(100)"
    made = variants_of(tiny, command(base, tmp_path, code, array_limit=1))
    submitted = submit_group(load_group(made.folder), tmp_path / "runs")
    folder = submitted.folder
    wait_until(lambda: "running" in states(folder).values())
    words = [sys.executable, "-m", "olmix", "launch", "cancel", "-o", str(tmp_path / "runs")]
    subprocess.run([*words, "--yes"], check=True, capture_output=True)
    wait_until(lambda: set(states(folder).values()) == {"cancelled"})
    wait_until(lambda: squeue(submitted.jobs[0].id).strip() == "")
    # afterok of a cancelled job is never satisfied.
    after = command(base, tmp_path, code, dependency=f"afterok:{submitted.jobs[0].id}")
    late = submit_group(load_group(variants_of(tiny, after, "late").files[0]), tmp_path / "late")
    wait_until(lambda: squeue(late.jobs[0].id).strip() == "")


def test_a_login_node_is_reached_by_ssh(slurm, tiny, base, tmp_path, monkeypatch):
    shim = tmp_path / "bin" / "ssh"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/hosts\nshift\nexec sh -c "$*"\n')
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(shim.parent), prepend=os.pathsep)
    made = variants_of(tiny, command(base, tmp_path, REPORTS, ssh="login.cluster"))
    submitted = submit_group(load_group(made.files[0]), tmp_path / "runs")
    wait_until(lambda: set(states(submitted.folder).values()) == {"finished"})
    assert set((tmp_path / "hosts").read_text().split()) == {"login.cluster"}


def test_an_experiment_of_olmix_sweep_runs_as_an_array(slurm, tmp_path):
    rows = []
    for index in range(2):
        code = f"open('made_{index}', 'w').write('x')"
        words = json.dumps([sys.executable, "-c", code])
        rows.append(
            f"  - {{id: run_{index}, params: {{}}, config: c, hash: h{index}, command: {words}}}"
        )
    (tmp_path / "run_mapping.yaml").write_text(
        "experiment: study\nruns:\n" + "\n".join(rows) + "\n"
    )
    infra = {"backend": "slurm", "partition": "main", "python": sys.executable}
    write_yaml(tmp_path / "infra.yaml", {"infra": infra})
    submitted = submit_group(load_group(tmp_path, tmp_path / "infra.yaml"), tmp_path / "runs")
    wait_until(lambda: set(states(submitted.folder).values()) == {"finished"})
    assert (tmp_path / "made_0").exists()
    assert (tmp_path / "made_1").exists()
