"""The batches of a run that any Python trainer reads from its data manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from olmix.errors import ConfigError, DataError, Problem
from olmix.mixing.windows import (
    Tokens,
    WindowPlan,
    Windows,
    check_tokens,
    cut_windows,
    open_windows,
    plan_windows,
)
from olmix.records.data_manifest import DataManifest, read_manifest
from olmix.records.tokens import byte_lengths, end_of_document

__all__ = ["Mixing"]

_ANY_TOKEN = 2**31
"""A vocabulary that holds every id of an int32."""


class Mixing(Iterator[Tokens]):
    """The batches of a run, in order: `for tokens in Mixing(manifest, ...)`.

    Each step has the same `batch_size` sequences whatever the number of ranks; a rank gets its rows
    of it. A batch is (batch_size / world_size, context_length + 1) of int32: inputs are all but the
    last token of each row, targets all but the first.

    Args:
        manifest: the file that `{data_manifest}` names.
        context_length: inputs of a sequence.
        batch_size: sequences of a step, of all ranks together.
        rank: which part of each step this process takes.
        world_size: processes that share each step.

    Attributes:
        step: steps handed out so far; set it to continue elsewhere.
        plan: what every step is made of.
        vocab_size: tokens of the vocabulary, `None` where no byte-level tokenizer tells.

    Raises:
        ConfigError: the run takes more of a domain than its repetition factor allows; or the ranks
            cannot share a step; or the run is shorter than a step.
        DataError: the manifest or a token file cannot be read, or holds less than a window.
    """

    def __init__(
        self,
        manifest: str | Path,
        *,
        context_length: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._file = str(manifest)
        self._shape = context_length, batch_size
        self._share = rank, world_size
        self._content = read_manifest(manifest)
        num_steps = self._check()
        self.vocab_size = _vocab_size(self._content)
        self.plan: WindowPlan = plan_windows(
            _open(self._content, context_length, self._file),
            self._content.mix,
            (num_steps, batch_size),
            self._content.seed,
            self.vocab_size or _ANY_TOKEN,
        )
        self.step = 0

    def _check(self) -> int:
        """Return the steps of the run."""
        (context_length, batch_size), (rank, world_size) = self._shape, self._share
        problems = []
        if min(context_length, batch_size) < 1:
            what = f"found {context_length} x {batch_size}; both are at least 1"
            problems.append(Problem("context_length, batch_size", what))
        elif (num_steps := self._content.max_tokens // (context_length * batch_size)) < 1:
            what = (
                f"{self._content.max_tokens} tokens are less than one step of {batch_size} x "
                f"{context_length}"
            )
            problems.append(Problem("max_tokens", what))
        if not 0 <= rank < world_size:
            what = f"found rank {rank} of {world_size}; ranks count from 0"
            problems.append(Problem("rank", what))
        elif batch_size % world_size:
            what = f"{batch_size} sequences cannot be shared evenly by {world_size} ranks"
            problems.append(Problem("batch_size", what))
        if problems:
            raise ConfigError(problems, self._file)
        return num_steps

    def __len__(self) -> int:
        """Return the steps of the run."""
        return self.plan.num_steps

    def __next__(self) -> Tokens:
        if self.step >= len(self):
            raise StopIteration
        tokens = self.batch(self.step)
        self.step += 1
        return tokens

    def batch(self, step: int) -> Tokens:
        """Return this rank's part of a step, counted from 0; moves nothing.

        Raises:
            DataError: an id lies outside the vocabulary.
        """
        rank, world_size = self._share
        rows = self._shape[1] // world_size
        tokens: Tokens = self.plan.batches(step, step + 1, slice(rank * rows, (rank + 1) * rows))[0]
        return tokens

    def validation(self, max_windows: int | None = None) -> dict[str, Tokens]:
        """Return the windows of each validation set, (windows, context_length + 1) of int32.

        Args:
            max_windows: the first so many of each; all if left out.

        Raises:
            DataError: a file cannot be read, holds less than a window, or an unknown token.
        """
        found = {}
        for name, entry in self._content.validation.items():
            files = open_windows(
                name, entry.paths, self._content.dtype, self._shape[0], "validation set"
            )
            tokens = files.read(np.arange(files.num_windows)[:max_windows])
            found[name] = check_tokens(files, tokens, self.plan.vocab_size)
        return found

    def state_dict(self) -> dict[str, int | str]:
        """Return the position, to be kept with a checkpoint; the same on every rank."""
        return {"step": self.step, "plan": self._fingerprint()}

    def load_state_dict(self, state: Mapping[str, int | str]) -> None:
        """Go to a position that was kept.

        Raises:
            DataError: it is of a run with other data, another mixture, seed or shape.
        """
        step, plan = state.get("step"), state.get("plan")
        if not isinstance(step, int) or not 0 <= step <= len(self) or plan != self._fingerprint():
            raise DataError(
                f"{self._file}: the saved position is for different data, or a different mixture, "
                "seed, length or batch. Continue with what the run began with, or start over."
            )
        self.step = step

    def _fingerprint(self) -> str:
        """Return a hash of what decides which window comes when."""
        total = hashlib.blake2b(self.plan.slots.astype(np.int64).tobytes(), digest_size=8)
        sizes = [(domain.name, domain.starts.tolist()) for domain in self.plan.domains]
        subset = self._content.subset_share, self._content.subset_seed
        total.update(repr((self._shape, self.plan.seed, subset, sizes)).encode())
        return total.hexdigest()

    def __reduce__(self) -> tuple[object, ...]:
        """Open the files again in another process: mapped memory would be copied."""
        return _reopen, (self._file, *self._shape, *self._share, self.step)


def _reopen(
    file: str, context_length: int, batch_size: int, rank: int, world_size: int, step: int
) -> Mixing:
    mixing = Mixing(
        file,
        context_length=context_length,
        batch_size=batch_size,
        rank=rank,
        world_size=world_size,
    )
    mixing.step = step
    return mixing


def _open(manifest: DataManifest, context_length: int, file: str) -> list[Windows]:
    """Open the domains that have weight, cut to what a matched run may see."""
    used = {name: entry for name, entry in manifest.domains.items() if entry.weight > 0}
    domains = [
        open_windows(name, entry.paths, manifest.dtype, context_length)
        for name, entry in used.items()
    ]
    if manifest.subset_share >= 1:
        return domains
    unknown = [name for name, entry in used.items() if entry.tokens_seen is None]
    if unknown or manifest.tokenizer is None:
        lacks = f"tokens_seen of {', '.join(unknown)}" if unknown else "a tokenizer"
        raise DataError(
            f"{file}: the run is matched to one of {manifest.target_tokens:,} tokens, but its "
            f"manifest lacks {lacks}: give data.tokenizer and local token files"
        )
    left = {name: entry.tokens_seen or 0 for name, entry in used.items()}
    return cut_windows(domains, left, end_of_document(manifest.tokenizer), manifest.subset_seed)


def _vocab_size(manifest: DataManifest) -> int | None:
    try:
        return None if manifest.tokenizer is None else len(byte_lengths(manifest.tokenizer))
    except DataError:
        return None  # a tokenizer of another kind
