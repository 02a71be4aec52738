"""The data of an OLMo-core run: tokenizer, sources, and what was taken from each domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmix.config import DataConfig, OlmoCoreTraining, TokenDtype
from olmix.errors import ConfigError, DataError, Problem, nearest
from olmix.mixture import Mixture
from olmix.records.token_files import read_layout
from olmix.records.token_formats import LOCAL
from olmix.records.tokens import (
    byte_lengths,
    data_dtype,
    end_of_document,
    expand,
    open_tokens,
)
from olmix.train.olmo_core.instances import keep_instances, read_kept
from olmix.train.olmo_core.schedule import TrainingSchedule

__all__ = [
    "MixedDataset",
    "Taken",
    "build_dataset",
    "build_tokenizer",
    "count_taken",
    "source_paths",
]

_NAMED_TOKENIZERS = ("dolma2", "dolma2_sigdig", "gpt_neox_olmo_dolma_v1_5", "gpt2")
_SCANNED_TOKENS = 1 << 24
_ROUNDING = 1e-6
"""Room that the repetition of a domain gets, so that rounding down does not refuse a mixture."""


@dataclass(frozen=True)
class Taken:
    """The data that a run sees of its domains.

    Attributes:
        shares: share of each domain in the tokens of the run.
        passes: passes over each domain's tokens.
    """

    shares: dict[str, float]
    passes: dict[str, float]


@dataclass(frozen=True)
class MixedDataset:
    """A dataset and where its sequences come from.

    Attributes:
        dataset: OLMo-core's dataset.
        owners: domain of each of its files, in its order.
        available: sequences that each domain has.
    """

    dataset: Any
    owners: tuple[str, ...]
    available: Mapping[str, float]


def build_tokenizer(training: OlmoCoreTraining, data: DataConfig) -> object:
    """Return OLMo-core's tokenizer config: that of `data.tokenizer`, or the named one.

    Raises:
        ConfigError: OLMo-core knows no tokenizer of this name.
    """
    from olmo_core.data import TokenizerConfig

    if data.tokenizer is not None:
        eos = end_of_document(data.tokenizer)
        size = len(byte_lengths(data.tokenizer))
        return TokenizerConfig(
            vocab_size=size, eos_token_id=eos, pad_token_id=eos, identifier=data.tokenizer
        )
    if training.tokenizer not in _NAMED_TOKENIZERS:
        guess = nearest(training.tokenizer, _NAMED_TOKENIZERS)
        allowed = ", ".join(_NAMED_TOKENIZERS)
        hint = f"did you mean `{guess}`?" if guess else f"allowed: {allowed}."
        what = f'found "{training.tokenizer}"; {hint} Or give data.tokenizer'
        raise ConfigError([Problem("training.tokenizer", what)], "training")
    return getattr(TokenizerConfig, training.tokenizer)()


def source_paths(data: DataConfig, mix: Mixture, eos: int) -> dict[str, list[str]]:
    """Return the token files of each domain of positive weight, checked as far as they are local.

    OLMo-core finds documents by their EOS; a file without one breaks it, long after the start. It
    would read the header of a NumPy file as tokens.

    Raises:
        DataError: names every domain with a missing file, and every file with a header or no EOS.
    """
    found: dict[str, list[str]] = {}
    problems = []
    for name, share in mix.items():
        if share.weight <= 0:
            continue
        paths = data.paths_of(name)
        remote = [path for path in paths if "://" in path]
        try:
            local = expand([p for p in paths if p not in remote], f"domain {name}")
        except DataError as error:
            problems.append(str(error))
            continue
        wrong = [_problem(file, data.dtype, eos) for file in local]
        problems += [f"domain {name}: {text}" for text in wrong if text is not None]
        found[name] = [*remote, *(str(file) for file in local)]
    if problems:
        raise DataError("\n".join(problems))
    return found


def _problem(file: Path, dtype: TokenDtype | None, eos: int) -> str | None:
    """Return what is wrong with a token file, with its name; `None` if nothing is."""
    try:
        if read_layout(str(file), LOCAL, dtype).offset:
            return f"{file}: has a NumPy header; write raw tokens with array.tofile(path)"
        tokens = open_tokens(file, dtype)
    except DataError as error:
        return str(error)
    if not (tokens[:_SCANNED_TOKENS] == eos).any():
        return (
            f"{file}: holds no EOS token ({eos}) in its first {_SCANNED_TOKENS:,} tokens; every "
            "document must end with it"
        )
    return None


def build_dataset(
    training: OlmoCoreTraining,
    data: DataConfig,
    mix: Mixture,
    plan: TrainingSchedule,
    tokenizer: Any,
    work_dir: Path,
) -> MixedDataset:
    """Return the dataset of a mixture.

    Raises:
        DataError: a domain has fewer tokens than its weight takes at its repetition factor.
    """
    from olmo_core.data import NumpyFSLDatasetConfig
    from olmo_core.data.types import NumpyDatasetDType
    from olmo_core.exceptions import OLMoConfigurationError

    paths = source_paths(data, mix, tokenizer.eos_token_id)
    name = data_dtype(data, paths)
    if name is None:
        raise DataError("data.dtype: nothing gives the type of the token files; set it")
    mixture, kept = _source_mixture(training, mix, plan, paths), None
    if training.subset_share < 1:
        kept = keep_instances(mixture, np.dtype(name).itemsize, training, plan.sequence_length)
    config = NumpyFSLDatasetConfig(
        sequence_length=plan.sequence_length,
        tokenizer=tokenizer,
        work_dir=str(work_dir),
        dtype=NumpyDatasetDType(name),
        source_mixture_config=mixture,
        instance_filter_config=_instance_filter(training),
    )
    dtype = np.dtype(name).type
    try:
        built = mixture.build(npdtype=dtype, sequence_length=plan.sequence_length)
        dataset = config.build()
        if kept is not None:
            read_kept(dataset, kept)
    except OLMoConfigurationError as error:
        raise DataError(
            f"{error}. Raise the domain's repetition_factor, or lower training.max_tokens."
        ) from error
    # OLMo-core leaves out files of which the run takes less than a sequence.
    of_file = {str(item.path): one.name for one in built.sources for item in one.path_tokens}
    owners = tuple(of_file[str(path)] for path in dataset.paths)
    sizes = {
        outcome.name: {item.path: item.max_tokens for item in outcome.path_tokens}
        for outcome in built.sources
    }
    available = {name: sum(files.values()) / plan.sequence_length for name, files in sizes.items()}
    return MixedDataset(dataset, owners, available)


def _instance_filter(training: OlmoCoreTraining) -> Any:
    """Return OLMo-core's filter of repetitions, `None` for none."""
    from olmo_core.data.numpy_dataset import InstanceFilterConfig

    chosen = training.instance_filter
    if isinstance(chosen, bool):
        return InstanceFilterConfig() if chosen else None
    return InstanceFilterConfig(**chosen.to_plain())


