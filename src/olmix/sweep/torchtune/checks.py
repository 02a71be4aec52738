"""What we check of a merged config before it is written, because `tune validate` does not.

`tune validate` binds argument names of the top-level components and nothing else: it passes unknown
keys, values of any type, and combinations that fail when training starts.
"""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from olmix.errors import nearest
from olmix.sweep.framework import Base, Note, Path_
from olmix.sweep.scalars import kind_of, render_flow
from olmix.sweep.torchtune.cost import estimate
from olmix.sweep.torchtune.registry import read_registry
from olmix.sweep.torchtune.signature import is_missing, parameters_of, source_tree

__all__ = ["check_config", "world_size"]

COMPONENT = "_component_"
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu)(:\d+)?")
_BUILDERS = ("json", "csv", "parquet", "text", "arrow")
_LOADER_ARGUMENTS = "load_dataset_kwargs"


def _whole_above_0(value: Any) -> bool:
    return kind_of(value) == "int" and value > 0


def _whole_from_0(value: Any) -> bool:
    return kind_of(value) == "int" and value >= 0


def _above_0(value: Any) -> bool:
    return kind_of(value) in ("int", "float") and value > 0 and math.isfinite(value)


def _from_0(value: Any) -> bool:
    return kind_of(value) in ("int", "float") and value >= 0 and math.isfinite(value)


def _share(value: Any) -> bool:
    return _from_0(value) and value < 1


def _clip(value: Any) -> bool:
    return value == "inf" or (kind_of(value) in ("int", "float") and value > 0)


_COUNT = (_whole_above_0, "a whole number above 0 is needed")
_RULES: Mapping[Path_, tuple[Callable[[Any], bool], str]] = {
    ("batch_size",): _COUNT,
    ("epochs",): _COUNT,
    ("gradient_accumulation_steps",): _COUNT,
    ("max_steps_per_epoch",): _COUNT,
    ("log_every_n_steps",): _COUNT,
    ("num_steps",): _COUNT,
    ("model", "lora_rank"): _COUNT,
    ("model", "lora_alpha"): (_above_0, "a number above 0 is needed"),
    ("model", "lora_dropout"): (_share, "a number from 0 to below 1 is needed"),
    ("tokenizer", "max_seq_len"): _COUNT,
    ("optimizer", "lr"): (_above_0, "a number above 0 is needed, such as 3e-4"),
    ("optimizer", "weight_decay"): (_from_0, "a number of 0 or more is needed"),
    ("lr_scheduler", "num_warmup_steps"): (_whole_from_0, "a whole number of 0 or more is needed"),
    ("clip_grad_norm",): (_clip, 'a number above 0, "inf" or null is needed'),
    ("seed",): (_whole_from_0, "a whole number of 0 or more, or null, is needed"),
    ("output_dir",): (lambda value: kind_of(value) == "text" and value != "", "a path is needed"),
}
# Where `null` stands for "not set"; anywhere else it is a value that fails in training.
_NULLABLE = {
    ("max_steps_per_epoch",),
    ("tokenizer", "max_seq_len"),
    ("clip_grad_norm",),
    ("seed",),
}


def check_config(
    base: Base,
    config: Mapping[str, Any],
    given: Sequence[Path_],
    keys: Mapping[str, frozenset[str]],
    places: Mapping[str, Path_],
) -> list[Note]:
    """Return everything to say about one config.

    Args:
        base: the base config.
        config: the merged config.
        given: paths that the experiment sets; the rest is the base's own business.
        keys: what the recipe reads; empty where the recipe is unknown.
        places: names that live below the top.
    """
    notes = [*_unknown_keys(base, config, given, keys, places)]
    notes += _values(config, given)
    notes += _traps(base, config, given)
    return notes


def world_size(base: Base, gpus: int) -> int:
    """Return the number of processes of a run."""
    return max(gpus, 1) if base.recipe in read_registry().distributed else 1


def _unknown_keys(
    base: Base,
    config: Mapping[str, Any],
    given: Sequence[Path_],
    keys: Mapping[str, frozenset[str]],
    places: Mapping[str, Path_],
) -> Iterator[Note]:
    for path in given:
        top = path[0]
        if top not in base.data and top not in keys and (keys or base.recipe is None):
            yield Note(path, _explain_unknown(top, base, keys, places))
            continue
        node: Any = config
        for depth, key in enumerate(path):
            if not isinstance(node, Mapping):
                break
            component = node.get(COMPONENT)
            if isinstance(component, str) and key != COMPONENT:
                what = _refused(component, key, node.get(key))
                # What the base itself has there is its own business.
                if what is not None and not (
                    what[1] == "key" and _has(base.data, path[: depth + 1])
                ):
                    yield Note(path[: depth + 1], what[0], what[2])
                    break
            node = node.get(key)
        if path[-1] == COMPONENT:
            node = _at(config, path)
            if not isinstance(node, str) or not node.strip("."):
                yield Note(path, f"found {render_flow(node)}; a dotted name is needed")
            elif is_missing(node):
                yield Note(path, f"{node} does not exist in the package that is installed")


def _explain_unknown(
    top: str, base: Base, keys: Mapping[str, frozenset[str]], places: Mapping[str, Path_]
) -> str:
    if base.recipe is None:
        return (
            f"{base.name} has no key `{top}`, and it is not known which recipe reads it; "
            "name the recipe in framework_config.recipe"
        )
    text = f"{base.recipe} reads no key `{top}`, and the base has none"
    guess = nearest(top, [*keys, *base.data, *places])
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
    return f"{text}; it would be silently ignored in training. Remove it."


