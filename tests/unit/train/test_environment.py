"""The environment of a training process: where compiled programs are kept."""

import logging

import pytest

pytest.importorskip("jax")

from olmix.records.run import RunFolder
from olmix.train.environment import compilation_cache, use_compilation_cache
from olmix.train.run_one import main
from train_fixtures import Project


def test_where_no_program_can_be_kept_each_process_compiles(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OLMIX_CACHE_DIR", str(tmp_path / "file"))
    with caplog.at_level(logging.INFO):
        assert use_compilation_cache() == "cpu"
    assert "compiled programs are not kept" in caplog.text


@pytest.fixture
def fresh_process(tmp_path, monkeypatch):
    """A cache of its own, and nothing that `run_one` sets for its process is left behind."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    monkeypatch.setenv("OLMIX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("olmix.train.run_one.use_one_thread", lambda: None)
    names = [
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    ]
    before = {name: getattr(jax.config, name) for name in names}
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.mark.usefixtures("fresh_process")
def test_runs_that_a_cluster_starts_share_their_programs(tmp_path):
    """Ten thousand processes that compile the same program would take days of a core."""
    from olmix.train.proxy.loop import programs

    project = Project(tmp_path / "project")

    def kept():
        return {file.name for file in compilation_cache().glob("*-cache")}

    found = []
    for name, weights in (("first", (0.6, 0.4)), ("second", (0.3, 0.7))):
        programs.cache_clear()  # as in a process of its own
        assert main([str(project.folder(name, weights=weights).path)]) == 0
        assert RunFolder(project.root / "runs" / name).read_status().state == "finished"
        found.append(kept())
    assert found[0]
    assert found[0] == found[1]
