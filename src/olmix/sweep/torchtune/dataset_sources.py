"""The format of data files, which `datasets` wants named and a suffix mostly tells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from olmix.sweep.data_files import count_rows, format_of
from olmix.sweep.derived_values import DerivationError
from olmix.sweep.framework import MixedEntries, Note, Path_
from olmix.sweep.mixtures import repetitions

__all__ = ["complete_sources", "datasets_of", "mix_by_repetition"]


def datasets_of(config: Mapping[str, object]) -> Iterator[tuple[Path_, object]]:
    """Yield (path, node) of the data set of a config, or of each in a list of them."""
    found = config.get("dataset")
    if isinstance(found, list):
        yield from ((("dataset", str(index)), entry) for index, entry in enumerate(found))
    else:
        yield ("dataset",), found


def complete_sources(config: Mapping[str, object], touched: Collection[str]) -> list[Note]:
    """Name the `source` of data sets that have `data_files` alone; say what was named.

    Args:
        config: a merged config, which is changed.
        touched: its top-level keys that the experiment sets.
    """
    notes: list[Note] = []
    said: set[str] = set()
    for path, node in datasets_of(config) if "dataset" in touched else ():
        if not isinstance(node, dict) or node.get("source") is not None:
            continue
        source = format_of(node.get("data_files"))
        if source is not None:
            node["source"] = source
            if str(node["data_files"]) in said:
                continue
            said.add(str(node["data_files"]))
            what = f"no source is given: {'.'.join(path)}.source is {source}, by the files' suffix"
            notes.append(Note((*path, "data_files"), what, "notice"))
    return notes


def mix_by_repetition(
    sources: Mapping[str, Mapping[str, object]], weights: Mapping[str, float]
) -> MixedEntries:
    """Return a mixture as a list in which each source stands as often as its share needs.

    Raises:
        DerivationError: the rows of a source are not known.
    """
    rows: dict[str, int] = {}
    for name in (name for name, weight in weights.items() if weight > 0):
        found = sources[name].get("rows")
        files = sources[name].get("data_files")
        if found is None and isinstance(files, str):
            found = count_rows(files)
        if not isinstance(found, int) or found < 1:
            raise DerivationError(
                f"torchtune mixes by repeating sources, and the rows of {name} cannot be counted; "
                f"write sources.{name}.rows"
            )
        rows[name] = found
    counts = repetitions(weights, rows)
    if not counts:
        least = min(rows, key=lambda name: weights[name] / rows[name])
        raise DerivationError(
            f"a share of {weights[least]:g} of {least}, which has {rows[least]} rows, is too "
            "small to reach by repeating the others; raise it or set it to 0"
        )
    total = sum(count * rows[name] for name, count in counts.items())
    shares = {name: round(counts.get(name, 0) * rows.get(name, 0) / total, 6) for name in weights}
    nodes: dict[str, dict[str, object]] = {}
    for name in counts:
        nodes[name] = {key: value for key, value in sources[name].items() if key != "rows"}
        source = format_of(nodes[name].get("data_files"))
        if source is not None:
            nodes[name].setdefault("source", source)
    return MixedEntries(
        [dict(nodes[n]) for n, count in counts.items() for _ in range(count)], shares
    )
