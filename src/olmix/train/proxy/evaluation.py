"""Bits per byte of held-out text: the surprise of a model, whatever the tokens are.

    BPB = sum of nats over the targets / (ln 2 * bytes of the targets)

A token of no bytes, such as EOS, adds its surprise and no bytes: predicting where documents end is
part of the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olmix.domains import bits_per_byte_of
from olmix.errors import DataError
from olmix.mixing.windows import Windows, check_tokens
from olmix.simplex import Array

__all__ = ["Validation", "build_validation"]


@dataclass(frozen=True)
class Validation:
    """The windows on which every run of a swarm is measured.

    Attributes:
        names: validation domains, in the order of the config.
        tokens: (calls * eval_batch, context_length + 1) windows of all domains in that order, and
            copies of the first one up to a whole number of calls.
        counts: windows of each domain.
        num_bytes: bytes of text of each domain's targets.
        eval_batch: windows of one call.
    """

    names: tuple[str, ...]
    tokens: NDArray[np.int32]
    counts: tuple[int, ...]
    num_bytes: tuple[int, ...]
    eval_batch: int

    @property
    def calls(self) -> NDArray[np.int32]:
        """The tokens of each call, (calls, eval_batch, context_length + 1)."""
        return self.tokens.reshape(-1, self.eval_batch, self.tokens.shape[-1])

    def bits_per_byte(self, nats: Array) -> dict[str, float]:
        """Return ``NAME_bpb`` for each domain.

        Args:
            nats: (calls * eval_batch,) surprise of each window.
        """
        ends = np.cumsum(self.counts)
        found = {}
        for name, end, count, size in zip(
            self.names, ends, self.counts, self.num_bytes, strict=True
        ):
            total = nats[end - count : end].astype(np.float64).sum()
            found[bits_per_byte_of(name)] = float(total / (np.log(2) * size))
        return found


def build_validation(
    domains: Sequence[Windows],
    max_tokens: int,
    lengths: NDArray[np.int32],
    eval_batch: int,
) -> Validation:
    """Take the first `max_tokens` tokens of each domain, in whole windows and at least one.

    Args:
        domains: windows of the validation domains.
        max_tokens: targets of each domain, at most.
        lengths: (V,) bytes of each token.
        eval_batch: windows of one call.

    Raises:
        DataError: an id lies outside the vocabulary, or the targets hold no text.
    """
    parts: dict[str, NDArray[np.int32]] = {}
    sizes: dict[str, int] = {}
    for domain in domains:
        wanted = max(1, max_tokens // domain.context_length)
        indices = np.arange(min(wanted, domain.num_windows))
        tokens = check_tokens(domain, domain.read(indices), len(lengths))
        size = int(lengths[tokens[:, 1:]].sum())
        if size == 0:
            raise DataError(
                f"{domain.kind} {domain.name}: its first {tokens[:, 1:].size} tokens hold no text."
            )
        parts[domain.name] = tokens
        sizes[domain.name] = size
    tokens = np.concatenate(list(parts.values()))
    padding = -len(tokens) % eval_batch
    tokens = np.concatenate([tokens, np.repeat(tokens[:1], padding, axis=0)])
    return Validation(
        tuple(parts),
        tokens,
        tuple(len(part) for part in parts.values()),
        tuple(sizes.values()),
        eval_batch,
    )
