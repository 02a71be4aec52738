"""The same batches for PyTorch, whatever the workers."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix.mixing import Mixing

torch = pytest.importorskip("torch")

from olmix.mixing.pytorch import MixingDataset, load_batches  # noqa: E402


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixing")
    for name, start in (("a", 0), ("b", 1000)):
        np.arange(start, start + 401, dtype=np.uint16).tofile(folder / f"{name}.bin")
    domains = {
        name: {"weight": weight, "repetition_factor": 9.0, "paths": [str(folder / f"{name}.bin")]}
        for name, weight in (("a", 0.7), ("b", 0.3))
    }
    found = folder / "data_manifest.json"
    found.write_text(json.dumps({"dtype": "uint16", "max_tokens": 4 * 6 * 7, "domains": domains}))
    return found


def opened(file, rank=0, world_size=1):
    return Mixing(file, context_length=4, batch_size=6, rank=rank, world_size=world_size)


@pytest.fixture
def spawned():
    """Start workers afresh: a fork beside JAX's threads may hang."""
    before = torch.multiprocessing.get_start_method(allow_none=True)
    torch.multiprocessing.set_start_method("spawn", force=True)
    yield
    torch.multiprocessing.set_start_method(before, force=True)


def as_worker(mixing, index, workers):
    """What a worker of a loader reads, without its process."""
    with pytest.MonkeyPatch.context() as patch:
        info = SimpleNamespace(id=index, num_workers=workers)
        patch.setattr("olmix.mixing.pytorch.get_worker_info", lambda: info)
        return list(MixingDataset(mixing))


@given(st.integers(1, 9), st.sampled_from([1, 2, 3, 6]), st.integers(0, 7))
def test_ranks_and_workers_partition_what_is_left_of_the_run(file, workers, ranks, start):
    wanted = list(opened(file))[start:]
    found = [[] for _ in wanted]
    for rank in range(ranks):
        mixing = opened(file, rank, ranks)
        mixing.step = start
        for index in range(workers):
            for step, tokens in zip(
                range(index, len(wanted), workers), as_worker(mixing, index, workers), strict=True
            ):
                found[step].append(tokens)
    for parts, whole in zip(found, wanted, strict=True):
        assert {part.dtype for part in parts} == {torch.int64}
        np.testing.assert_array_equal(torch.cat(parts).numpy(), whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_workers_read_ahead_does_not_count(file, workers, spawned):
    """Two spawned workers give what one process gives, and a stopped run goes on where it was."""
    mixing = opened(file)
    seen = list(itertools.islice(load_batches(mixing, num_workers=workers), 3))
    assert mixing.state_dict()["step"] == len(seen) == 3
    again = opened(file)
    again.load_state_dict(mixing.state_dict())
    rest = list(load_batches(again, num_workers=workers))
    assert again.step == len(again)
    np.testing.assert_array_equal(torch.stack(seen + rest).numpy(), list(opened(file)))


def read_as_rank(rank, world_size, file, folder):
    """Carry out one process of a group: gather what all of them read by loaders with workers."""
    from torch import distributed

    distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", rank=rank, world_size=world_size
    )
    mixing = opened(file, distributed.get_rank(), distributed.get_world_size())
    mixing.step = 2
    own = torch.stack(list(load_batches(mixing, num_workers=2)))
    parts = [torch.empty_like(own) for _ in range(world_size)]
    distributed.all_gather(parts, own)
    torch.save((mixing.state_dict(), torch.cat(parts, dim=1)), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_ranks_of_a_real_group_with_workers_read_the_run_together(file, tmp_path):
    torch.multiprocessing.spawn(read_as_rank, (2, file, str(tmp_path)), nprocs=2)
    whole = opened(file)
    wanted = list(whole)[2:]
    for rank in range(2):
        state, found = torch.load(tmp_path / f"{rank}.pt")
        assert state == whole.state_dict()
        np.testing.assert_array_equal(found.numpy(), wanted)
