"""The Beaker engine through the real beaker-py, against a service on loopback."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("beaker", reason="beaker-py is not installed")

from beaker import beaker_pb2 as pb

from fake_beaker_service import TOKEN, WORKSPACE, serve, trust, write_config
from olmix.cli.main import main
from olmix.config import BeakerInfra, GenerationConfig, LaunchConfig
from olmix.errors import LaunchError
from olmix.generate import generate
from olmix.launch.beaker.engine import BeakerEngine
from olmix.launch.engine import JobState
from olmix.launch.group_plan import Group
from olmix.records.group import Job

RUNS = tuple(f"swarm-a1b2c3d4-{index:04}" for index in range(5))


def group(group_id):
    """Return a group of OLMo-core runs, which may be spread over nodes."""
    examples = Path(__file__).parents[2] / "configs/experiments"
    config = LaunchConfig.from_yaml(examples / "data_proportions/mix_baseline.yaml")
    return Group(group_id, (config,), config.infra)


GROUP = group("a1b2c3d4")


@pytest.fixture
def running(tmp_path, monkeypatch):
    with serve(tmp_path) as running:
        trust(monkeypatch, running)
        yield running


@pytest.fixture
def beaker(running):
    return running.service


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / GROUP.group_id


def engine(folder, **changes):
    disk = {"path": str(folder.parent), "host_path": "/net/disk"}
    values = {
        "budget": "ai2/oe-base",
        "workspace": WORKSPACE,
        "cluster": "ai2/jupiter",
        "image": "tester/olmix",
        "mounts": [disk],
    }
    return BeakerEngine(BeakerInfra.from_dict(values | changes))


def submit(folder, runs=RUNS, of=GROUP, **changes):
    return list(engine(folder, **changes).submit(of, folder, runs))


def state(beaker_engine, jobs, run):
    return beaker_engine.states(jobs)[run]


def test_each_run_becomes_an_experiment_named_for_it(beaker, folder):
    jobs = submit(folder)
    assert [job.runs for job in jobs] == [(run,) for run in RUNS]
    assert sorted(sent.name for sent in beaker.sent) == list(RUNS)
    for job in jobs:
        assert beaker.workloads[job.id].experiment.name == job.runs[0]
        assert job.url.endswith(f"/ex/{job.id}")
    assert {sent.path for sent in beaker.sent} == {"/api/v3/workspaces/01WS/experiments"}
    assert {sent.authorization for sent in beaker.sent} == {f"Bearer {TOKEN}"}


def test_what_is_sent_is_what_preview_shows(beaker, folder):
    changes = {
        "env": {"OMP_NUM_THREADS": 4},
        "env_secrets": {"WANDB_API_KEY": "wandb-key"},
        "weka": True,
        "retries": 2,
        "nodes": 2,
        "setup": "source /weka/venv/bin/activate",
    }
    shown = engine(folder, **changes).render(GROUP, folder, RUNS)
    submit(folder, **changes)
    documents = [json.loads(text) for text in re.split(r"^--- #.*\n", shown, flags=re.M)[1:]]
    sent = {entry.name: entry.spec for entry in beaker.sent}
    assert documents == [sent[run] for run in RUNS]
    assert TOKEN not in shown


def test_experiments_are_put_into_a_beaker_group(beaker, folder):
    jobs = submit(folder, RUNS[:3])
    assert sorted(beaker.members[GROUP.group_id]) == sorted(job.id for job in jobs)
    more = submit(folder)
    assert sorted(beaker.members[GROUP.group_id]) == sorted(job.id for job in more)
    assert len(beaker.groups) == 1


def test_a_group_is_listed_page_by_page_and_without_other_groups(beaker, folder):
    jobs = submit(folder)
    submit(folder, ["other"], group("a1b2c3d4-more"))
    assert {job.id for job in engine(folder).find(GROUP.group_id)} == {job.id for job in jobs}


def test_submitting_again_after_a_failure_creates_only_what_is_missing(beaker, folder):
    beaker.refuse_after = 3
    given = []
    with pytest.raises(LaunchError, match=r"3 of 5 experiments were created, then: .*budget"):
        given.extend(engine(folder).submit(GROUP, folder, RUNS))
    assert {job.id for job in given} == set(beaker.workloads)
    assert set(beaker.members[GROUP.group_id]) == set(beaker.workloads)
    beaker.refuse_after = None
    jobs = submit(folder)
    assert set(given) < set(jobs)
    assert {job.id for job in jobs} == set(beaker.workloads)
    assert sorted(job.runs[0] for job in jobs) == list(RUNS)


def test_a_failed_run_gets_a_new_experiment_with_a_number(beaker, folder):
    (first,) = submit(folder, RUNS[:1])
    beaker.move(RUNS[0], pb.STATUS_FAILED, exit_code=1)
    (second,) = submit(folder, RUNS[:1])
    assert second.id != first.id
    assert beaker.workloads[second.id].experiment.name == f"{RUNS[0]}-2"
    assert engine(folder).states([first, second]) == {RUNS[0]: JobState("pending", "QUEUED")}


def test_a_name_that_another_group_took_gets_a_number(beaker, folder):
    submit(folder, RUNS[:1], group("0000ffff"))
    (job,) = submit(folder, RUNS[:1])
    assert beaker.workloads[job.id].experiment.name == f"{RUNS[0]}-2"


def test_the_same_group_in_another_folder_is_another_launch(beaker, folder, tmp_path):
    (mine,) = submit(folder, RUNS[:1])
    theirs = tmp_path / "theirs" / GROUP.group_id
    (other,) = submit(theirs, RUNS[:1])
    assert other.id != mine.id
    assert submit(folder, RUNS[:1]) == [mine]


@pytest.mark.parametrize(
    ("status", "details", "expected"),
    [
        (pb.STATUS_QUEUED, {}, JobState("pending", "QUEUED")),
        (pb.STATUS_INITIALIZING, {}, JobState("pending", "INITIALIZING")),
        (pb.STATUS_RUNNING, {}, JobState("running", "RUNNING")),
        (pb.STATUS_UPLOADING_RESULTS, {}, JobState("running", "UPLOADING_RESULTS")),
        (99, {}, JobState("running", "RUNNING")),
        (pb.STATUS_SUCCEEDED, {}, JobState("finished", "SUCCEEDED")),
        (pb.STATUS_FAILED, {"exit_code": 137}, JobState("failed", "EXIT STATUS 137")),
        (pb.STATUS_FAILED, {}, JobState("failed", "FAILED")),
        (
            pb.STATUS_CANCELED,
            {"code": pb.CANCELATION_CODE_MANUAL},
            JobState("cancelled", "MANUAL"),
        ),
        (
            pb.STATUS_CANCELED,
            {"code": pb.CANCELATION_CODE_TIMEOUT},
            JobState("failed", "TIMEOUT"),
        ),
        (
            pb.STATUS_CANCELED,
            {"code": pb.CANCELATION_CODE_NODE_UNHEALTHY},
            JobState("failed", "NODE_UNHEALTHY"),
        ),
        (pb.STATUS_CANCELED, {"code": 99}, JobState("failed", "CANCELATION CODE 99")),
        (
            pb.STATUS_CANCELED,
            {"code": pb.CANCELATION_CODE_SYSTEM_PREEMPTION},
            JobState("pending", "PREEMPTED (SYSTEM_PREEMPTION)"),
        ),
    ],
)
def test_states_are_told_in_olmix_words(beaker, folder, status, details, expected):
    jobs = submit(folder, RUNS[:2])
    beaker.move(RUNS[1], status, **details)
    assert engine(folder).states(jobs) == {
        RUNS[0]: JobState("pending", "QUEUED"),
        RUNS[1]: expected,
    }


def test_a_preempted_run_is_waited_for_and_not_submitted_twice(beaker, folder):
    (job,) = submit(folder, RUNS[:1])
    beaker.move(RUNS[0], pb.STATUS_CANCELED, code=pb.CANCELATION_CODE_SYSTEM_PREEMPTION)
    assert submit(folder, RUNS[:1]) == [job]
    beaker.restart(RUNS[0])
    assert state(engine(folder), [job], RUNS[0]).state == "pending"
    assert len(beaker.workloads) == 1


def test_a_run_whose_node_was_taken_with_another_is_preempted_too(beaker, folder):
    several = engine(folder, nodes=2)
    (job,) = submit(folder, RUNS[:1], nodes=2)
    cancelled = pb.STATUS_CANCELED
    sibling = pb.CANCELATION_CODE_SIBLING_TASK_PREEMPTION
    beaker.move(RUNS[0], cancelled, code=sibling, replica=0)
    beaker.move(RUNS[0], cancelled, code=pb.CANCELATION_CODE_SYSTEM_PREEMPTION, replica=1)
    assert state(several, [job], RUNS[0]) == JobState("pending", "PREEMPTED (SYSTEM_PREEMPTION)")


def test_experiments_that_were_deleted_are_left_out(beaker, folder):
    jobs = submit(folder, RUNS[:2])
    del beaker.workloads[jobs[0].id]
    assert list(engine(folder).states(jobs)) == [RUNS[1]]


def test_cancel_ends_what_waits_or_runs_and_leaves_the_rest(beaker, folder):
    jobs = submit(folder, RUNS[:4])
    beaker.move(RUNS[0], pb.STATUS_SUCCEEDED)
    beaker.move(RUNS[1], pb.STATUS_FAILED, exit_code=1)
    beaker.move(RUNS[2], pb.STATUS_RUNNING)
    engine(folder).cancel([*jobs, Job("01EXgone", ("gone",), group=GROUP.group_id)])
    states = {run: found.state for run, found in engine(folder).states(jobs).items()}
    assert states == dict(zip(RUNS, ("finished", "failed", "cancelled", "cancelled"), strict=False))


@pytest.mark.parametrize("copied", ["another group", "another run", "no id"])
def test_experiments_that_are_not_the_groups_are_told_and_left_alone(
    beaker, folder, caplog, copied
):
    (theirs,) = submit(folder, RUNS[:1], group("0000ffff"))
    job = {
        "another group": replace(theirs, group=GROUP.group_id),
        "another run": replace(theirs, runs=RUNS[1:2]),
        "no id": replace(theirs, id="ai2/--all"),
    }[copied]
    assert engine(folder).states([job]) == {}
    engine(folder).cancel([job])
    assert "is left alone" in caplog.text
    assert state(engine(folder), [theirs], RUNS[0]).state == "pending"


def test_nothing_to_ask_asks_nothing(folder):
    assert engine(folder).states([]) == {}
    engine(folder).cancel([])


def test_logs_are_those_of_the_last_attempt(beaker, folder):
    (job,) = submit(folder, RUNS[:1])
    beaker.write(RUNS[0], b"first attempt\n")
    beaker.restart(RUNS[0])
    beaker.write(RUNS[0], b"step 1\n", b"loss \xff", b"step 2\n")
    assert engine(folder).logs(job, RUNS[0]) == "step 1\nloss \ufffd\nstep 2\n"


def test_logs_of_several_nodes_are_told_apart(beaker, folder):
    several = engine(folder, nodes=2)
    (job,) = submit(folder, RUNS[:1], nodes=2)
    beaker.write(RUNS[0], b"leader\n", replica=0)
    beaker.write(RUNS[0], b"follower\n", replica=1)
    text = several.logs(job, RUNS[0])
    assert re.findall(r"==> .*<==\n(\w+)\n", text) == ["leader", "follower"]


def test_logs_of_an_unknown_experiment_are_an_error(beaker, folder):
    with pytest.raises(LaunchError, match="01EXgone does not exist"):
        engine(folder).logs(Job("01EXgone", RUNS[:1]), RUNS[0])


def test_all_missing_secrets_are_named_before_anything_is_created(beaker, folder):
    names = {"A_TOKEN": "nowhere", "WANDB_API_KEY": "wandb-key", "B_TOKEN": "elsewhere"}
    with pytest.raises(LaunchError, match="has no secret elsewhere, nowhere"):
        submit(folder, env_secrets=names)
    assert not beaker.sent


def test_runs_that_could_not_start_are_not_submitted(beaker, folder):
    with pytest.raises(LaunchError) as error:
        submit(folder, image=None, mounts=[])
    assert "infra.image is missing" in str(error.value)
    assert "infra.runs_dir" in str(error.value)
    assert not beaker.sent


def test_a_workspace_that_does_not_exist_is_named(beaker, folder):
    with pytest.raises(LaunchError, match="workspace not found: ai2/nowhere"):
        submit(folder, workspace="ai2/nowhere")


def test_a_service_that_refuses_groups_still_takes_experiments(beaker, folder, caplog):
    beaker.refuse_groups = True
    jobs = submit(folder)
    assert "not put into the Beaker group a1b2c3d4: permissions error: no groups" in caplog.text
    assert set(engine(folder).find(GROUP.group_id)) == set(jobs)


def test_no_account_says_how_to_get_one(running, folder, monkeypatch):
    monkeypatch.setenv("BEAKER_CONFIG", str(folder / "nothing.yml"))
    with pytest.raises(LaunchError, match="Set BEAKER_TOKEN"):
        submit(folder)


def test_a_token_that_is_refused_is_not_repeated(running, folder, monkeypatch):
    monkeypatch.setenv("BEAKER_TOKEN", "an-old-token")
    with pytest.raises(LaunchError, match="refuses the token") as error:
        submit(folder)
    assert "an-old-token" not in str(error.value)


@pytest.mark.parametrize(
    "content", ["- user_token: my-token", "user_token: [my-token", "", "default_org: ai2"]
)
def test_a_config_file_that_is_broken_does_not_show_the_token(running, folder, content):
    running.config.write_text(content)
    with pytest.raises(LaunchError, match="no usable account") as error:
        submit(folder)
    assert "my-token" not in str(error.value)


def test_a_service_that_is_away_is_an_error_and_no_endless_wait(running, folder):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        write_config(running.config, user_token=TOKEN, rpc_address=address)
        with pytest.raises(LaunchError, match=f"{address} does not answer"):
            submit(folder)


def olmix(capsys, *words):
    """Run a command line that must succeed; returns what it printed to stdout."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    return printed.out


