import pytest

from olmix.records.olmo_checkpoints import checkpoint_problem

WHOLE = ("train/rank0.pt", "model_and_optim/.metadata", ".metadata.json")


def _write(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "names",
    [
        WHOLE,
        [".metadata"],
        [f"step40/{name}" for name in WHOLE],
        ["step8/train/rank0.pt", *(f"step40/{name}" for name in WHOLE)],
    ],
    ids=["whole", "weights alone", "in a folder of steps", "beside one that was cut off"],
)
def test_a_checkpoint_may_be_whole_or_weights_alone_or_one_of_several_steps(tmp_path, names):
    assert checkpoint_problem(str(_write(tmp_path, names))) is None


@pytest.mark.parametrize("missing", WHOLE)
def test_what_was_cut_off_is_no_checkpoint(tmp_path, missing):
    _write(tmp_path / "step8", [name for name in WHOLE if name != missing])
    assert "holds no OLMo-core checkpoint" in checkpoint_problem(str(tmp_path))


def test_a_run_folder_is_pointed_to_its_checkpoints(tmp_path):
    _write(tmp_path / "checkpoints" / "step8", WHOLE)
    assert f"did you mean `{tmp_path}/checkpoints`?" in checkpoint_problem(str(tmp_path))


def test_a_missing_folder_is_named_and_a_url_is_not_looked_at(tmp_path):
    assert checkpoint_problem(str(tmp_path / "gone")).endswith("gone: there is no such folder")
    assert checkpoint_problem("s3://bucket/gone") is None
