"""Repetition matching: what small runs see of each domain, to repeat it as the large run will.

A run of ``n`` tokens that stands for one of ``N`` may see ``n / N`` of each domain. Weight ``w`` of
a domain of ``P`` tokens then means ``w n / (P n / N) = w N / P`` passes, which are those of the
large run. Without it small runs hardly repeat anything, and favour scarce domains that the large
run would pass over many times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from olmix.config import LaunchConfig, OlmoCoreTraining, ProxyTraining
from olmix.config.training import Training
from olmix.errors import ConfigError, Problem
from olmix.records.token_files import RAW_ENDINGS, ending_of
from olmix.records.tokens import count_tokens, end_of_document, expand, open_tokens
from olmix.text.numbers import counted

__all__ = [
    "Cut",
    "check_cuts",
    "cut_domains",
    "cuts_of",
    "few_documents",
    "length_note",
    "tokens_left",
]

_FEW_DOCUMENTS = 10
_READ_TOKENS = 50_000_000
_SIMILAR = 1.25
"""Tokens per parameter that differ by less than this factor count as the same."""


@dataclass(frozen=True)
class Cut:
    """The part of a domain that is left.

    Attributes:
        name: the domain.
        tokens: what it has.
        left: what runs see of it.
    """

    name: str
    tokens: int
    left: int


def tokens_left(tokens: int, training: Training) -> int:
    """Return how many tokens of a domain a run may see."""
    if training.subset_share >= 1:
        return tokens
    # Rounded up, so that a repetition factor that is just enough stays enough.
    return math.ceil(tokens * training.num_tokens / training.pass_tokens)


def cut_domains(counts: Mapping[str, int], training: Training) -> tuple[Cut, ...]:
    """Return what is left of each domain of these token counts."""
    return tuple(Cut(name, count, tokens_left(count, training)) for name, count in counts.items())


def check_cuts(cuts: tuple[Cut, ...], training: Training, where: str) -> None:
    """Refuse subsets of less than one step, on which a run would only learn by heart.

    Raises:
        ConfigError: names every such domain, and what would do.
    """
    step = _step_tokens(training)
    problems = [
        Problem(
            f"data.{cut.name}",
            f"target_tokens = {training.pass_tokens:,} leaves runs of {training.num_tokens:,} "
            f"tokens {counted(cut.left, 'token')} of its {cut.tokens:,}, less than one step of "
            f"{step:,}. Raise training.max_tokens to "
            f"{math.ceil(step * training.pass_tokens / cut.tokens):,}, make steps smaller "
            "(batch_size, context_length), or leave the domain out.",
        )
        for cut in cuts
        if training.subset_share < 1 and cut.left < step
    ]
    if problems:
        raise ConfigError(problems, where)


def _step_tokens(training: Training) -> int:
    """Return the tokens of a step, as far as the config says them."""
    if isinstance(training, ProxyTraining):
        return training.batch_size * training.context_length
    if isinstance(training, OlmoCoreTraining):
        return training.global_batch_size or training.sequence_length
    return 1


def cuts_of(config: LaunchConfig) -> tuple[Cut, ...]:
    """Return what is left of each domain whose files are local arrays of tokens.

    Raises:
        DataError: a file is missing or unreadable.
    """

    def is_counted(path: str) -> bool:
        return "://" not in path and ending_of(path) in RAW_ENDINGS

    local = {
        name: count_tokens(config.data, name)
        for name in config.data.domains
        if all(is_counted(path) for path in config.data.paths_of(name))
    }
    return cut_domains(local, config.training)


def few_documents(config: LaunchConfig, cuts: tuple[Cut, ...]) -> dict[str, float]:
    """Return the domains of which a matched run sees few documents, about, and how many.

    What such a domain gives hangs on which documents these are. Large domains, of which that can
    hardly be, are not read; without a local tokenizer nothing says where documents end.
    """
    tokenizer = config.data.tokenizer
    if tokenizer is None or config.training.subset_share >= 1:
        return {}
    eos, found = end_of_document(tokenizer), {}
    for cut in cuts:
        if cut.tokens > _READ_TOKENS:
            continue
        files = expand(config.data.paths_of(cut.name), f"domain {cut.name}")
        whole = sum(int((open_tokens(file, config.data.dtype) == eos).sum()) for file in files)
        left = max(whole, 1) * cut.left / cut.tokens
        if left < _FEW_DOCUMENTS:
            found[cut.name] = left
    return found


def length_note(training: Training) -> str | None:
    """Say how tokens per parameter compare with the large run's; `None` where nothing is matched.

    A matched run that is much shorter or longer for its size than the target finds another optimum.
    """
    if training.target_tokens is None:
        return None
    parameters = getattr(training, "num_parameters", None)
    if parameters is None:
        return "cannot compare tokens per parameter: the size of the model is not known"
    own = training.num_tokens / parameters
    if training.target_parameters is None:
        return (
            f"{own:.3g} tokens per parameter; give training.target_parameters to compare with the "
            "large run, which should have the same"
        )
    wanted = training.target_tokens / training.target_parameters
    if max(own / wanted, wanted / own) <= _SIMILAR:
        return f"{own:.3g} tokens per parameter, {wanted:.3g} in the large run"
    return (
        f"warning: {own:.3g} tokens per parameter, but {wanted:.3g} in the large run: matching "
        "works best if they are the same. Set training.max_tokens to about "
        f"{wanted * parameters:,.0f}, or choose a model of about "
        f"{training.num_tokens / wanted:,.0f} parameters"
    )
