"""The part of each domain that runs see where they are matched to a large run.

Documents are taken in an order of their own, which depends on `training.subset_seed` and the name
of the domain, and on no run: noise of the subset and noise of the order of training are different
noises. The subset of a longer run begins with that of a shorter one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_documents", "subset_order"]

_STREAM = 0x5B5E7
"""Keeps these draws apart from those of the order of windows."""


def subset_order(seed: int | None, name: str, number: int) -> NDArray[np.intp]:
    """Return the order in which the documents or sequences of a domain are taken, (number,)."""
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng([seed or 0, key, _STREAM]).permutation(number)


def cut_documents(
    files: Sequence[NDArray[np.unsignedinteger]], eos: int, tokens: int, order_of: tuple[int, str]
) -> NDArray[np.unsignedinteger]:
    """Return so many tokens of a domain: whole documents, of which the last one is cut off.

    Args:
        files: its token files, in order.
        eos: the token that ends a document; what follows the last one of a file is one too.
        tokens: tokens to keep, at most those of all files.
        order_of: seed of the subset, and name of the domain.
    """
    spans: list[NDArray[np.intp]] = []
    for index, file in enumerate(files):
        ends = np.flatnonzero(file == eos) + 1
        if not ends.size or ends[-1] != len(file):
            ends = np.append(ends, len(file))
        starts = np.concatenate([[0], ends[:-1]])
        spans.append(np.column_stack([np.full(len(ends), index), starts, ends]))
    documents = np.vstack(spans)
    documents = documents[subset_order(*order_of, len(documents))]
    total = np.cumsum(documents[:, 2] - documents[:, 1])
    enough = int(np.searchsorted(total, tokens)) + 1
    parts = [files[index][start:end] for index, start, end in documents[:enough]]
    return np.concatenate(parts)[:tokens]
