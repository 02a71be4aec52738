"""The sequences that a matched run of OLMo-core may see: a fixed part of each domain's list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olmix.config import OlmoCoreTraining
from olmix.mixing.subset import subset_order
from olmix.records.matching import check_cuts, cut_domains

__all__ = ["Kept", "choose_instances", "keep_instances", "read_kept"]

Kept = Mapping[str, NDArray[np.intp]]
"""Of each file the sequences that are kept, in the order in which a run takes them."""


def choose_instances(
    files: Mapping[str, Sequence[str]],
    counts: Mapping[str, int],
    training: OlmoCoreTraining,
    length: int,
) -> Kept:
    """Choose the sequences of each domain that a matched run may see.

    Args:
        files: files of each domain; a file belongs to one domain.
        counts: whole sequences of each file.
        training: the length of the run and of the large one, and the seed of the subset.
        length: tokens of a sequence.

    Raises:
        ConfigError: names every domain of which less than one step is left.
    """
    totals = {name: sum(counts[file] for file in own) for name, own in files.items()}
    cuts = cut_domains({name: total * length for name, total in totals.items()}, training)
    check_cuts(cuts, training, "data")
    kept: dict[str, NDArray[np.intp]] = {}
    for cut in cuts:
        own = files[cut.name]
        starts = np.cumsum([0, *(counts[file] for file in own)])
        order = subset_order(training.subset_seed, cut.name, totals[cut.name])
        chosen = order[: -(-cut.left // length)]
        owner = np.searchsorted(starts, chosen, side="right") - 1
        kept |= {file: chosen[owner == i] - starts[i] for i, file in enumerate(own)}
    return kept


def keep_instances(mixture: Any, item_bytes: int, training: OlmoCoreTraining, length: int) -> Kept:
    """Let the config of OLMo-core's mixture know of the kept sequences alone; returns them.

    Files may lie in object storage, as OLMo-core reads them.

    Args:
        mixture: OLMo-core's `SourceMixtureDatasetConfig`.
        item_bytes: bytes of a token.
        training: the length of the run and of the large one, and the seed of the subset.
        length: tokens of a sequence.

    Raises:
        ConfigError: names every domain of which less than one step is left.
    """
    from olmo_core.io import get_file_size

    sources = mixture.source_list.sources
    files = {source.source_name: source.resolved_paths for source in sources}
    every = [file for own in files.values() for file in own]
    counts = {file: get_file_size(file) // item_bytes // length for file in every}
    kept = choose_instances(files, counts, training, length)
    for source in sources:
        source._resolved_paths = [file for file in files[source.source_name] if kept[file].size]

    def count(path: str, npdtype: object) -> int:
        del npdtype
        return len(kept[path]) * length

    mixture._count_tokens_for_file = count
    return kept


def read_kept(dataset: Any, kept: Kept) -> None:
    """Let OLMo-core's dataset read the kept sequences alone."""
    read = dataset._read_chunk_from_array

    def read_chunk(path: str, index: int, dtype: object = None) -> Any:
        return read(path, int(kept[str(path)][index]), dtype)

    dataset._read_chunk_from_array = read_chunk
