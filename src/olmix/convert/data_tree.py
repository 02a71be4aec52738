"""Their data tree: weights that need not sum to 1, limits that are elsewhere here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from olmix.convert.draft import Draft, Location, Plain

__all__ = ["domains_of", "drop_limits", "is_pinned", "mix_of_weights", "scale_weights", "walk"]

_LEVELS = ("topics", "quality")
_SOURCES = ("data", "sources")
_LIMITS = {
    "max_repetition_factor": "here swarm.repetition_factor holds for all domains",
    "max_source_ratio": "here swarm.group_bounds: [{names: [NAME], max: SHARE}]",
    "max_topic_ratio": "here swarm.ratio_bounds: [{names: [SOURCE:NAME], over: [SOURCE], max: "
    "SHARE}]",
}
"""Keys of a source, topic or quality that their sampling did not read, and what stands for them."""


def walk(draft: Draft) -> Iterator[tuple[Location, tuple[str, ...], Plain]]:
    """Yield the place, the path of names and the content of every node of the tree."""

    def inner(place: Location, names: tuple[str, ...]) -> Iterator[Any]:
        nodes = draft.get(*place)
        for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
            if not isinstance(node, dict):
                continue
            path = (*names, str(node.get("name")))
            yield (*place, index), path, node
            for level in _LEVELS:
                yield from inner((*place, index, level), path)

    yield from inner(_SOURCES, ())


def _families(draft: Draft) -> Iterator[tuple[Location, list[Plain]]]:
    """Yield every list of siblings and its place."""
    places = [_SOURCES]
    places += [(*place, level) for place, _, node in walk(draft) for level in _LEVELS]  # type: ignore[misc]
    for place in places:
        nodes = draft.get(*place)
        if isinstance(nodes, list) and nodes and all(isinstance(node, dict) for node in nodes):
            yield place, nodes


def domains_of(draft: Draft) -> list[str]:
    """Return the names of the leaves."""
    return [
        ":".join(names)
        for _, names, node in walk(draft)
        if not any(node.get(level) for level in _LEVELS)
    ]


def drop_limits(draft: Draft) -> None:
    """Take out limits of single nodes; the first of each kind is explained."""
    said: set[str] = set()
    for place, _, node in walk(draft):
        for key in [key for key in _LIMITS if key in node]:
            value = node.pop(key)
            if value != 1 and key not in said:
                said.add(key)
                draft.notes.append(((*place, key), _limit(key, value)))


def _limit(key: str, value: object) -> str:
    return (
        f"{key}: {value} is left out, as is every {key} below: the data tree has no limits; "
        f"{_LIMITS[key]}"
    )


def scale_weights(draft: Draft) -> None:
    """Divide weights of siblings that are all given by their sum, where that is not 1."""
    for place, nodes in _families(draft):
        weights = [node.get("weight") for node in nodes]
        numbers = [w for w in weights if isinstance(w, int | float) and not isinstance(w, bool)]
        total = sum(numbers)
        if len(numbers) < len(nodes) or total <= 0 or abs(total - 1) <= 1e-6:
            continue
        for node in nodes:
            node["weight"] /= total
        draft.notes.append(
            ((*place, 0, "weight"), f"the weights added up to {total:.6g} and were divided by it")
        )


def is_pinned(draft: Draft) -> bool:
    """Whether all weights are given, so that there is nothing to sample."""
    families = [nodes for _, nodes in _families(draft)]
    several = [node for nodes in families for node in nodes if len(nodes) > 1]
    return bool(several) and all("weight" in node for node in several)


def mix_of_weights(draft: Draft) -> Plain:
    """Return the mixture that the weights of all nodes make, and take them out of the tree.

    A node's `max_repetition_factor` holds for what lies below it, as in Ai2's own migration.
    """

    def inner(nodes: list[Plain], share: float, passes: float, names: tuple[str, ...]) -> Plain:
        found: Plain = {}
        for node in nodes:
            path = (*names, str(node.get("name")))
            weight = share * float(node.pop("weight", 1.0))
            own = float(node.pop("max_repetition_factor", passes))
            below = next((node[level] for level in _LEVELS if node.get(level)), None)
            if below is None:
                found[":".join(path)] = {"weight": weight, "repetition_factor": own}
            else:
                found |= inner(below, weight, own, path)
        return found

    return inner(draft.get(*_SOURCES) or [], 1.0, 1.0, ())
