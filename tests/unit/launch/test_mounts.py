"""What a container sees of this machine's files."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from olmix.launch import load_group
from olmix.launch.mounts import seen_folder, unseen_inputs, unseen_runs


@dataclass(frozen=True)
class Disk:
    path: str
    writable: bool = True


def test_a_group_is_seen_below_runs_dir_or_as_it_is_here(tmp_path):
    assert seen_folder(tmp_path / "runs" / "g", None) == str(tmp_path / "runs" / "g")
    assert seen_folder(tmp_path / "runs" / "g", "/net/me") == "/net/me/g"


@pytest.mark.parametrize(
    ("mounts", "seen"),
    [
        ([], False),
        ([Disk("/net", writable=False)], False),
        ([Disk("/netted")], False),
        ([Disk("/data", writable=False), Disk("/net")], True),
        ([Disk("/")], True),
    ],
)
def test_run_folders_need_a_mount_that_can_be_written(mounts, seen):
    found = unseen_runs("/net/me/runs/g", mounts, "pod", "infra.volumes")
    assert (found is None) == seen
    assert found is None or "one from infra.volumes, or set infra.runs_dir" in found


def test_data_beside_the_mounts_is_told_and_addresses_are_not(variants):
    group = load_group(variants.folder)
    run = group.runs[0]
    data = Path(run.data.paths_of(run.data.domains[0])[0]).absolute().parents[1]
    found = unseen_inputs(group, [Disk("/net")], "pod")
    assert str(data) in found
    assert "unless each pod finds the same files there" in found
    assert unseen_inputs(group, [Disk("/net"), Disk("/", writable=False)], "pod") is None
    far = run.data.model_copy(
        update={
            "tokenizer": None,
            "sources": [
                source.model_copy(update={"paths": ["s3://bucket/a.npy"]})
                for source in run.data.sources
            ],
        }
    )
    evaluated = {path for paths in run.eval.paths.values() for path in paths}
    remote = replace(group, runs=tuple(r.model_copy(update={"data": far}) for r in group.runs))
    assert unseen_inputs(remote, [Disk(str(Path(p).absolute())) for p in evaluated], "job") is None
