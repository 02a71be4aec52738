"""The tokens of a run, for any Python trainer: `from olmix.mixing import Mixing`.

Quotas are exact, nothing repeats within a pass, and all runs of a swarm share the order of each
domain. `olmix.mixing.pytorch` has it as an `IterableDataset`; nothing else here needs torch or JAX.
"""

from olmix.mixing.stream import Mixing

__all__ = ["Mixing"]