def _source_mixture(
    training: OlmoCoreTraining, mix: Mixture, plan: TrainingSchedule, paths: Mapping[str, list[str]]
) -> Any:
    """Return OLMo-core's config of a mixture of files."""
    from olmo_core.data.source_mixture import (
        SourceMixtureConfig,
        SourceMixtureDatasetConfig,
        SourceMixtureList,
    )

    sources = [
        SourceMixtureConfig(
            source_name=name,
            target_ratio=mix[name].weight,
            paths=files,
            max_repetition_ratio=max(1.0, mix[name].repetition_factor) * (1 + _ROUNDING),
        )
        for name, files in paths.items()
    ]
    return SourceMixtureDatasetConfig(
        source_list=SourceMixtureList(sources=sources),
        requested_tokens=plan.num_tokens,
        global_batch_size=plan.batch_tokens,
        seed=training.seed,
        render_tables=False,
        quiet=True,
    )


def count_taken(mixed: MixedDataset, order: NDArray[np.integer[Any]], num_instances: int) -> Taken:
    """Count what a run takes from each domain, in the order in which the loader deals it out.

    A run that needs more than the dataset holds begins again; its further passes are taken to deal
    out like the first.

    Args:
        mixed: the dataset.
        order: (n,) indices of its sequences in the order of one epoch.
        num_instances: sequences of the run.
    """
    names = list(mixed.available)
    # Files that give nothing share their start with the next one and must not be found.
    used = [
        (start, names.index(owner))
        for owner, (start, end) in zip(mixed.owners, mixed.dataset.offsets, strict=True)
        if end > start
    ]
    starts, domains = np.array(used).T
    domain_of = domains[np.searchsorted(starts, order, side="right") - 1]
    epochs, rest = divmod(num_instances, len(order))
    counts = epochs * np.bincount(domain_of, minlength=len(names))
    counts = counts + np.bincount(domain_of[:rest], minlength=len(names))
    taken = dict(zip(names, counts.tolist(), strict=True))
    shares = {name: count / num_instances for name, count in taken.items()}
    passes = {name: count / max(mixed.available[name], 1e-9) for name, count in taken.items()}
    return Taken(shares, passes)
