"""What a launch writes down, beside its runs and its variants, and what it keeps out."""

import json

import pytest

from olmix.config import LaunchConfig, LocalInfra
from olmix.errors import ConfigError
from olmix.launch import (
    cancel,
    describe_launch,
    identity_of,
    load_group,
    read_group,
    read_launch,
    wandb_group,
    write_launch,
)
from olmix.launch.command_runs import CommandRun, load_mapping
from olmix.launch.engine import JobState
from olmix.launch.folders import prepare_folder
from olmix.launch.group_plan import Group
from olmix.records.group import JOBS_FILE, Job
from olmix.records.run import RunFolder
from olmix.text.files import write_json
from olmix.text.yaml import write_yaml


def _write(group, folder, jobs=()):
    about = describe_launch(group, {run.name: identity_of(run) for run in group.runs})
    write_launch(folder, group, about, jobs)
    return json.loads((folder / "group.json").read_text())


def test_variants_tell_where_they_were_launched(variants, tmp_path):
    group = load_group(variants.folder)
    job = Job("17", tuple(run.name for run in group.runs), "https://cluster/17")
    about = _write(group, tmp_path / "runs" / group.group_id, [job])
    copy = json.loads((variants.folder / f"launch-{group.group_id}.json").read_text())

    assert copy["folder"] == str(tmp_path / "runs" / group.group_id)
    for key in ("time", "user", "host", "git", "packages", "environment", "command", "config"):
        assert copy[key] == about[key]
    assert copy["jobs"][0]["id"] == "17"
    assert [run["name"] for run in copy["runs"]] == [run.name for run in group.runs]
    # The folder of variants is still one that can be launched.
    assert load_group(variants.folder).runs == group.runs


def test_the_resolved_config_of_all_runs_is_kept_once(variants, tmp_path):
    files = list(variants.files)
    plain = LaunchConfig.from_yaml(files[0]).to_plain()
    write_yaml(files[0], {**plain, "training": {**plain["training"], "seed": 5}})
    about = _write(load_group(variants.folder), tmp_path)

    assert about["config"]["data"] == plain["data"]
    assert about["config"]["eval"] == plain["eval"]
    training = {key: value for key, value in plain["training"].items() if key != "seed"}
    assert about["config"]["training"] == training
    assert about["runs"][0]["seed"] == 5

    plain["training"]["learning_rate"] = 0.5
    write_yaml(files[0], plain)
    assert "training" not in _write(load_group(variants.folder), tmp_path)["config"]


def test_variants_that_cannot_be_written_to_are_no_obstacle(variants, tmp_path, caplog):
    group = load_group(variants.folder)
    (variants.folder / f"launch-{group.group_id}.json").mkdir()
    _write(group, tmp_path)
    assert "nothing was written next to the variants" in caplog.text


def test_a_group_that_is_resumed_knows_its_variants(variants, tmp_path):
    group = load_group(variants.folder)
    _write(group, tmp_path / group.group_id)
    for run in group.runs:
        write_yaml(tmp_path / group.group_id / run.name / "config.yaml", run.to_plain())
    assert read_launch(tmp_path / group.group_id).source == variants.folder


