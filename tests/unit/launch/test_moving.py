"""A group that moves to another engine leaves nothing running at the first one."""

import pytest

from olmix.config import LaunchConfig, LocalInfra, SlurmInfra
from olmix.errors import LaunchError
from olmix.launch import moving as moving_module
from olmix.launch import read_group, read_jobs, submit_group
from olmix.launch.engine import JobState
from olmix.launch.group_plan import Group
from olmix.launch.metadata import describe_launch, write_launch
from olmix.launch.moving import leave_engine
from olmix.records.group import Job, add_job
from olmix.records.run import RunFolder, Status


class Scheduler:
    """An engine that says what it is told to say of each run."""

    def __init__(self, states):
        self.found = states

    def states(self, jobs):
        if isinstance(self.found, Exception):
            raise self.found
        return {
            run: JobState(self.found[run]) for job in jobs for run in job.runs if run in self.found
        }


@pytest.fixture
def folder(tiny, tmp_path):
    """Return the folder of two runs that were submitted to SLURM."""
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    plain = {**base, "infra": {"backend": "slurm"}, "mix": {"a": 0.5, "b": 0.5}}
    group = Group.of("g", [LaunchConfig.from_dict({**plain, "name": f"r-{i}"}) for i in range(2)])
    folder = tmp_path / "runs" / "g"
    write_launch(folder, group, describe_launch(group, {run.name: "x" for run in group.runs}))
    add_job(folder, Job("41", ("r-0", "r-1"), group="g"))
    return folder


def _asked(monkeypatch, answer):
    monkeypatch.setattr(moving_module, "engine_of", lambda infra: Scheduler(answer))


@pytest.mark.parametrize("state", ["pending", "running"])
def test_what_still_waits_is_not_started_twice(folder, monkeypatch, state):
    _asked(monkeypatch, {"r-0": "failed", "r-1": state})
    with pytest.raises(LaunchError, match=r"1 run of it, r-1 first, .* on slurm; stop .*cancel"):
        leave_engine(folder, LocalInfra())
    assert [job.id for job in read_jobs(folder)] == ["41"]


def test_what_has_ended_is_left_behind_and_the_new_engine_counts(folder, monkeypatch):
    _asked(monkeypatch, {"r-0": "failed"})
    leave_engine(folder, LocalInfra())
    assert read_jobs(folder) == []
    assert "41" in (folder / "jobs-slurm.jsonl").read_text()
    leave_engine(folder, SlurmInfra(backend="slurm"))
    add_job(folder, Job("42", ("r-0",), group="g"))
    leave_engine(folder, LocalInfra())
    assert (folder / "jobs-slurm.jsonl").read_text().count("\n") == 2


def test_an_engine_that_is_gone_is_told_and_not_asked_where_all_runs_have_ended(
    folder, monkeypatch
):
    _asked(monkeypatch, LaunchError("no route to host"))
    with pytest.raises(LaunchError, match=r"no route to host\nIf it is gone for good, move"):
        leave_engine(folder, LocalInfra())
    for name, state in (("r-0", "finished"), ("r-1", "cancelled")):
        RunFolder(folder / name).write_status(Status(state, "x"))
    leave_engine(folder, LocalInfra())
    assert read_jobs(folder) == []
    assert [report.status.state for report in read_group(folder)] == ["finished", "cancelled"]


def test_the_same_engine_keeps_its_jobs(folder, monkeypatch):
    _asked(monkeypatch, {"r-0": "running"})
    leave_engine(folder, SlurmInfra(backend="slurm", partition="other"))
    assert len(read_jobs(folder)) == 1
    leave_engine(folder.parent / "new", LocalInfra())


def test_a_refused_move_changes_nothing(folder, monkeypatch, tiny):
    _asked(monkeypatch, {"r-0": "running"})
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    disk = {"name": "disk", "path": "/", "host_path": "/"}
    infra = {"backend": "kubernetes", "image": "me/olmix", "volumes": [disk]}
    plain = {**base, "infra": infra, "mix": {"a": 0.5, "b": 0.5}, "name": "r-0"}
    group = Group.of("g", [LaunchConfig.from_dict(plain)])
    before = (folder / "group.json").read_bytes()
    with pytest.raises(LaunchError, match="waits or runs on slurm"):
        submit_group(group, folder.parent)
    assert (folder / "group.json").read_bytes() == before
