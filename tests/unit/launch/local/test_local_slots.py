"""Which places runs get on this machine."""

from dataclasses import replace

import pytest

from olmix.config import CommandTraining, LaunchConfig, LocalInfra
from olmix.launch.group_plan import Group
from olmix.launch.local.workers import _spread, slots_of
from olmix.launch.preview import estimate, render_launch


@pytest.fixture
def group(tiny):
    """Return ten runs of a command."""
    base = LaunchConfig.from_yaml(tiny.launch)
    training = CommandTraining(command="train {run_dir}", max_tokens=100)
    runs = [base.model_copy(update={"name": f"run-{i}", "training": training}) for i in range(10)]
    return Group("some", tuple(runs), LocalInfra())


def test_on_a_machine_with_eight_gpus_eight_commands_start_on_one_each(
    group, monkeypatch, tmp_path
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7")
    assert [slot.gpu for slot in slots_of(group, LocalInfra())] == list(range(8))
    shown = render_launch(group, tmp_path)
    assert shown.count("CUDA_VISIBLE_DEVICES=") == 8
    cost = estimate(group, tokens_per_second=1.0)
    assert (cost.device, cost.devices, cost.at_once) == ("GPU", 1, 8)


@pytest.mark.parametrize("visible", ["", "0", "GPU-8932f937", "-1"])
def test_one_gpu_or_none_changes_nothing(group, monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [slot.gpu for slot in slots_of(group, LocalInfra())] == [None]


def test_a_number_of_workers_leaves_all_gpus_to_each_run(group, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [slot.gpu for slot in slots_of(group, LocalInfra(workers=1))] == [None]


def test_named_gpus_go_before_those_that_are_found(group, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert [slot.gpu for slot in slots_of(group, LocalInfra(gpus=(2, 3)))] == [2, 3]


def test_the_embedded_trainer_stays_on_cores(tiny, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    base = LaunchConfig.from_yaml(tiny.launch)
    alone = replace(Group("some", (base,), LocalInfra()))
    assert [slot.gpu for slot in slots_of(alone, LocalInfra())] == [None]


@pytest.mark.parametrize(
    ("siblings", "sorted_"),
    [
        ({0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}, (0, 2, 1, 3)),
        ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, (0, 1, 2, 3)),
        ({1: "0-1", 2: "2-3", 3: "2-3"}, (1, 2, 3)),
        ({0: "?", 1: "0-1", 5: "5"}, (0, 5, 1)),
        ({}, (7, 8)),
    ],
)
def test_second_threads_of_cores_are_taken_last(siblings, sorted_, tmp_path):
    for number, text in siblings.items():
        folder = tmp_path / f"cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{text}\n")
    assert _spread(sorted(siblings) or [7, 8], tmp_path) == sorted_
