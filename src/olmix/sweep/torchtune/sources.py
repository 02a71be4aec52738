"""The format of data files, which `datasets` wants named and a suffix mostly tells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from olmix.sweep.data_files import format_of
from olmix.sweep.framework import Note, Path_

__all__ = ["complete_sources", "datasets_of"]


def datasets_of(config: Mapping[str, Any]) -> Iterator[tuple[Path_, Any]]:
    """Yield (path, node) of the data set of a config, or of each in a list of them."""
    found = config.get("dataset")
    if isinstance(found, list):
        yield from ((("dataset", str(index)), entry) for index, entry in enumerate(found))
    else:
        yield ("dataset",), found


def complete_sources(config: Mapping[str, Any], touched: Collection[str]) -> list[Note]:
    """Name the `source` of data sets that have `data_files` alone; say what was named.

    Args:
        config: a merged config, which is changed.
        touched: its top-level keys that the experiment sets.
    """
    notes: list[Note] = []
    for path, node in datasets_of(config) if "dataset" in touched else ():
        if not isinstance(node, dict) or node.get("source") is not None:
            continue
        source = format_of(node.get("data_files"))
        if source is not None:
            node["source"] = source
            what = f"no source is given: {'.'.join(path)}.source is {source}, by the files' suffix"
            notes.append(Note((*path, "data_files"), what, "notice"))
    return notes
