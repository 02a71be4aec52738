import pytest

from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.trackers import open_trackers


def config(*trackers):
    return RunConfig.from_dict(
        compose(["+experiment=quick_test", f"logging=[{','.join(trackers)}]"])
    )


def test_tensorboard_gets_every_metric(tmp_path):
    pytest.importorskip("tensorboardX")
    trackers = open_trackers(config("tensorboard"), tmp_path)
    trackers.log(1, {"reward": 0.5})
    trackers.finish({}, ok=True)
    [events] = (tmp_path / "tensorboard").glob("events*")
    assert b"reward" in events.read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_wandb_works_offline_and_only_where_it_is_asked_for(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    wandb.teardown()  # one session a process, whatever the environment says later
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    open_trackers(config("jsonl"), tmp_path).finish({}, ok=True)
    assert not (tmp_path / "wandb").exists()
    trackers = open_trackers(config("jsonl", "wandb"), tmp_path)
    trackers.log(1, {"reward": 0.5})
    trackers.finish({"reward": 0.5}, ok=True)
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
