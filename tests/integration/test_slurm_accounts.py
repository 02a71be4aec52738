"""What a real SLURM says of jobs that `squeue` has forgotten, with accounts and without."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from private_slurm import ACCOUNT_DAEMONS, DAEMONS, private_slurm, start_accounts
from reporting_swarm import build_swarm, squeue, states, wait_for

from olmix.cli.main import cli
from olmix.launch import read_group, read_jobs, submit_group
from olmix.launch.engines import engine_of
from olmix.launch.slurm import engine as slurm_module

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a private SLURM needs root"),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in (*DAEMONS, "sbatch", "scontrol")),
        reason="SLURM is not installed (slurm-wlm, munge)",
    ),
]
MIN_JOB_AGE_S = 2
"""The least that SLURM 22.05 keeps: `squeue` forgets a job within seconds of its end."""


@pytest.fixture(scope="module")
def daemons(tmp_path_factory):
    """Start a SLURM with accounts, whose queue forgets fast."""
    if any(shutil.which(name) is None for name in (*ACCOUNT_DAEMONS, "sacct", "sacctmgr")):
        pytest.skip("accounts of SLURM are not installed (slurmdbd, mariadb-server)")
    folder = tmp_path_factory.mktemp("accounts") / "private"
    with private_slurm(folder, min_job_age_s=MIN_JOB_AGE_S, accounts=True) as environment:
        yield environment


@pytest.fixture
def accounts(daemons, monkeypatch):
    """Let the commands of SLURM find the one with accounts."""
    monkeypatch.setenv("SLURM_CONF", daemons["SLURM_CONF"])
    return daemons


@pytest.fixture
def no_accounts(tmp_path, monkeypatch):
    """Start a SLURM whose queue forgets fast and that keeps no accounts."""
    with private_slurm(tmp_path / "slurm", min_job_age_s=MIN_JOB_AGE_S) as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        yield


@pytest.fixture
def swarm(tiny):
    """Return a function that makes a group of 5 runs on SLURM."""

    def build(**infra):
        return build_swarm(tiny, {"backend": "slurm", "python": sys.executable, **infra})

    return build


def sacct(job, *words):
    """Return the rows of a job as words."""
    command = ["sacct", "-X", "-P", "-n", "-j", job, "--format=JobID,State", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(line.split("|")) for line in done.stdout.splitlines()]


def scancel(*words):
    subprocess.run(["scancel", *words], check=True)


def wait_until_forgotten(job):
    """Wait until `squeue` knows no task of a job, and the accounts none that has not ended."""

    def forgotten():
        command = ["squeue", "-h", "--states=all", "-j", job]
        return not subprocess.run(command, capture_output=True, check=False).stdout.strip()

    wait_for(forgotten, "end of the job")


def wait_until_tasks_are_forgotten(job, *tasks):
    """Wait until `squeue` knows some tasks no more; the last of an array it keeps to the end."""
    words = ["--states=all", "-j", job, "-o", "%K"]
    wait_for(lambda: not set(tasks) & set(squeue(*words)), "forgotten tasks")


def wait_for_accounts(job):
    """Wait until the accounts, which lag behind, say that all tasks of a job have ended."""
    words = {"PENDING", "RUNNING", "REQUEUED", "COMPLETING"}
    wait_for(
        lambda: (rows := sacct(job)) and not words & {state for _, state in rows},
        "accounts of the job",
    )


def resume(folder):
    """Resume a group from the command line; returns its jobs, by run."""
    words = ["launch", "resume", "-o", str(folder.parent), "-g", folder.name, "--yes"]
    before = len(read_jobs(folder))
    resumed = CliRunner().invoke(cli, words)
    assert resumed.exit_code == 0, resumed.output
    return read_jobs(folder)[before:]


def told(folder):
    """Return state and note of every run as `olmix launch status --json` prints them."""
    words = ["launch", "status", "-o", str(folder.parent), "-g", folder.name, "--json"]
    shown = CliRunner().invoke(cli, words)
    assert shown.exit_code == 0, shown.output
    return {row["run"]: (row["state"], row["error"]) for row in json.loads(shown.stdout)}


def starts(folder):
    """Return how often each run was started."""
    return {
        file.parent.name: sum(not line.startswith("end") for line in file.read_text().splitlines())
        for file in folder.glob("*/starts")
    }


def test_tasks_that_the_queue_has_forgotten_have_their_true_states(accounts, swarm, tmp_path):
    """A finished, a failed, a cancelled and a time-limited task, and one that saved in time."""
    group = swarm(time="1", signal_s=0, requeue=False)
    good, bad, stopped, slow, other = (run.name for run in group.runs)
    (tmp_path / f"break-{bad}").touch()
    (tmp_path / f"hold-{stopped}").touch()
    (tmp_path / f"hold-{slow}").touch()
    folder = submit_group(group, tmp_path).folder
    (job,) = read_jobs(folder)
    wait_for((folder / stopped / "metrics.jsonl").exists, "run that holds")
    scancel(f"{job.id}_2")
    wait_until_forgotten(job.id)
    wait_for_accounts(job.id)
    found = engine_of(group.infra).states([job])
    assert {run: (state.state, state.note) for run, state in found.items()} == {
        good: ("finished", "COMPLETED"),
        bad: ("failed", "FAILED"),
        stopped: ("cancelled", "CANCELLED"),
        slow: ("failed", "TIMEOUT"),
        other: ("finished", "COMPLETED"),
    }
    assert dict(sacct(job.id))[f"{job.id}_2"] == "CANCELLED by 0"
    shown = told(folder)
    assert shown[stopped] == ("cancelled", "CANCELLED")
    assert shown[slow][0] == "failed"
    assert shown[slow][1].startswith("TIMEOUT")  # and what its log says of it
    assert shown[bad][0] == "failed"
    assert "exit status 3" in shown[bad][1]
    for file in tmp_path.glob("*-*-*"):
        if file.name.startswith(("hold", "break")):
            file.unlink()
    (again,) = resume(folder)
    assert again.runs == (bad, stopped, slow)
    wait_until_forgotten(again.id)
    assert set(states(folder).values()) == {"finished"}
    assert starts(folder) == {good: 1, bad: 2, stopped: 2, slow: 2, other: 1}
    assert resume(folder) == []


def test_tasks_that_were_cancelled_before_they_started_share_a_row(accounts, swarm, tmp_path):
    group = swarm(array_limit=1)
    names = [run.name for run in group.runs]
    (tmp_path / "hold").touch()
    folder = submit_group(group, tmp_path).folder
    (job,) = read_jobs(folder)
    wait_for(lambda: states(folder)[names[0]] == "running", "running run")
    # While tasks wait, the accounts name them together, and the queue one by one.
    wait_for(lambda: (f"{job.id}_[1-4%1]", "PENDING") in sacct(job.id), "row of what waits")
    assert list(states(folder).values()) == ["running", *["pending"] * 4]
    assert resume(folder) == []
    scancel(job.id)
    wait_until_forgotten(job.id)
    wait_for_accounts(job.id)
    rows = sacct(job.id)
    assert (f"{job.id}_[1-4%1]", "CANCELLED by 0") in rows, rows
    assert {state.state for state in engine_of(group.infra).states([job]).values()} == {"cancelled"}
    assert set(states(folder).values()) == {"cancelled"}
    (tmp_path / "hold").unlink()
    (again,) = resume(folder)
    assert list(again.runs) == names
    wait_until_forgotten(again.id)
    assert set(states(folder).values()) == {"finished"}


def test_of_a_requeued_task_the_last_row_counts(accounts, swarm, tmp_path):
    group = swarm()
    run = group.runs[1].name
    (tmp_path / f"hold-{run}").touch()
    folder = submit_group(group, tmp_path).folder
    (job,) = read_jobs(folder)
    wait_for((folder / run / "metrics.jsonl").exists, "run that holds")
    subprocess.run(["scontrol", "requeue", f"{job.id}_1"], check=True)
    task = ["-j", f"{job.id}_1", "-o", "%T"]
    wait_for(lambda: squeue(*task) == ["PENDING"], "requeued task")
    wait_for((folder / run / "state.json").exists, "saved state")
    wait_for(lambda: (f"{job.id}_1", "REQUEUED") in sacct(job.id, "-D"), "row of the first start")
    assert states(folder)[run] == "pending"
    assert resume(folder) == []
    (tmp_path / f"hold-{run}").unlink()
    time.sleep(2)
    subprocess.run(["scontrol", "update", f"JobId={job.id}_1", "StartTime=now"], check=True)
    wait_until_forgotten(job.id)
    wait_for_accounts(job.id)
    several = [state for task, state in sacct(job.id, "-D") if task == f"{job.id}_1"]
    assert sorted(several) == ["COMPLETED", "REQUEUED"]
    assert {found.note for found in engine_of(group.infra).states([job]).values()} == {"COMPLETED"}
    assert set(states(folder).values()) == {"finished"}
    assert starts(folder)[run] == 2


def test_what_olmix_cancels_stays_cancelled_in_the_accounts(accounts, swarm, tmp_path):
    group = swarm(array_limit=2)
    (tmp_path / "hold").touch()
    folder = submit_group(group, tmp_path).folder
    (job,) = read_jobs(folder)
    wait_for(lambda: "running" in states(folder).values(), "running run")
    words = ["launch", "cancel", "-o", str(tmp_path), "-g", folder.name, "--yes"]
    cancelled = CliRunner().invoke(cli, words)
    assert cancelled.exit_code == 0, cancelled.output
    wait_until_forgotten(job.id)
    wait_for_accounts(job.id)
    assert {state for _, state in sacct(job.id)} == {"CANCELLED by 0"}
    assert set(states(folder).values()) == {"cancelled"}
    # Once more, of jobs that only the accounts know.
    assert CliRunner().invoke(cli, words).exit_code == 0
    (tmp_path / "hold").unlink()
    (again,) = resume(folder)
    assert len(again.runs) == 5
    wait_until_forgotten(again.id)
    assert set(states(folder).values()) == {"finished"}


@pytest.mark.parametrize("hangs", [False, True], ids=["away", "hanging"])
def test_without_slurmdbd_queue_and_folders_say_what_there_is_to_say(
    accounts, swarm, tmp_path, monkeypatch, hangs
):
    monkeypatch.setattr(slurm_module, "_ACCOUNTS_TIMEOUT_S", 2)
    group = swarm()
    bad, held = group.runs[1].name, group.runs[2].name
    (tmp_path / f"break-{bad}").touch()
    (tmp_path / f"hold-{held}").touch()
    pid = int(Path(accounts["SLURM_CONF"]).with_name("slurmdbd.pid").read_text())
    os.kill(pid, signal.SIGSTOP if hangs else signal.SIGTERM)
    try:
        folder = submit_group(group, tmp_path).folder
        (job,) = read_jobs(folder)
        wait_for(lambda: states(folder)[bad] == "failed", "failed run")
        wait_for(lambda: "RUNNING" in squeue("-j", job.id, "-o", "%T"), "run that holds")
        wait_until_tasks_are_forgotten(job.id, "0", "1")
        last = group.runs[-1].name
        wait_for(lambda: states(folder)[last] == "finished", "end of the last run")
        begun = time.monotonic()
        shown = {run: state for run, (state, _) in told(folder).items()}
        assert time.monotonic() - begun < 10
        expected = {run.name: "finished" for run in group.runs}
        assert shown == {**expected, bad: "failed", held: "running"}
        (tmp_path / f"break-{bad}").unlink()
        (again,) = resume(folder)
        assert again.runs == (bad,)
        (tmp_path / f"hold-{held}").unlink()
        wait_until_forgotten(job.id)
        wait_until_forgotten(again.id)
        assert set(states(folder).values()) == {"finished"}
        assert set(starts(folder).values()) == {1, 2}
        assert starts(folder)[held] == 1
    finally:
        if hangs:
            os.kill(pid, signal.SIGCONT)
        else:
            start_accounts(accounts)


def test_a_queue_that_forgets_fast_and_no_accounts_leave_the_folders(no_accounts, swarm, tmp_path):
    group = swarm()
    good, bad, stopped, held, other = (run.name for run in group.runs)
    (tmp_path / f"break-{bad}").touch()
    (tmp_path / f"hold-{stopped}").touch()
    (tmp_path / f"hold-{held}").touch()
    folder = submit_group(group, tmp_path).folder
    (job,) = read_jobs(folder)
    for run in (stopped, held):
        wait_for((folder / run / "metrics.jsonl").exists, f"{run} that holds")
    scancel(f"{job.id}_2")
    wait_until_tasks_are_forgotten(job.id, "0", "1", "2")
    wait_for(lambda: states(folder)[other] == "finished", "end of the last run")
    assert states(folder) == {
        good: "finished",
        bad: "failed",
        # Nobody remembers that it was cancelled by hand; its folder says where it goes on.
        stopped: "pending",
        held: "running",
        other: "finished",
    }
    (tmp_path / f"break-{bad}").unlink()
    (tmp_path / f"hold-{stopped}").unlink()
    (again,) = resume(folder)
    assert again.runs == (bad, stopped)
    (tmp_path / f"hold-{held}").unlink()
    for one in (job, again):
        wait_until_forgotten(one.id)
    assert {report.status.state for report in read_group(folder)} == {"finished"}
    assert starts(folder) == {good: 1, bad: 2, stopped: 2, held: 1, other: 1}
    assert resume(folder) == []
