"""Which keys of a config a recipe reads, from the source of the recipe.

torchtune passes over a key that nothing reads, so a misspelt key trains with the default. The
source knows better: ``cfg.batch_size``, ``cfg["seed"]``, ``cfg.get("compile", False)`` and
``cfg.checkpointer.model_type`` are what a recipe can see.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from pathlib import Path

from olmix.sweep.framework import Base
from olmix.sweep.torchtune.registry import read_registry

__all__ = ["keys_of", "keys_read"]

_CONFIG_NAMES = {"cfg", "config", "_cfg"}
# `config.instantiate` and its like are functions of torchtune's module, not keys.
_FUNCTIONS = {"instantiate", "log_config", "parse", "validate"}
# Methods of a config node.
_METHODS = {"get", "items", "keys", "values", "pop", "copy", "update"}


def keys_of(base: Base) -> Mapping[str, frozenset[str]]:
    """Return what the recipe of a base reads; nothing where the recipe is unknown."""
    source = read_registry().recipes.get(base.recipe or "")
    return keys_read(source) if source is not None and source.is_file() else {}


@functools.cache
def keys_read(source: Path) -> Mapping[str, frozenset[str]]:
    """Return the top-level keys that a recipe reads, each with those read below it."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    names = _text_constants(tree)
    found: dict[str, set[str]] = {}
    # Local names for a part of the config: `def _setup(self, cfg_profiler)` called with
    # `cfg_profiler=cfg.profiler`, or `teacher = cfg.teacher_model`.
    parts: dict[str, str] = {}
    for node in ast.walk(tree):
        path = _path(node, names)
        if path:
            found.setdefault(path[0], set()).update(path[1:2])
        if isinstance(node, ast.keyword) and node.arg is not None:
            path = _path(node.value, names)
            if len(path) == 1:
                parts[node.arg] = path[0]
    for node in ast.walk(tree):
        read = _below(node)
        if read is not None and read[0] in parts:
            found.setdefault(parts[read[0]], set()).add(read[1])
    return {key: frozenset(below - _METHODS) for key, below in found.items()}


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
