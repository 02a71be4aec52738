"""The recipes and configs that torchtune ships, read from its files; torch is not imported."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from olmix.errors import MissingPackageError

__all__ = ["Registry", "Shipped", "read_registry"]


@dataclass(frozen=True)
class Shipped:
    """A config of `tune ls`.

    Attributes:
        name: as `tune ls` shows it, such as ``llama3_2/1B_lora_single_device``.
        recipe: the recipe that it is written for.
        path: the file.
    """

    name: str
    recipe: str
    path: Path


@dataclass(frozen=True)
class Registry:
    """The configs and recipes that torchtune ships.

    Attributes:
        configs: configs by name.
        recipes: source file of each recipe.
        distributed: recipes that `tune run` starts with several processes.
    """

    configs: Mapping[str, Shipped]
    recipes: Mapping[str, Path]
    distributed: frozenset[str]


@functools.cache
def read_registry() -> Registry:
    """Read the registry of the installed torchtune.

    Names whose file is not shipped are left out (torchtune 0.6.1 has none).

    Raises:
        MissingPackageError: torchtune is not installed.
    """
    spec = importlib.util.find_spec("torchtune")
    if spec is None or spec.origin is None:
        raise MissingPackageError(["torchtune"], "torchtune", "A sweep over torchtune configs")
    package = Path(spec.origin).parent
    root = package.parent / "recipes"
    tree = ast.parse((package / "_recipe_registry.py").read_text(encoding="utf-8"))
    configs: dict[str, Shipped] = {}
    recipes: dict[str, Path] = {}
    distributed: set[str] = set()
    for recipe in _calls(tree, "Recipe"):
        name = _text(recipe, "name")
        recipes[name] = root / _text(recipe, "file_path")
        flag = recipe["supports_distributed"]
        if isinstance(flag, ast.Constant) and flag.value:
            distributed.add(name)
        for config in _calls(recipe["configs"], "Config"):
            path = root / "configs" / _text(config, "file_path")
            if path.is_file():
                configs[_text(config, "name")] = Shipped(_text(config, "name"), name, path)
    return Registry(configs, recipes, frozenset(distributed))


def _calls(tree: ast.AST, name: str) -> list[dict[str, ast.expr]]:
    """Return the keyword arguments of every call of `name`, in the order of the file."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return [{k.arg: k.value for k in node.keywords if k.arg is not None} for node in found]


def _text(call: Mapping[str, ast.expr], key: str) -> str:
    value = call[key]
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    raise ValueError(f"torchtune's registry has a {key} that is not a text")
