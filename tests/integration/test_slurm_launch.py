"""The SLURM engine with a real SLURM: a private one of one node, for the length of this module."""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner
from private_slurm import DAEMONS, private_slurm
from reporting_swarm import build_swarm, ended, squeue, states, wait_for

from olmix.cli.main import cli
from olmix.config import GenerationConfig, LaunchConfig
from olmix.errors import LaunchError
from olmix.generate import generate
from olmix.launch import (
    cancel,
    launch_local,
    load_group,
    read_group,
    read_jobs,
    read_log,
    submit_group,
)
from olmix.launch.engines import engine_of
from olmix.text.yaml import write_yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a private SLURM needs root"),
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in (*DAEMONS, "sbatch", "scontrol")),
        reason="SLURM is not installed (slurm-wlm, munge)",
    ),
]

MAX_ARRAY_SIZE = 3


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """Start SLURM; its commands find it by the environment."""
    with (
        private_slurm(tmp_path_factory.mktemp("slurm") / "private", MAX_ARRAY_SIZE) as environment,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        yield


@pytest.fixture
def swarm(tiny):
    """Return a function that makes a group of 5 runs, carried out where it is told."""

    def build(**infra):
        plain = {"backend": "slurm", "max_array_size": MAX_ARRAY_SIZE}
        return build_swarm(tiny, infra if infra.get("backend") == "local" else {**plain, **infra})

    return build


def summaries(folder):
    return {
        file.parent.name: json.loads(file.read_text())["metrics"]
        for file in sorted(folder.glob("*/summary.json"))
    }


def spans(folder):
    """Return (start, end) of every run's last attempt."""
    found = []
    for file in folder.glob("*/starts"):
        lines = file.read_text().splitlines()
        found.append((float(lines[-2].split()[1]), float(lines[-1].split()[1])))
    return found


def test_a_swarm_in_several_arrays_gives_what_this_machine_gives(swarm, tmp_path):
    here = launch_local(swarm(backend="local", workers=2), tmp_path / "here")
    there = submit_group(swarm(array_limit=1), tmp_path / "there")
    assert [len(job.runs) for job in there.jobs] == [3, 2]
    wait_for(lambda: ended(there.folder), "end")
    assert set(states(there.folder).values()) == {"finished"}
    assert summaries(there.folder) == summaries(here.folder)
    # One run at a time, over both arrays.
    times = sorted(spans(there.folder))
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))
    again = submit_group(swarm(array_limit=1), tmp_path / "there")
    assert (again.jobs, len(again.left)) == ((), 5)


def test_failed_runs_say_why_and_only_they_are_submitted_again(swarm, tmp_path):
    group = swarm()
    bad = group.runs[1].name
    (tmp_path / f"break-{bad}").touch()
    first = submit_group(group, tmp_path)
    wait_for(lambda: ended(first.folder), "end")
    report = next(report for report in read_group(first.folder) if report.name == bad)
    assert report.status.state == "failed"
    assert "exit status 3" in report.status.error
    assert "the loss is no number" in read_log(first.folder, bad)
    (tmp_path / f"break-{bad}").unlink()
    words = ["launch", "resume", "-o", str(tmp_path), "--yes"]
    resumed = CliRunner().invoke(cli, words)
    assert resumed.exit_code == 0, resumed.output
    wait_for(lambda: ended(first.folder), "end")
    assert set(states(first.folder).values()) == {"finished"}
    job = read_jobs(first.folder)[-1]
    assert job.runs == (bad,)
    assert bad in engine_of(group.infra).logs(job, bad)