def _refused(component: str, key: str, value: Any) -> tuple[str, str, Any] | None:
    """Return (explanation, what is wrong, level) where a component does not take an argument."""
    parameters = parameters_of(component)
    if parameters is None:
        return None
    if key in parameters.kinds:
        kinds, kind = parameters.kinds[key], kind_of(value)
        is_open = not kinds or value is None or (kind == "text" and "${" in value)
        if not is_open and kind not in kinds and not (kind == "int" and "float" in kinds):
            allowed = " or ".join(sorted(kinds - {"null"}))
            return (
                f"{component} takes {allowed} as {key}; found {kind} ({render_flow(value)})",
                "type",
                "error",
            )
        choices = parameters.choices.get(key, ())
        if choices and not is_open and value not in choices:
            listed = ", ".join(render_flow(choice) for choice in choices)
            return f"found {render_flow(value)}; {component} allows: {listed}", "type", "error"
        return None
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
        return f"{component} takes no argument `{key}`{hint}{allowed}", "key", "error"
    if guess is not None:
        return f"{component} passes `{key}` on unchecked{hint}", "key", "warning"
    return None


@functools.cache
def _loader_arguments() -> tuple[str, ...]:
    """Return what `datasets.load_dataset` takes for files; empty where it is not installed."""
    loader = parameters_of("datasets.load.load_dataset")
    if loader is None:
        return ()
    names = set(loader.kinds)
    for builder in _BUILDERS:
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


def _values(config: Mapping[str, Any], given: Sequence[Path_]) -> Iterator[Note]:
    for path in given:
        if not _has(config, path):
            continue
        value = _at(config, path)
        if isinstance(value, str) and "${" in value:
            continue
        if path in _RULES:
            is_fine, needed = _RULES[path]
            if not (is_fine(value) or (value is None and path in _NULLABLE)):
                yield Note(path, f"found {render_flow(value)}; {needed}")
        if path[-1] == "dtype":
            allowed = _dtypes()
            if allowed and value not in allowed:
                yield Note(path, f"found {render_flow(value)}; allowed: {', '.join(allowed)}")
        if path == ("device",) and not (isinstance(value, str) and _DEVICE.fullmatch(value)):
            yield Note(path, f"found {render_flow(value)}; allowed: cpu, cuda, mps, xpu, npu")


@functools.cache
def _dtypes() -> tuple[str, ...]:
    """Return the names of torchtune's precisions, from its source."""
    tree = source_tree("torchtune.training.precision")
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            return tuple(str(key.value) for key in node.value.keys if isinstance(key, ast.Constant))
    return ()


def _traps(base: Base, config: Mapping[str, Any], given: Sequence[Path_]) -> Iterator[Note]:
    """Yield combinations that pass `tune validate` and fail, or mislead, in the queue."""
    touched = {path[0] for path in given}
    tokenizer = config.get("tokenizer")
    datasets = config.get("dataset")
    for dataset in datasets if isinstance(datasets, list) else [datasets]:
        if not isinstance(dataset, Mapping) or not touched & {"dataset", "tokenizer"}:
            continue
        length = tokenizer.get("max_seq_len") if isinstance(tokenizer, Mapping) else None
        if dataset.get("packed") is True and length is None:
            yield Note(
                ("dataset", "packed"),
                "packed: true needs a length to pack to, and tokenizer.max_seq_len is null; "
                "set max_seq_len, such as 2048",
            )
        if dataset.get("data_files") is not None and dataset.get("source") is None:
            component = str(dataset.get(COMPONENT, "the dataset"))
            yield Note(
                ("dataset", "data_files"),
                f"without a source, {component.rpartition('.')[2]} looks for this file in a "
                f"dataset on the Hub; set dataset.source: json (or {', '.join(_BUILDERS[1:4])})",
            )
    cost = estimate(config, 1)
    warmup = _at(config, ("lr_scheduler", "num_warmup_steps"))
    if cost.steps is not None and kind_of(warmup) == "int" and warmup >= cost.steps:
        yield Note(
            ("lr_scheduler", "num_warmup_steps"),
            f"the warm-up of {warmup} steps does not end in a training of {cost.steps} steps: the "
            "learning rate never reaches its value. Lower num_warmup_steps or train longer",
            "warning",
        )
    dtype = config.get("dtype")
    if dtype == "fp16" and ("dtype",) in given and _refuses_fp16(base):
        yield Note(("dtype",), f"{base.recipe} refuses fp16; use bf16 or fp32")
    if (
        config.get("enable_activation_offloading") is True
        and config.get("enable_activation_checkpointing") is False
        and touched & {"enable_activation_offloading", "enable_activation_checkpointing"}
    ):
        yield Note(
            ("enable_activation_offloading",),
            "activation offloading needs activation checkpointing; "
            "set enable_activation_checkpointing: true",
        )


def _refuses_fp16(base: Base) -> bool:
    source = read_registry().recipes.get(base.recipe or "")
    if source is None or not source.is_file():
        return False
    return "fp16 precision is not supported" in source.read_text(encoding="utf-8")


def _at(config: Mapping[str, Any], path: Path_) -> Any:
    node: Any = config
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    return node


def _has(config: Mapping[str, Any], path: Path_) -> bool:
    node: Any = config
    for step in path:
        if not isinstance(node, Mapping) or step not in node:
            return False
        node = node[step]
    return True
