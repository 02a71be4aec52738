"""The environment that keeps numerical libraries on one thread.

One single-threaded process per core trains small models fastest on a CPU: two workers with two
threads each were 25 times slower than two with one on a machine with two cores. Libraries read
these variables when they are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ONE_THREAD"]

ONE_THREAD: Mapping[str, str] = MappingProxyType(
    {
        # XLA sizes its pool by these two; its flags alone leave it one thread for each core.
        "NPROC": "1",
        "PJRT_NPROC": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
)