def test_runs_in_the_queue_are_not_submitted_twice_and_cancelled_ones_do_not_come_back(
    swarm, tmp_path
):
    (tmp_path / "hold").touch()
    launched = submit_group(swarm(array_limit=2), tmp_path)
    wait_for(lambda: "running" in states(launched.folder).values(), "running run")
    assert submit_group(swarm(array_limit=2), tmp_path).jobs == ()
    group = swarm(array_limit=2)
    seed = group.runs[0].training.model_copy(update={"seed": 7})
    other = group.runs[0].model_copy(update={"training": seed})
    with pytest.raises(LaunchError, match=f"of queued runs has changed .*: {other.name}"):
        submit_group(replace(group, runs=(other, *group.runs[1:])), tmp_path)
    cancel(launched.folder)
    ids = ",".join(job.id for job in launched.jobs)
    wait_for(lambda: not squeue("-j", ids), "empty queue")
    assert set(states(launched.folder).values()) == {"cancelled"}
    (tmp_path / "hold").unlink()
    # Cancelling what has ended is no error, and a cancelled group can be taken up.
    cancel(launched.folder)
    submit_group(swarm(), tmp_path)
    wait_for(lambda: ended(launched.folder), "end")
    assert set(states(launched.folder).values()) == {"finished"}


def test_before_the_time_limit_a_run_saves_its_state_and_goes_on_later(swarm, tmp_path):
    (tmp_path / "hold").touch()
    group = swarm(time="1", signal_s=30)
    launched = submit_group(type(group)(group.group_id, group.runs[:1], group.infra), tmp_path)
    run = launched.folder / group.runs[0].name
    wait_for((run / "state.json").exists, "saved state")
    job = launched.jobs[0].id
    wait_for(lambda: "PENDING" in squeue("-j", job, "-o", "%T"), "requeued task")
    assert states(launched.folder)[run.name] == "pending"
    (tmp_path / "hold").unlink()
    # SLURM keeps a requeued job back for two minutes. This may be cut short, but not to the very
    # second in which its credential was revoked.
    time.sleep(2)
    subprocess.run(["scontrol", "update", f"JobId={job}_0", "StartTime=now"], check=True)
    wait_for(lambda: ended(launched.folder), "end")
    assert states(launched.folder)[run.name] == "finished"
    starts = [line.split()[0] for line in (run / "starts").read_text().splitlines()]
    assert starts == ["0", "1", "end"]


