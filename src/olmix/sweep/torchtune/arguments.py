"""Keys that nothing reads, and arguments that a component does not take."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from olmix.errors import nearest
from olmix.sweep.component_source import is_missing, parameters_of, source_tree
from olmix.sweep.framework import Base, Note, Path_
from olmix.sweep.merge import COMPONENT, Parameters, at, flatten, has
from olmix.sweep.scalars import render_flow
from olmix.sweep.torchtune.parameter_paths import PLACES
from olmix.sweep.torchtune.recipe import reads_of
from olmix.sweep.value_checks import why_refused

__all__ = ["BUILDERS", "missing_keys", "unknown_keys"]

BUILDERS = ("json", "csv", "parquet", "text", "arrow")
"""File formats of `datasets`."""
_LOADER_ARGUMENTS = "load_dataset_kwargs"
_TRUST = "trust_remote_code"
_EXAMPLES = {
    "lr_scheduler": "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup",
    "optimizer": "torch.optim.AdamW",
    "loss": "torchtune.modules.loss.LinearCrossEntropyLoss",
}


def unknown_keys(
    base: Base,
    config: Mapping[str, object],
    given: Sequence[Path_],
) -> Iterator[Note]:
    """Yield keys that the recipe does not read, and arguments that components do not take.

    Args:
        base: the base config; what it has is its own business.
        config: the merged config.
        given: paths that the experiment sets.
    """
    keys = reads_of(base).keys
    for path in _leaves(config, given):
        top = path[0]
        if top not in base.data and top not in keys and (keys or base.recipe is None):
            yield Note(path, _explain_unknown(top, base, keys))
            continue
        node: Any = config
        for depth, key in enumerate(path):
            component = node.get(COMPONENT) if isinstance(node, Mapping) else None
            node = at(node, (key,))
            if not isinstance(component, str) or key == COMPONENT:
                continue
            refused = _refused(component, key, node)
            # What the base itself has there is its own business.
            if refused and not (refused.is_name and has(base.data, path[: depth + 1])):
                yield Note(path[: depth + 1], refused.what, refused.level)
                break
        if path[-1] == COMPONENT:
            node = at(config, path)
            if not isinstance(node, str) or not node.strip("."):
                yield Note(path, f"found {render_flow(node)}; a dotted name is needed")
            elif is_missing(node):
                yield Note(path, f"{node} does not exist in the package that is installed")


def _leaves(config: Mapping[str, object], given: Sequence[Path_]) -> Iterator[Path_]:
    """Yield paths that are set; of a list of data sets, what each of them has."""
    for path in given:
        yield path
        node = at(config, path)
        for index, entry in enumerate(node if isinstance(node, list) else []):
            if isinstance(entry, Mapping):
                yield from (leaf for leaf, _ in flatten(entry, (*path, str(index))))


def missing_keys(base: Base, config: Mapping[str, object]) -> Iterator[Note]:
    """Yield what the recipe needs and the config has not, so that the run would not start."""
    reads = reads_of(base)
    for key in sorted(reads.components & config.keys()):
        node = config[key]
        if isinstance(node, Mapping) and COMPONENT not in node:
            example = _EXAMPLES.get(key, "...")
            what = f"{key} has no {COMPONENT}, because {base.name} has no {key}"
            yield Note((key,), f"{what}; add {key}: {{{COMPONENT}: {example}}} to the controls")
    model = at(config, ("model", COMPONENT))
    parameters = parameters_of(model) if isinstance(model, str) else None
    has_lora = parameters is not None and "lora_rank" in parameters.kinds
    needs_lora = ("model", "lora_rank") in reads.needed
    if needs_lora and parameters is not None and not has_lora:
        what = f"{base.recipe} trains LoRA, and {model} is a full model without; use its `lora_` "
        yield Note(("model",), f"{what}builder, or a full recipe and config")
    elif has_lora and not needs_lora and ("optimizer",) in reads.needed:
        what = f"{base.recipe} trains the full model, and {model} has LoRA; use a LoRA recipe and "
        yield Note(("model",), f"{what}config, or the builder without `lora_`")
    else:
        for path in sorted(reads.needed):
            if has(config, path[:-1]) and not has(config, path):
                what = f"{base.recipe} reads {'.'.join(path)}, and the config has none"
                yield Note(path, f"{what}: the run would not start")


def _explain_unknown(top: str, base: Base, keys: Iterable[str]) -> str:
    if base.recipe is None:
        return (
            f"{base.name} has no key `{top}`, and it is unknown which recipe reads it; name the "
            "recipe in framework_config.recipe"
        )
    text = f"{base.recipe} reads no key `{top}`, and the base has none"
    guess = nearest(top, [*keys, *base.data, *PLACES])
    if guess is not None:
        return f"{text}; did you mean `{guess}`?"
    inside = [
        f"{name}.{top}"
        for name, node in base.data.items()
        if isinstance(node, Mapping)
        and isinstance(node.get(COMPONENT), str)
        and (found := parameters_of(node[COMPONENT])) is not None
        and top in found.kinds
    ]
    if inside:
        return f"{text}; did you mean `{inside[0]}`?"
    return f"{text}; training would silently ignore it. Remove it."


@dataclass(frozen=True)
class _Refused:
    """Why a component does not take an argument.

    Attributes:
        what: the explanation.
        is_name: whether it is the name that is refused, and not the value.
        level: whether it stops the generation.
    """

    what: str
    is_name: bool = False
    level: Literal["error", "warning"] = "error"


def _refused(component: str, key: str, value: object) -> _Refused | None:
    """Return why a component does not take an argument, or `None` if it does."""
    parameters = parameters_of(component)
    if parameters is None:
        return None
    if key in parameters.kinds:
        return _refused_value(component, key, value, parameters)
    if key == _TRUST and parameters.rest == _LOADER_ARGUMENTS:
        what = f"`datasets` no longer runs code of data sets and ignores {_TRUST}; remove it"
        return _Refused(what, is_name=True, level="warning")
    known = list(parameters.kinds)
    if parameters.rest == _LOADER_ARGUMENTS:
        loader = _loader_arguments()
        if not loader or key in loader:
            return None
        known += loader
    guess = nearest(key, known)
    hint = f"; did you mean `{guess}`?" if guess is not None else ""
    if not parameters.open or parameters.rest == _LOADER_ARGUMENTS:
        allowed = f"; it takes {', '.join(parameters.kinds)}" if not hint else ""
        return _Refused(f"{component} takes no argument `{key}`{hint}{allowed}", is_name=True)
    if guess is not None:
        what = f"{component} passes `{key}` on unchecked{hint}"
        return _Refused(what, is_name=True, level="warning")
    return None


def _refused_value(
    component: str, key: str, value: object, parameters: Parameters
) -> _Refused | None:
    what = why_refused(component, key, value, parameters)
    return None if what is None else _Refused(what)


@functools.cache
def _loader_arguments() -> tuple[str, ...]:
    """Return what `datasets.load_dataset` takes for files; empty where it is not installed."""
    loader = parameters_of("datasets.load.load_dataset")
    if loader is None:
        return ()
    names = set(loader.kinds)
    for builder in BUILDERS:
        names |= _fields(f"datasets.packaged_modules.{builder}.{builder}")
    return tuple(sorted(names | {"version", "description"}))


def _fields(module: str) -> set[str]:
    """Return the fields of the config class of a file format of `datasets`."""
    tree = source_tree(module)
    return {
        entry.target.id
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config")
        for entry in node.body
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)
    }
