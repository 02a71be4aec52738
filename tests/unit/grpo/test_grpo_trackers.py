import pytest

from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.run import start_trackers


def config(*trackers):
    return RunConfig.from_dict(
        compose(["+experiment=quick_test", f"logging=[{','.join(trackers)}]"])
    )


def test_tensorboard_gets_every_metric(tmp_path):
    pytest.importorskip("tensorboardX")
    trackers = start_trackers(config("tensorboard"), tmp_path)
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
    assert start_trackers(config("jsonl"), tmp_path) is None
    assert not (tmp_path / "wandb").exists()
    trackers = start_trackers(config("jsonl", "wandb"), tmp_path)
    trackers.log(1, {"reward": 0.5})
    trackers.finish({"metrics": {"reward": 0.5}}, ok=True)
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_trackio_can_be_asked_for(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "olmix.grpo.run.open_trackers", lambda run, wanted: asked.append((run, wanted))
    )
    start_trackers(config("trackio"), tmp_path)
    ((run, wanted),) = asked
    assert wanted.trackio.project == "olmix-grpo"
    assert (wanted.wandb, wanted.tensorboard) == (None, False)
    assert run.name == "quick_test"
