"""Arguments of TRL's commands, read from the source of the installed version without torch."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping

from olmix.errors import MissingPackageError
from olmix.sweep.component_source import find_file, join, parameters_of, source_tree
from olmix.sweep.merge import Parameters

__all__ = ["DATASET", "launch_keys", "recipes"]

DATASET = "trl.scripts.utils.DatasetConfig"
"""An entry of `datasets`."""
_MIXTURE = "DatasetMixtureConfig"


@functools.cache
def recipes() -> Mapping[str, Parameters]:
    """Return every training command, and what its config can hold.

    Raises:
        MissingPackageError: TRL is not installed.
    """
    package = find_file("trl")
    if package is None:
        raise MissingPackageError(["trl"], "trl", "A sweep over TRL's commands")
    found: dict[str, Parameters] = {}
    for script in sorted((package.parent / "scripts").glob("[a-z]*.py")):
        names = _dataclasses(script.stem)
        known = [
            parameters_of(f"trl.{name}") or parameters_of(f"trl.scripts.{script.stem}.{name}")
            for name in names
        ]
        if _MIXTURE in names and all(part is not None for part in known):
            found[script.stem] = functools.reduce(join, filter(None, known))
    return found


def _dataclasses(script: str) -> list[str]:
    """Return the dataclasses that a script's parser is made of."""
    tree = source_tree(f"trl.scripts.{script}")
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        if any(isinstance(t, ast.Name) and t.id == "dataclass_types" for t in node.targets):
            return [entry.id for entry in node.value.elts if isinstance(entry, ast.Name)]
    return []


@functools.cache
def launch_keys() -> frozenset[str]:
    """Return the keys that TRL reads itself or passes on to `accelerate launch`."""
    tree = source_tree("accelerate.commands.launch")
    options = {
        str(argument.value).removeprefix("--").replace("-", "_")
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_argument"
        for argument in node.args
        if isinstance(argument, ast.Constant) and str(argument.value).startswith("--")
    }
    return frozenset(options | {"env", "accelerate_config"})
