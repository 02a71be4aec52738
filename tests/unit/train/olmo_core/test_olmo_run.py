import importlib.util
import os

import pytest

from olmix.config import LaunchConfig
from olmix.errors import ConfigError
from olmix.train.olmo_core import train_run
from olmix.train.olmo_core.process import num_cores
from train_fixtures import Project

TRAINING = {"proxy_model_id": "olmo2_1m", "max_tokens": 4096}


def _config(project, **training):
    return LaunchConfig.from_dict({**project.plain(), "training": {**TRAINING, **training}})


@pytest.mark.skipif(
    importlib.util.find_spec("olmo_core") is None, reason="the extra olmo-core is not installed"
)
def test_a_checkpoint_that_is_not_there_fails_a_run_before_olmo_core_is_loaded(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "olmix.train.olmo_core.run.prepare_environment", lambda: pytest.fail("it was loaded")
    )
    project = Project(tmp_path)
    folder = project.folder()
    with pytest.raises(ConfigError, match="gone: there is no such folder"):
        train_run(folder, _config(project, checkpoint_path=str(tmp_path / "gone")))
    status = folder.read_status()
    assert status.state == "failed"
    assert "training.checkpoint_path" in status.error


def test_a_task_of_slurm_uses_the_cores_that_it_was_given(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert num_cores() == 8
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert num_cores() == 3
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "64")
    assert num_cores() == 8, "the ones that are there"