@pytest.mark.parametrize(
    ("tracker", "entity", "server", "url"),
    [
        ({"entity": "me"}, None, None, "https://wandb.ai/me/swarm/groups/g1"),
        ({}, "us", None, "https://wandb.ai/us/swarm/groups/g1"),
        ({"entity": "me"}, None, "https://api.wandb.ai", "https://wandb.ai/me/swarm/groups/g1"),
        ({"entity": "me"}, None, "http://own:8080/", "http://own:8080/me/swarm/groups/g1"),
        ({}, None, None, None),
        ({"entity": "me", "mode": "offline"}, None, None, None),
    ],
)
def test_the_page_of_the_wandb_group(variants, monkeypatch, tracker, entity, server, url):
    for name, value in (("WANDB_ENTITY", entity), ("WANDB_BASE_URL", server)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    for file in variants.files:
        plain = LaunchConfig.from_yaml(file).to_plain()
        write_yaml(file, {**plain, "trackers": {"wandb": {"project": "swarm", **tracker}}})
    group = load_group(variants.folder, group_id="g1")

    assert wandb_group(group)["url"] == url
    # The runs log to the group that they are launched as.
    assert {run.group_id for run in group.runs} == {"g1"}


def test_without_wandb_there_is_no_page(variants):
    assert wandb_group(load_group(variants.folder)) is None


def mapping(folder, words):
    text = "".join(
        f"  - {{id: run_{index}, config: c, hash: h{index}, command: {json.dumps(words)}}}\n"
        for index in range(2)
    )
    (folder / "run_mapping.yaml").write_text(f"experiment: study\nruns:\n{text}")
    return folder


SETUP = "export HF_TOKEN=s3cr3t"


def test_groups_launched_before_a_rule_on_secrets_can_be_read_asked_about_and_cancelled(
    variants, tmp_path, monkeypatch
):
    group = load_group(variants.folder)
    folder = tmp_path / group.group_id
    about = _write(group, folder)
    about["infra"] = {"backend": "slurm", "setup": SETUP}
    write_json(folder / "group.json", about)
    names = [run.name for run in group.runs]
    # Jobs of earlier releases do not name their group.
    (folder / JOBS_FILE).write_text(json.dumps({"id": "17", "runs": names, "url": None}) + "\n")
    jobs = (Job("17", tuple(names), group=group.group_id),)
    command = {"trainer": "command", "command": "go --api-key s3cr3t", "max_tokens": 6400}
    for run in group.runs:
        assert prepare_folder(folder, run, identity_of(run))
        plain = {**run.to_plain(), "training": command, "infra": about["infra"]}
        write_yaml(RunFolder(folder / run.name).config, plain)

    class Scheduler:
        told = ()

        def states(self, jobs):
            return {name: JobState("pending") for job in jobs for name in job.runs}

        def first_lines(self, job, run):
            return ""

        def cancel(self, jobs):
            self.told = tuple(jobs)

    scheduler = Scheduler()

    def engine_of(infra):
        assert infra.setup == SETUP
        return scheduler

    monkeypatch.setattr("olmix.launch.status.engine_of", engine_of)
    again = read_launch(folder)
    assert {run.infra.setup for run in again.runs} == {again.infra.setup} == {SETUP}
    assert {run.training.command for run in again.runs} == {command["command"]}
    assert {report.status.state for report in read_group(folder)} == {"pending"}
    assert cancel(folder) == {"cancelled": len(group.runs)}
    assert scheduler.told == jobs


def test_secrets_on_the_command_line_of_a_launcher_are_starred(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["go.py", "--api-key", "s3cr3t", "--lr", "0.1"])
    run = CommandRun("a", ("true",), tmp_path, "id", {})
    about = describe_launch(Group("g", (run,), LocalInfra()), {"a": "id"})
    assert list(about.command) == ["go.py", "--api-key", "***", "--lr", "0.1"]


def test_commands_of_a_sweep_with_a_secret_are_refused_without_repeating_it(tmp_path):
    words = ["tune", "run", "recipe", "--api-key", "s3cr3t"]
    with pytest.raises(
        ConfigError, match=r"run_0: --api-key looks like a secret \(its name\)"
    ) as error:
        load_mapping(mapping(tmp_path, words))
    assert "s3cr3t" not in str(error.value)
    _, runs = load_mapping(mapping(tmp_path, [*words[:3], "tokenizer.eos_token=</s>"]))
    assert len(runs) == 2


def test_runs_that_were_launched_before_stay_in_the_group(variants, tmp_path):
    group = load_group(variants.folder, group_id="g")
    _write(group, tmp_path)
    for run in group.runs[:3]:
        (tmp_path / run.name).mkdir()
    one = load_group(variants.files[4], group_id="g")
    about = _write(one, tmp_path)
    names = [run.name for run in group.runs]
    assert [run["name"] for run in about["runs"]] == [names[4], *names[:3]]
    # The launch that has them all again lists each of them once.
    assert [run["name"] for run in _write(group, tmp_path)["runs"]] == names