def test_a_task_whose_dependency_failed_is_cancelled_and_its_run_can_be_resumed(swarm, tmp_path):
    words = ["sbatch", "--parsable", "-o", "/dev/null", "--wrap", "exit 1"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    launched = submit_group(swarm(dependency=f"afterok:{done.stdout.strip()}"), tmp_path)
    wait_for(lambda: ended(launched.folder), "end")
    assert set(states(launched.folder).values()) == {"cancelled"}
    submit_group(swarm(), tmp_path)
    wait_for(lambda: ended(launched.folder), "end")
    assert set(states(launched.folder).values()) == {"finished"}


def test_a_group_can_be_submitted_through_ssh(swarm, tmp_path, monkeypatch):
    """`ssh` is replaced by a program that checks its arguments and runs the command here."""
    shim = tmp_path / "bin" / "ssh"
    shim.parent.mkdir()
    shim.write_text(
        '#!/bin/sh\n[ "$1 $2 $3" = "-o BatchMode=yes me@login" ] || exit 255\n'
        f'printf "%s\\n" "$4" >> {shlex.quote(str(tmp_path / "asked"))}\nexec sh -c "$4"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    # What is at work here is not what is at work there: its Python is named.
    launched = submit_group(swarm(ssh="me@login", python=sys.executable), tmp_path / "runs")
    wait_for(lambda: ended(launched.folder), "end")
    assert set(states(launched.folder).values()) == {"finished"}
    asked = (tmp_path / "asked").read_text()
    assert asked.count("sbatch --parsable") == 2
    with pytest.raises(LaunchError, match="failed"):
        submit_group(swarm(ssh="me@elsewhere"), tmp_path / "others")


def test_arrays_that_are_larger_than_the_cluster_allows_are_refused_before_anything_runs(
    swarm, tmp_path
):
    with pytest.raises(LaunchError, match="Set infra.max_array_size to 3"):
        submit_group(swarm(max_array_size=1001), tmp_path)
    assert not squeue()


def test_jobs_that_are_not_the_groups_survive_its_cancel(swarm, tmp_path, caplog):
    (tmp_path / "hold").touch()
    words = ["sbatch", "--parsable", "-o", "/dev/null", "-J", "olmix-other", "--wrap", "sleep 300"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    theirs = done.stdout.strip()
    launched = submit_group(swarm(array_limit=1), tmp_path)
    folder = launched.folder
    assert {job.cluster for job in launched.jobs} == {"private"}
    ours = [job.id for job in launched.jobs]
    names = list(launched.jobs[0].runs)
    with (folder / "jobs.jsonl").open("a") as lines:
        for line in ({"id": theirs}, {"id": "--user=root"}, {"id": ours[0], "cluster": "away"}):
            lines.write(json.dumps({**line, "runs": names}) + "\n")
    assert set(states(folder).values()) <= {"pending", "running"}
    cancel(folder)
    wait_for(lambda: not squeue("-j", ",".join(ours)), "empty queue")
    assert "olmix-other" in squeue("-j", theirs, "-o", "%j")
    assert f"job {theirs} is called olmix-other" in caplog.text
    assert "line 4 is not a job" in caplog.text
    assert f"job {ours[0]} is on the cluster away" in caplog.text
    subprocess.run(["scancel", theirs], check=True)


@pytest.mark.parametrize("name", ["my 50% of %A", 'it\'s "q" # $HOME'])
def test_folders_of_any_name_keep_their_logs(swarm, tmp_path, name):
    group = swarm(python="/nowhere/python")
    launched = submit_group(
        type(group)(group.group_id, group.runs[:1], group.infra), tmp_path / name
    )
    wait_for(lambda: ended(launched.folder), "end")
    (report,) = read_group(launched.folder)
    assert report.status.state == "failed"
    assert "/nowhere/python: No such file or directory" in report.status.error
    assert "/nowhere/python" in read_log(launched.folder, report.name)


def test_the_dry_run_and_the_preview_need_no_slurm(swarm, tmp_path, monkeypatch, tiny):
    group = swarm(array_limit=2)
    monkeypatch.setenv("PATH", "")
    words = ["-v", str(tiny.folder / "variants"), "-o", str(tmp_path / "runs")]
    shown = CliRunner().invoke(cli, ["launch", "preview", *words])
    assert shown.exit_code == 0, shown.output
    assert "#SBATCH --array=0-2%2" in shown.output
    dry = CliRunner().invoke(cli, ["launch", "run", *words, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    about = json.loads((tmp_path / "runs" / group.group_id / "group.json").read_text())
    assert about["infra"]["backend"] == "slurm"
    assert not (tmp_path / "runs" / group.group_id / "slurm").exists()


def test_an_experiment_of_olmix_sweep_runs_as_an_array(tmp_path):
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
    infra = {"backend": "slurm", "partition": "main"}
    write_yaml(tmp_path / "infra.yaml", {"infra": infra})
    submitted = submit_group(load_group(tmp_path, tmp_path / "infra.yaml"), tmp_path / "runs")
    wait_for(lambda: ended(submitted.folder), "end")
    assert set(states(submitted.folder).values()) == {"finished"}
    assert (tmp_path / "made_0").exists()
    assert (tmp_path / "made_1").exists()


def test_the_embedded_trainer_gives_the_numbers_of_this_machine(tiny, tmp_path):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()

    def load(**infra):
        config = LaunchConfig.from_dict({**base, "infra": infra})
        plan = GenerationConfig.from_yaml(tiny.generation)
        made = generate(plan, tiny.folder / infra["backend"], config)
        # Two of them are enough: each loads its libraries anew.
        return load_group(made.files[:2])

    here = launch_local(load(backend="local"), tmp_path / "here")
    asked = load(backend="slurm", max_array_size=MAX_ARRAY_SIZE)
    there = submit_group(asked, tmp_path / "there")
    wait_for(lambda: ended(there.folder), "end")
    assert len(summaries(here.folder)) == 2
    assert list(summaries(there.folder).values()) == list(summaries(here.folder).values())
