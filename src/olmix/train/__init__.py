"""The embedded proxy trainer: a small transformer, one run on a core or a swarm on a GPU.

    quota, batches      which tokens the run sees, in which order
    model, optimizer    the transformer, its loss and its update, as pure functions
    loop, swarm         many steps in one compiled program, for one run or several side by side
    evaluation          bits per byte of the validation domains
    job, run            one run folder: resume, train, log, checkpoint, summarise
    worker, measure     the processes that `olmix launch` starts

Importing this package loads neither JAX nor NumPy; the modules do.
"""

from __future__ import annotations
