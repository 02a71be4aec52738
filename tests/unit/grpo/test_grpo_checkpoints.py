import json

import pytest

from olmix.errors import DataError, LaunchError
from olmix.grpo.checkpoints import identity, open_checkpoints, read_saved_run, saved_base
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig


def config(*words):
    return RunConfig.from_dict(compose(["+experiment=quick_test", *words]))


@pytest.fixture
def folder(tmp_path):
    """A folder as a run leaves it after the checkpoints of steps 5 and 10."""
    run = tmp_path / "run" / "checkpoints"
    (tmp_path / "run" / "base").mkdir(parents=True)
    open_checkpoints(config(), run, tmp_path / "run" / "base")
    for step in (5, 10):
        (run / "actor" / str(step)).mkdir(parents=True)
    (run / "actor" / "11.orbax-checkpoint-tmp").mkdir()
    return run


def test_what_does_not_change_the_weights_does_not_count():
    base = identity(config())
    assert identity(config("logging=[tensorboard]", "evaluation.seed=9", "tags=[a]")) == base
    assert identity(config("training.resume=must", "training.checkpoint_interval=1")) == base
    assert identity(config("seed=1")) != base
    assert identity(config("training.num_batches=11")) != base


def test_resuming_is_asked_for_allowed_or_refused(folder, tmp_path):
    base = tmp_path / "run" / "base"
    open_checkpoints(config(), folder, base)
    open_checkpoints(config("training.resume=must"), folder, base)
    with pytest.raises(LaunchError, match="holds checkpoints of 2 steps"):
        open_checkpoints(config("training.resume=never"), folder, base)
    with pytest.raises(LaunchError, match="holds no checkpoint"):
        open_checkpoints(config("training.resume=must"), tmp_path / "new", base)


def test_checkpoints_of_another_configuration_are_refused_by_name(folder, tmp_path):
    with pytest.raises(LaunchError, match=r"model.lora_rank \(8 then, 4 now\)"):
        open_checkpoints(config("model.lora_rank=4"), folder, tmp_path)
    assert json.loads((folder / "run.json").read_text())["identity"] == identity(config())


def test_a_reward_whose_source_has_changed_is_warned_about(folder, tmp_path, caplog):
    for sources, said in (({"mine": "a"}, False), ({"mine": "a"}, False), ({"mine": "b"}, True)):
        caplog.clear()
        open_checkpoints(config(), folder, tmp_path, sources)
        assert ("grpo.rewards.mine: its source has changed" in caplog.text) == said


def test_a_run_is_found_from_its_folder_its_checkpoints_or_its_actor(folder):
    for place in (folder, folder.parent, folder / "actor"):
        saved = read_saved_run(place, None)
        assert (saved.step, saved.checkpoints) == (10, folder)
    assert read_saved_run(folder, 5).step == 5
    with pytest.raises(DataError, match="there are: 5, 10"):
        read_saved_run(folder, 7)


def test_a_moved_run_finds_its_base(folder, tmp_path):
    (tmp_path / "run").rename(tmp_path / "moved")
    saved = read_saved_run(tmp_path / "moved", None)
    assert saved.base == tmp_path / "moved" / "base"


def test_a_folder_without_a_run_is_said(tmp_path):
    with pytest.raises(DataError, match=r"there is no run.json"):
        read_saved_run(tmp_path, None)
    assert saved_base(tmp_path) is None


@pytest.mark.parametrize(
    "content", ["", "[1]", "{}", '{"identity": 5, "base": null, "config": []}']
)
def test_a_damaged_note_of_the_run_is_said(folder, content):
    (folder / "run.json").write_text(content)
    base = folder.parent / "base"
    for read in (
        lambda: open_checkpoints(config(), folder, base),
        lambda: saved_base(folder),
        lambda: read_saved_run(folder, None),
    ):
        with pytest.raises(DataError, match=r"run\.json: "):
            read()
