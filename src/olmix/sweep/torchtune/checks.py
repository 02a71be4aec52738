"""Checks of a merged config before it is written that `tune validate` leaves out.

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

from olmix.sweep.framework import Base, Note, Path_
from olmix.sweep.merge import at, has, is_quoted
from olmix.sweep.scalars import kind_of, render_flow
from olmix.sweep.torchtune.arguments import missing_keys, unknown_keys
from olmix.sweep.torchtune.registry import read_registry
from olmix.sweep.torchtune.signature import source_tree
from olmix.sweep.torchtune.traps import traps
from olmix.text.yaml_rules import read_scalar

__all__ = ["check_config", "world_size"]

_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu)(:\d+)?")


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


def check_config(base: Base, config: Mapping[str, Any], given: Sequence[Path_]) -> list[Note]:
    """Return everything to say about one config.

    Args:
        base: the base config.
        config: the merged config.
        given: paths that the experiment sets; the rest is the base's own business.
    """
    checks = (
        unknown_keys(base, config, given),
        missing_keys(base, config),
        _values(config, given),
        traps(base, config, given),
    )
    return [note for check in checks for note in check]


def world_size(base: Base, gpus: int) -> int:
    """Return the number of processes of a run."""
    return max(gpus, 1) if base.recipe in read_registry().distributed else 1


def _values(config: Mapping[str, Any], given: Sequence[Path_]) -> Iterator[Note]:
    for path in given:
        if not has(config, path):
            continue
        value = at(config, path)
        if isinstance(value, str) and "${" in value:
            continue
        if path in _RULES:
            is_fine, needed = _RULES[path]
            if not (is_fine(value) or (value is None and path in _NULLABLE)):
                is_text = is_quoted(value, ("int", "float")) and is_fine(read_scalar(value))
                hint = "; drop the quotes" if is_text else ""
                yield Note(path, f"found {render_flow(value)}; {needed}{hint}")
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