def carry_out(beaker, run):
    """Do what Beaker does: run the command of a run's spec, here."""
    sent = next(entry for entry in beaker.sent if entry.name == run)
    subprocess.run(sent.spec["tasks"][0]["command"], check=True, capture_output=True)
    beaker.move(run, pb.STATUS_SUCCEEDED)


@pytest.mark.slow
def test_a_swarm_from_the_command_line_to_tables(beaker, tiny, tmp_path, capsys):
    infra = engine(tmp_path / "runs", python=sys.executable, gpus=0).infra
    plain = LaunchConfig.from_yaml(tiny.launch).to_plain()
    base = LaunchConfig.from_dict({**plain, "infra": infra.to_plain()})
    made = generate(GenerationConfig.from_yaml(tiny.generation), tmp_path / "variants", base)
    runs = sorted(file.stem for file in made.folder.glob("*.yaml"))
    there = ["-o", tmp_path / "runs"]

    shown = olmix(capsys, "launch", "preview", "-v", made.folder, *there)
    assert not beaker.sent
    olmix(capsys, "launch", "run", "-v", made.folder, *there, "--yes")
    assert sorted(entry.name for entry in beaker.sent) == runs
    assert all(json.dumps(entry.spec, indent=2) in shown for entry in beaker.sent)

    olmix(capsys, "launch", "run", "-v", made.folder, *there, "--yes")
    assert len(beaker.sent) == len(runs)

    carry_out(beaker, runs[0])
    beaker.move(runs[1], pb.STATUS_FAILED, exit_code=1)
    beaker.write(runs[1], b"out of memory")
    assert "out of memory" in olmix(capsys, "launch", "logs", runs[1], *there)
    olmix(capsys, "launch", "cancel", *there, "--yes")
    told = json.loads(olmix(capsys, "launch", "status", *there, "--json"))
    states = {entry["run"]: entry["state"] for entry in told}
    assert [states[run] for run in runs[:3]] == ["finished", "failed", "cancelled"]

    olmix(capsys, "launch", "resume", *there, "--yes")
    names = sorted(workload.experiment.name for workload in beaker.workloads.values())
    assert names == sorted([*runs, *(f"{run}-2" for run in runs[1:])])

    (group,) = (tmp_path / "runs").iterdir()
    olmix(capsys, "collect", group, "-o", tmp_path / "tables")
    lines = (tmp_path / "tables/metrics.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines[1:]] == runs[:1]
