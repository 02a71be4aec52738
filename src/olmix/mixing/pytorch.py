"""The batches of a run for PyTorch: the same in every step, whatever the ranks and workers."""

from __future__ import annotations

from collections.abc import Iterator

import torch  # noqa: TID253  nothing else of Olmix imports this module
from torch.utils.data import DataLoader, IterableDataset, get_worker_info  # noqa: TID253

from olmix.mixing.stream import Mixing

__all__ = ["MixingDataset", "load_batches"]


class MixingDataset(IterableDataset[torch.Tensor]):
    """The batches of a rank from the present step on, as int64.

    Its items are whole batches, so give `DataLoader` `batch_size=None`. Of several workers each
    takes every so many-th step, and the loader hands them over in the order of the steps.

    Args:
        mixing: the run; its `step` says where an iteration starts.
    """

    def __init__(self, mixing: Mixing) -> None:
        self.mixing = mixing

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        index, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for step in range(self.mixing.step + index, len(self.mixing), workers):
            yield torch.from_numpy(self.mixing.batch(step)).long()


def load_batches(
    mixing: Mixing, *, num_workers: int = 0, pin_memory: bool = False
) -> Iterator[torch.Tensor]:
    """Hand over the rest of a run, and keep `mixing.step` at what was handed over.

    What workers have read ahead does not count: `mixing.state_dict()` is right at every step.

    Args:
        mixing: the run; a rank's part of it if it was opened with ranks.
        num_workers: processes that read ahead; 0 reads in this one.
        pin_memory: whether batches are put where a GPU copies from fast.

    Yields:
        (batch_size / world_size, context_length + 1) of int64.
    """
    loader = DataLoader(
        MixingDataset(mixing), batch_size=None, num_workers=num_workers, pin_memory=pin_memory
    )
    for step, tokens in enumerate(loader, start=mixing.step + 1):
        mixing.step = step
        yield tokens
