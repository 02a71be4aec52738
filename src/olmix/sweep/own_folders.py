"""Folders that runs write: each run has its own, or it is an error."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from olmix.sweep.framework import Framework, Path_
from olmix.sweep.merge import at

__all__ = ["collisions", "resolve_folder", "shared_folders", "with_folders"]

_KEY = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
_MOST_STEPS = 8

Config = Mapping[str, Any]


def resolve_folder(config: Config, text: str) -> str:
    """Return a folder of a config with ``${output_dir}`` and its like put in."""
    for _ in range(_MOST_STEPS):
        filled = _KEY.sub(lambda match: _text(at(config, match[1].split(".")), match[0]), text)
        if filled == text:
            break
        text = filled
    return os.path.normpath(text)


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) else default


def shared_folders(framework: Framework, configs: Sequence[Config]) -> dict[Path_, str]:
    """Return the keys under which several runs write the same folder, and one such folder.

    What follows from another key, such as ``${output_dir}/logs``, is not shared once that is not.
    """
    found: dict[Path_, str] = {}
    ids = [str(number) for number in range(len(configs))]
    while True:
        now = [
            with_folders(config, found, functools.partial(_below, own))
            for config, own in zip(configs, ids, strict=True)
        ]
        new = _first_shared(framework, now, found)
        if new is None:
            return found
        found[new[0]] = new[1]


def _below(name: str, path: Path_, folder: str) -> str:
    del path
    return f"{folder}/{name}"


def _first_shared(
    framework: Framework, configs: Sequence[Config], known: Mapping[Path_, str]
) -> tuple[Path_, str] | None:
    first: dict[tuple[Path_, str], None] = {}
    for config in configs:
        for path, folder in framework.folders(config).items():
            if path not in known and (path, folder) in first:
                return path, folder
            first[path, folder] = None
    return None


def with_folders(
    config: Config, paths: Mapping[Path_, Any], rename: Callable[[Path_, str], str]
) -> dict[str, Any]:
    """Return a config whose folders at `paths` are those that `rename` gives."""
    changed = dict(config)
    for path in paths:
        node = changed
        for key in path[:-1]:
            node[key] = dict(node[key]) if isinstance(node.get(key), Mapping) else {}
            node = node[key]
        if isinstance(node.get(path[-1]), str):
            node[path[-1]] = rename(path, node[path[-1]].rstrip("/"))
    return changed


def collisions(framework: Framework, configs: Sequence[Config]) -> Iterator[tuple[Path_, str]]:
    """Yield (key, folder) where a run writes a folder that another run has under another key."""
    owners: dict[str, int] = {}
    for number, config in enumerate(configs):
        for path, folder in framework.folders(config).items():
            if owners.setdefault(folder, number) != number:
                yield path, folder
