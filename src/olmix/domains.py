"""The data tree: source > topic > quality. Its walk exists once, here.

A *domain* is a leaf, named by the path that leads to it: ``source``, ``source:topic``,
``source:quality`` or ``source:topic:quality``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "BPB",
    "SEPARATOR",
    "Level",
    "Node",
    "bits_per_byte_of",
    "check_name",
    "domain_names",
    "domains_below",
    "is_below",
    "iter_domains",
    "iter_nodes",
    "join",
]

SEPARATOR = ":"
BPB = "_bpb"
"""How the name of a metric in bits per byte ends."""
Level = Literal["source", "topic", "quality"]


def bits_per_byte_of(name: str) -> str:
    """Return the metric of a validation set, in bits per byte."""
    return f"{name}{BPB}"


@dataclass(frozen=True)
class Node:
    """A source, topic or quality of the data tree.

    Attributes:
        name: its own name, without those above it.
        level: what it is.
        children: topics or qualities below it; empty for a domain.
        paths: token files or patterns; empty for an inner node.
        weight: share of the parent that is pinned, or ``None`` where it is free.
    """

    name: str
    level: Level
    children: tuple[Node, ...] = ()
    paths: tuple[str, ...] = ()
    weight: float | None = None

    @property
    def is_domain(self) -> bool:
        """Whether this is a leaf."""
        return not self.children


def join(path: Sequence[Node]) -> str:
    """Return the domain name of a path of nodes from a source down to a leaf."""
    return SEPARATOR.join(node.name for node in path)


def iter_nodes(tree: Sequence[Node]) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """Walk the tree from the top down and yield each node's name with its path of nodes."""

    def walk(path: tuple[Node, ...]) -> Iterator[tuple[str, tuple[Node, ...]]]:
        yield join(path), path
        for child in path[-1].children:
            yield from walk((*path, child))

    for source in tree:
        yield from walk((source,))


def iter_domains(tree: Sequence[Node]) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """Walk the tree in its order and yield each domain's name with its path of nodes."""
    return ((name, path) for name, path in iter_nodes(tree) if path[-1].is_domain)


def domain_names(tree: Sequence[Node]) -> tuple[str, ...]:
    """Return the names of all domains, in the order of the tree."""
    return tuple(name for name, _ in iter_domains(tree))


def is_below(domain: str, node: str) -> bool:
    """Whether a domain is the source, topic or domain of that name, or lies below it."""
    return domain == node or domain.startswith(node + SEPARATOR)


def domains_below(node: str, domains: Sequence[str]) -> tuple[str, ...]:
    """Return the domains of a source, topic or domain, in their order; none if there is no such."""
    return tuple(name for name in domains if is_below(name, node))


def check_name(name: str, level: Level = "source") -> str | None:
    """Return what is wrong with the name of a node, or ``None`` where nothing is.

    Topics may hold a separator, as task names do (``science:physics``); sources may not, so that
    what stands before the first one is the source.
    """
    if not name or name != name.strip():
        return f"found {name!r}; a name must not be empty, nor begin or end with a space"
    for character in ("/", "\\", *(SEPARATOR if level != "topic" else "")):
        if character in name:
            return f"found {name!r}; {character!r} is not allowed in a name"
    if name.startswith(SEPARATOR) or name.endswith(SEPARATOR):
        return f"found {name!r}; a name must not begin or end with {SEPARATOR!r}"
    if name in {".", ".."}:
        return f"found {name!r}; it would be read as a folder"
    if not name.isprintable():
        return f"found {name!r}; a name must not hold control characters"
    return None
