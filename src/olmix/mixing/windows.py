"""Which tokens each step of a run sees.

The token files of a domain are one list of windows: `context_length` inputs and the token after
each of them as its target. Windows start `context_length` tokens apart and stay within their file,
so that every token is a target at most once in a pass. Each pass visits all windows in a fresh
order, which depends on the seed, the domain's name and the number of the pass, and on nothing else:
two runs of a swarm see the same windows of a domain in the same order, whatever their mixtures
(common random numbers).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from olmix.config import TokenDtype
from olmix.errors import ConfigError, DataError, Problem
from olmix.mixing.quota import assign_slots
from olmix.mixing.subset import cut_documents
from olmix.mixture import Mixture
from olmix.records.tokens import expand, open_tokens

__all__ = [
    "Tokens",
    "WindowPlan",
    "Windows",
    "check_tokens",
    "cut_windows",
    "open_windows",
    "plan_windows",
    "window_order",
]

Tokens = NDArray[np.int32]
Indices = NDArray[np.intp]

_STEPS_PER_CHECK = 64
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Windows:
    """The token files of one domain as one list of windows.

    Attributes:
        name: the domain.
        files: token arrays, usually mapped from disk.
        context_length: inputs of a window.
        kind: what errors call it.
    """

    name: str
    files: tuple[NDArray[np.unsignedinteger], ...]
    context_length: int
    kind: str = "domain"

    @cached_property
    def starts(self) -> Indices:
        """Index of each file's first window, and the number of windows at the end; (files + 1,)."""
        counts = [max(0, (len(file) - 1) // self.context_length) for file in self.files]
        return np.cumsum([0, *counts], dtype=np.intp)

    @property
    def num_windows(self) -> int:
        """Windows of one pass."""
        return int(self.starts[-1])

    @property
    def num_tokens(self) -> int:
        """Tokens of all files, those that fill no window included."""
        return sum(len(file) for file in self.files)

    def read(self, indices: Indices) -> NDArray[np.unsignedinteger]:
        """Return windows by index: (n,) to (n, context_length + 1) of the files' own type."""
        starts = self.starts
        owner = np.searchsorted(starts, indices, side="right") - 1
        dtype = self.files[0].dtype if self.files else np.dtype(np.uint32)
        found = np.empty((len(indices), self.context_length + 1), dtype=dtype)
        within = np.arange(self.context_length + 1)
        for index in np.unique(owner):
            mine = owner == index
            first = (indices[mine] - starts[index]) * self.context_length
            found[mine] = self.files[index][first[:, None] + within]
        return found


def open_windows(
    name: str,
    paths: Sequence[str],
    dtype: TokenDtype | None,
    context_length: int,
    kind: str = "domain",
) -> Windows:
    """Open the token files of a domain.

    Raises:
        DataError: a file is missing or unreadable, or there is not one window in all of them.
    """
    files = tuple(open_tokens(path, dtype) for path in expand(paths, f"{kind} {name}"))
    return _checked(Windows(name, files, context_length, kind))


def _checked(windows: Windows) -> Windows:
    """Return windows of which there is at least one."""
    if windows.num_windows == 0:
        longest = max(len(file) for file in windows.files)
        raise DataError(
            f"{windows.kind} {windows.name}: its longest file has {longest} tokens; a window "
            f"needs {windows.context_length + 1}. Add text, lower training.context_length, or "
            "leave the domain out."
        )
    return windows


def cut_windows(
    domains: Sequence[Windows], left: Mapping[str, int], eos: int, seed: int
) -> list[Windows]:
    """Return what a run that is matched to a large one sees of its domains.

    Args:
        domains: all that there is of them.
        left: tokens that the run sees of each domain, by name.
        eos: the token that ends a document.
        seed: seed of the subset.

    Raises:
        DataError: less than a window is left of a domain.
    """
    found = []
    for domain in domains:
        kept = cut_documents(domain.files, eos, left[domain.name], (seed, domain.name))
        found.append(_checked(replace(domain, files=(kept,))))
    return found


@lru_cache(maxsize=64)
def window_order(seed: int, name: str, epoch: int, num_windows: int) -> Indices:
    """Return the order in which pass `epoch` visits the windows of a domain, (num_windows,)."""
    # The built-in hash of a string differs from process to process.
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    order = np.random.default_rng([seed, key, epoch]).permutation(num_windows)
    order.setflags(write=False)
    return order


def check_tokens(domain: Windows, tokens: NDArray[np.unsignedinteger], vocab_size: int) -> Tokens:
    """Return tokens of a domain as the model takes them.

    Raises:
        DataError: an id lies outside the vocabulary.
    """
    largest = int(tokens.max(initial=0))
    if largest >= vocab_size:
        raise DataError(
            f"{domain.kind} {domain.name}: found token {largest}; the tokenizer has {vocab_size} "
            "tokens. Check data.dtype, and that data.tokenizer is the one that made the files."
        )
    return tokens.astype(np.int32)


@dataclass(frozen=True)
class WindowPlan:
    """The windows of a run, in order.

    Attributes:
        domains: the domains of positive weight, by name.
        slots: (steps * batch_size,) domain of each sequence.
        visits: (steps * batch_size,) how many windows of its domain came before it.
        batch_size: sequences of a step.
        seed: seed of the order of each domain's windows.
        vocab_size: tokens of the vocabulary.
    """

    domains: tuple[Windows, ...]
    slots: Indices
    visits: Indices
    batch_size: int
    seed: int
    vocab_size: int

    @property
    def num_steps(self) -> int:
        """Steps of the run."""
        return len(self.slots) // self.batch_size

    @property
    def counts(self) -> Indices:
        """Sequences that each domain gives, (D,)."""
        return np.bincount(self.slots, minlength=len(self.domains))

    @property
    def epochs(self) -> dict[str, float]:
        """Passes over each domain that the run takes."""
        pairs = zip(self.domains, self.counts, strict=True)
        return {domain.name: int(count) / domain.num_windows for domain, count in pairs}

    @property
    def token_shares(self) -> dict[str, float]:
        """Share of each domain in the tokens of the run."""
        pairs = zip(self.domains, self.counts, strict=True)
        return {domain.name: int(count) / len(self.slots) for domain, count in pairs}

    def batches(self, start: int, stop: int, part: slice = slice(None)) -> Tokens:
        """Return the tokens of steps `start` to `stop`.

        Args:
            start: first step.
            stop: the step after the last.
            part: rows of each step to read; all if left out.

        Returns:
            (stop - start, batch_size, context_length + 1); inputs are all but the last token of
            each row, targets all but the first.

        Raises:
            DataError: an id lies outside the vocabulary.
        """
        slots, visits = (
            every.reshape(-1, self.batch_size)[start:stop, part].ravel()
            for every in (self.slots, self.visits)
        )
        width = self.domains[0].context_length + 1
        found = np.empty((len(slots), width), dtype=np.int32)
        for index in np.unique(slots):
            domain, mine = self.domains[index], slots == index
            tokens = domain.read(self._window_indices(domain, visits[mine]))
            found[mine] = check_tokens(domain, tokens, self.vocab_size)
        return found.reshape(stop - start, -1, width)

    def check(self) -> None:
        """Read everything the run will see once, so that bad tokens are found before training.

        Raises:
            DataError: an id lies outside the vocabulary.
        """
        for start in range(0, self.num_steps, _STEPS_PER_CHECK):
            self.batches(start, min(start + _STEPS_PER_CHECK, self.num_steps))

    def _window_indices(self, domain: Windows, visits: Indices) -> Indices:
        epochs, places = np.divmod(visits, domain.num_windows)
        found = np.empty_like(visits)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            order = window_order(self.seed, domain.name, int(epoch), domain.num_windows)
            found[mine] = order[places[mine]]
        return found


def plan_windows(
    domains: Sequence[Windows],
    mix: Mixture,
    steps: tuple[int, int],
    seed: int,
    vocab_size: int,
) -> WindowPlan:
    """Lay out the windows of a run.

    Args:
        domains: the domains to which `mix` gives weight, in any order.
        mix: weights, and the passes over each domain that they may take.
        steps: steps of the run, and sequences of a step.
        seed: seed of the order of each domain's windows.
        vocab_size: tokens of the vocabulary.

    Raises:
        ConfigError: names every domain of which the run takes more tokens than the mixture allows.
    """
    # By name, so that the order of a config file changes nothing.
    ordered = tuple(sorted(domains, key=lambda domain: domain.name))
    weights = mix.weights([domain.name for domain in ordered])
    num_steps, batch_size = steps
    slots = assign_slots(weights, num_steps * batch_size)
    visits = np.empty_like(slots)
    for index in range(len(ordered)):
        mine = slots == index
        visits[mine] = np.arange(mine.sum())
    plan = WindowPlan(ordered, slots, visits, batch_size, seed, vocab_size)
    _check_passes(plan, mix)
    return plan


def _check_passes(plan: WindowPlan, mix: Mixture) -> None:
    """Refuse a run that takes more of a domain than the mixture allows.

    A factor is one of tokens (`mixture.repetition_factors`), whatever fills a window: what generate
    and verify write fits the files whose tokens they counted.
    """
    problems = []
    for domain, count in zip(plan.domains, plan.counts, strict=True):
        factor, size = mix[domain.name].repetition_factor, domain.num_windows
        # Windows are whole, so a domain may get up to one more than its weight says.
        tokens = (int(count) - 1) * domain.context_length
        if tokens > factor * domain.num_tokens * (1 + _ROUNDING):
            passes = math.ceil(100 * count / size) / 100
            problems.append(
                Problem(
                    f"mix.{domain.name}",
                    f"the run takes {count} windows, {passes:.2f} passes over the {size} that "
                    f"there are; repetition_factor = {factor:g} allows fewer. Lower its weight or "
                    f"training.max_tokens, or raise repetition_factor to {passes:.2f}.",
                )
            )
    if problems:
        raise ConfigError(problems)
