"""Submitting a group to a scheduler that is played here: what is left of it, and what is told."""

import json

import pytest

from olmix.config import LaunchConfig
from olmix.errors import DataError, LaunchError
from olmix.launch import load_group, read_group, read_log, submit_group
from olmix.launch.engine import NoAnswerError
from olmix.launch.group_plan import Group
from olmix.launch.slurm.engine import SlurmEngine
from olmix.sweep import generate_configs
from olmix.text.yaml import write_yaml

CLUSTER = "ClusterName = here\nMaxArraySize = 1001\n"


class FakeSlurm:
    """Answers the commands of SLURM; what it says can be changed."""

    def __init__(self):
        self.said = []
        self.answers = {"scontrol": CLUSTER, "sbatch": "41\n", "squeue": "", "sacct": ""}

    def ask(self, *words, **_):
        self.said.append(words)
        answer = next(text for name, text in self.answers.items() if name in words)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def slurm(monkeypatch):
    fake = FakeSlurm()
    # An attribute of the class that is bound already gets no engine as its first argument.
    monkeypatch.setattr(SlurmEngine, "_ask", fake.ask)
    return fake


@pytest.fixture
def group(tiny):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    plain = {**base, "infra": {"backend": "slurm"}, "mix": {"a": 0.5, "b": 0.5}}
    runs = [LaunchConfig.from_dict({**plain, "name": f"r-{index}"}) for index in range(2)]
    source = tiny.folder / "variants"
    source.mkdir()
    return Group.of("g", runs, source)


REFUSALS = {
    "no SLURM here": {"scontrol": LaunchError("there is no `scontrol` here")},
    "small arrays": {"scontrol": "MaxArraySize = 1\n"},
    "no such account": {"sbatch": LaunchError("sbatch failed: invalid account")},
}


@pytest.mark.parametrize("answers", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_launch_leaves_no_folders(slurm, group, tmp_path, answers):
    slurm.answers |= {"scontrol": CLUSTER, **answers}
    with pytest.raises(LaunchError):
        submit_group(group, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    assert not list(group.source.iterdir())


def test_a_refused_launch_leaves_a_group_as_it_was(slurm, group, tmp_path):
    one = Group(group.group_id, group.runs[:1], group.infra)
    folder = submit_group(one, tmp_path).folder
    before = (folder / "group.json").read_bytes()
    slurm.answers["sbatch"] = LaunchError("sbatch failed: invalid account")
    with pytest.raises(LaunchError):
        submit_group(group, tmp_path)
    assert (folder / "group.json").read_bytes() == before
    assert (folder / "r-0").is_dir()
    assert not (folder / "r-1").exists()


def test_where_no_answer_came_the_folders_stay_because_the_job_may_be_there(slurm, group, tmp_path):
    slurm.answers["sbatch"] = NoAnswerError("sbatch did not answer")
    with pytest.raises(NoAnswerError):
        submit_group(group, tmp_path)
    assert (tmp_path / "g" / "r-1" / "config.yaml").is_file()


def test_jobs_are_noted_with_their_group_and_cluster(slurm, group, tmp_path):
    (job,) = submit_group(group, tmp_path).jobs
    assert (job.id, job.group, job.cluster) == ("41", "g", "here")
    noted = json.loads((tmp_path / "g" / "jobs.jsonl").read_text())
    assert (noted["group"], noted["cluster"]) == ("g", "here")
    assert json.loads((tmp_path / "g" / "group.json").read_text())["jobs"] == [noted]
    assert (group.source / "launch-g.json").is_file()


@pytest.mark.parametrize("word", ["FAILED", "COMPLETED", None], ids=["failed", "ended", "gone"])
def test_a_status_shows_how_the_log_of_a_failed_task_begins(slurm, group, tmp_path, word):
    folder = submit_group(group, tmp_path / "my runs").folder
    log = folder / "slurm/logs/41_0.log"
    log.write_text("r-0 on node1, today\n/usr/bin/python: No module named olmix\n")
    slurm.answers["squeue"] = "" if word is None else f"41|0|{word}|None|olmix-g\n"
    report, other = read_group(folder)
    assert "/usr/bin/python: No module named olmix" in report.status.error
    assert "node1" not in report.status.error
    assert report.status.state == ("failed" if word == "FAILED" else "pending")
    assert other.status.error is None
    assert read_log(folder, "r-0") == log.read_text()


def test_names_of_runs_are_checked_before_they_become_paths(slurm, group, tmp_path):
    folder = submit_group(group, tmp_path).folder
    about = json.loads((folder / "group.json").read_text())
    about["runs"][0]["name"] = "../../victim"
    (folder / "group.json").write_text(json.dumps(about))
    for read in (read_group, lambda folder: read_log(folder, "../../victim")):
        with pytest.raises(DataError, match="a name becomes a folder"):
            read(folder)


def test_a_sweep_can_be_launched_as_it_was_generated(slurm, tmp_path):
    made = {
        "experiment_name": "study",
        "base_config": "llama3_2/1B_lora_single_device",
        "variables": {"lora_rank": [8, 16]},
    }
    study = generate_configs(made, tmp_path / "study", validator="none").folder
    write_yaml(tmp_path / "infra.yaml", {"infra": {"backend": "slurm"}})
    group = load_group(study, tmp_path / "infra.yaml")
    words = (
        *("python", "-m", "torchtune._cli.tune", "run", "lora_finetune_single_device"),
        *("--config", "configs/run_001.yaml"),
    )
    assert group.runs[1].words == words
    submit_group(group, tmp_path / "runs")
    command = json.loads((tmp_path / "runs/study/run_001/command.json").read_text())
    assert (command["words"], command["folder"]) == (list(words), str(study.resolve()))
