"""Checks of a merged config before it is written that `tune validate` leaves out.

`tune validate` binds argument names of the top-level components and nothing else: it passes unknown
keys, values of any type, and combinations that fail when training starts.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from olmix.sweep.component_source import source_tree
from olmix.sweep.framework import Base, Note, Path_
from olmix.sweep.merge import at, has
from olmix.sweep.scalars import kind_of, render_flow
from olmix.sweep.torchtune.arguments import missing_keys, unknown_keys
from olmix.sweep.torchtune.registry import read_registry
from olmix.sweep.torchtune.traps import traps
from olmix.sweep.value_checks import ABOVE_0, COUNT, FROM_0, PATH, RATE, SHARE, WHOLE, Rule

__all__ = ["check_config", "world_size"]

_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu)(:\d+)?")


def _clip(value: Any) -> bool:
    return value == "inf" or (kind_of(value) in ("int", "float") and value > 0)


_RULES: Mapping[Path_, Rule] = {
    ("batch_size",): COUNT,
    ("epochs",): COUNT,
    ("gradient_accumulation_steps",): COUNT,
    ("max_steps_per_epoch",): COUNT,
    ("log_every_n_steps",): COUNT,
    ("num_steps",): COUNT,
    ("model", "lora_rank"): COUNT,
    ("model", "lora_alpha"): ABOVE_0,
    ("model", "lora_dropout"): SHARE,
    ("tokenizer", "max_seq_len"): COUNT,
    ("optimizer", "lr"): RATE,
    ("optimizer", "weight_decay"): FROM_0,
    ("lr_scheduler", "num_warmup_steps"): WHOLE,
    ("clip_grad_norm",): Rule(_clip, 'a number above 0, "inf" or null is needed'),
    ("seed",): Rule(WHOLE.is_fine, "a whole number of 0 or more, or null, is needed"),
    ("output_dir",): PATH,
}
# Where `null` stands for "not set"; anywhere else it is a value that fails in training.
_NULLABLE = {
    ("max_steps_per_epoch",),
    ("tokenizer", "max_seq_len"),
    ("clip_grad_norm",),
    ("seed",),
}


def check_config(base: Base, config: Mapping[str, object], given: Sequence[Path_]) -> list[Note]:
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
        if path in _RULES and not (value is None and path in _NULLABLE):
            what = _RULES[path].broken_by(value)
            if what:
                yield Note(path, what)
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
