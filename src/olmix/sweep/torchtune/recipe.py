"""Which keys of a config a recipe reads, from the source of the recipe.

torchtune passes over a key that nothing reads, so a misspelt key trains with the default. The
source knows better: ``cfg.batch_size``, ``cfg["seed"]``, ``cfg.get("compile", False)`` and
``cfg.checkpointer.model_type`` are what a recipe can see. What it does not `get` must be there: of
the configs that torchtune ships, every one has all of it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from olmix.sweep.framework import Base, Path_
from olmix.sweep.torchtune.registry import read_registry

__all__ = ["Reads", "find_reads", "reads_of"]

_CONFIG_NAMES = {"cfg", "config", "_cfg"}
# `config.instantiate` and its like are functions of torchtune's module, not keys.
_FUNCTIONS = {"instantiate", "log_config", "parse", "validate"}
# Methods of a config node.
_METHODS = {"get", "items", "keys", "values", "pop", "copy", "update"}


@dataclass(frozen=True)
class Reads:
    """The keys of its config that a recipe reads.

    Attributes:
        keys: the top-level keys, each with those read below it.
        needed: paths without which it does not start.
        components: top-level keys that it makes an object of, so that they name a component.
    """

    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    needed: frozenset[Path_] = frozenset()
    components: frozenset[str] = frozenset()


def reads_of(base: Base) -> Reads:
    """Return what the recipe of a base reads; nothing where the recipe is unknown."""
    source = read_registry().recipes.get(base.recipe or "")
    return find_reads(source) if source is not None and source.is_file() else Reads()


@functools.cache
def find_reads(source: Path) -> Reads:
    """Return what a recipe reads, from its source."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    names = _text_constants(tree)
    # Local names for a part of the config: `def _setup(self, cfg_profiler)` called with
    # `cfg_profiler=cfg.profiler`.
    parts: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg is not None:
            path = _path(node.value, names)
            if len(path) == 1:
                parts[node.arg] = path[0]
    keys: dict[str, set[str]] = {}
    needed: set[Path_] = set()
    for node, path in _paths(tree, names, parts):
        keys.setdefault(path[0], set()).update(path[1:2])
        if isinstance(node, ast.Attribute | ast.Subscript):
            needed.add(path[:2])
    return Reads(
        {key: frozenset(below) for key, below in keys.items()},
        frozenset(needed),
        frozenset(_instantiated(tree, names, parts)),
    )


def _paths(
    tree: ast.AST, names: Mapping[str, str], parts: Mapping[str, str]
) -> Iterator[tuple[ast.AST, Path_]]:
    """Yield every expression that reads something of the config, and what it reads."""
    for node in ast.walk(tree):
        path = _path(node, names)
        if path:
            yield node, path
        below = _below(node)
        if below is not None and below[0] in parts and below[1] not in _METHODS:
            yield node, (parts[below[0]], below[1])


def _instantiated(
    tree: ast.AST, names: Mapping[str, str], parts: Mapping[str, str]
) -> Iterator[str]:
    """Yield the keys of which ``config.instantiate`` makes an object."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr != "instantiate":
            continue
        path = _path(node.args[0], names)
        name = node.args[0].id if isinstance(node.args[0], ast.Name) else ""
        if len(path) == 1 or name in parts:
            yield path[0] if path else parts[name]


def _text_constants(tree: ast.AST) -> dict[str, str]:
    """Return names such as ``PROFILER_KEY`` that recipes use for a key."""
    found = {"PROFILER_KEY": "profiler"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    found[target.id] = node.value.value
    return found


def _path(node: ast.AST, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys that an expression such as ``cfg.a.get("b")`` reads."""
    if isinstance(node, ast.Attribute):
        if _is_config(node.value):
            return () if node.attr in _FUNCTIONS | _METHODS else (node.attr,)
        above = _path(node.value, names)
        return (*above, node.attr) if above and node.attr not in _METHODS else above
    if isinstance(node, ast.Subscript):
        key = _key(node.slice, names)
        if key is None:
            return ()
        above = _path(node.value, names)
        return (*above, key) if above or _is_config(node.value) else ()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr not in ("get", "pop") or not node.args:
            return ()
        key = _key(node.args[0], names)
        above = _path(node.func.value, names)
        if key is not None and (above or _is_config(node.func.value)):
            return (*above, key)
    if (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.In | ast.NotIn)
        and _is_config(node.comparators[0])
    ):
        key = _key(node.left, names)
        return (key,) if key is not None else ()
    return ()


def _below(node: ast.AST) -> tuple[str, str] | None:
    """Return (name, key) where a key of a local part of the config is read."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id, node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        key = _key(node.slice, {})
        return (node.value.id, key) if key is not None else None
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr in ("get", "pop")
        and node.args
    ):
        key = _key(node.args[0], {})
        return (node.func.value.id, key) if key is not None else None
    return None


def _is_config(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _CONFIG_NAMES
    return isinstance(node, ast.Attribute) and node.attr in ("cfg", "_cfg")


def _key(node: ast.AST, names: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
    return names.get(name) if isinstance(name, str) else None
