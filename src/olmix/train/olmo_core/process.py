"""The process of a run of OLMo-core: settings it changes, and undoes where a small run needs it."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager

from olmix.records.run import RunFolder

__all__ = ["is_distributed", "keep_log", "num_cores", "prepare_environment"]


def is_distributed() -> bool:
    """Whether this is one of several processes that `torchrun` started for a run."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def prepare_environment() -> None:
    """Let OLMo-core set up its process.

    It forces `spawn`, which imports everything again in each helper process (6 to 22 s), and may
    use 8 threads where the launcher assigned one core.
    """
    from olmo_core.train import prepare_training_environment

    if is_distributed():
        prepare_training_environment()
    else:
        prepare_training_environment(backend=None)
    import torch

    multiprocessing.set_start_method("fork", force=True)
    if not torch.cuda.is_available():
        torch.set_num_threads(num_cores())


def num_cores() -> int:
    """Return the cores that this process may use; not every SLURM ties its jobs to theirs."""
    cores = len(os.sched_getaffinity(0))
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(cores, int(given)) if given.isdigit() and int(given) else cores


@contextmanager
def keep_log(folder: RunFolder) -> Iterator[None]:
    """Add what OLMo-core says to the run's `log.txt`; for use after `prepare_environment`."""
    handler = logging.FileHandler(folder.log, encoding="utf-8")
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
