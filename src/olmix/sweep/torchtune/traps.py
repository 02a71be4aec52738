"""Combinations that pass `tune validate` and fail, or mislead, in the queue."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.sweep.framework import Base, Note, Path_
from olmix.sweep.merge import COMPONENT, at
from olmix.sweep.own_folders import resolve_folder
from olmix.sweep.scalars import kind_of
from olmix.sweep.torchtune.arguments import BUILDERS
from olmix.sweep.torchtune.cost import estimate
from olmix.sweep.torchtune.dataset_sources import datasets_of
from olmix.sweep.torchtune.logs import find_folders
from olmix.sweep.torchtune.registry import read_registry

__all__ = ["traps"]

_LOGGERS_ELSEWHERE = ("WandBLogger", "CometLogger", "MLFlowLogger")


def traps(base: Base, config: Mapping[str, Any], given: Sequence[Path_]) -> Iterator[Note]:
    """Yield everything of this kind about one config.

    Args:
        base: the base config.
        config: the merged config.
        given: paths that the experiment sets.
    """
    touched = {path[0] for path in given}
    if touched & {"dataset", "tokenizer"}:
        yield from _data_traps(config)
    if isinstance(config.get("dataset"), list) and config.get("shuffle") is not True:
        what = "without shuffle: true, the data sets of a list are trained on one after the other"
        yield Note(("dataset",), what, "warning")
    yield from _step_traps(config, touched)
    yield from _logger_traps(config)
    yield from folder_traps(config)
    cost = estimate(config, 1)
    warmup = at(config, ("lr_scheduler", "num_warmup_steps"))
    if cost.steps is not None and kind_of(warmup) == "int" and warmup >= cost.steps:
        yield Note(
            ("lr_scheduler", "num_warmup_steps"),
            f"the warm-up of {warmup} steps does not end within the {cost.steps} steps of "
            "training: the learning rate never reaches its value. Lower num_warmup_steps or "
            "train longer",
            "warning",
        )
    if config.get("dtype") == "fp16" and ("dtype",) in given and _refuses_fp16(base):
        yield Note(("dtype",), f"{base.recipe} refuses fp16; use bf16 or fp32")


def _data_traps(config: Mapping[str, Any]) -> Iterator[Note]:
    """Yield what is wrong with a data set, or with any in a list of them."""
    length = at(config, ("tokenizer", "max_seq_len"))
    for path, dataset in datasets_of(config):
        if not isinstance(dataset, Mapping):
            continue
        if COMPONENT not in dataset:
            what = (
                f"{'.'.join(path)} names no {COMPONENT}, such as torchtune.datasets.alpaca_dataset"
            )
            yield Note(path, what)
        if dataset.get("packed") is True and length is None:
            yield Note(
                (*path, "packed"),
                "packed: true needs a length to pack to, and tokenizer.max_seq_len is null; "
                "set max_seq_len, such as 2048",
            )
        if dataset.get("data_files") is not None and dataset.get("source") is None:
            component = str(dataset.get(COMPONENT, "the dataset"))
            yield Note(
                (*path, "data_files"),
                f"without a source, {component.rpartition('.')[2]} looks for this file in a "
                "dataset on the Hub, and its suffix does not tell the format; set "
                f"{'.'.join(path)}.source: json (or {', '.join(BUILDERS[1:4])})",
            )


def _step_traps(config: Mapping[str, Any], touched: Collection[str]) -> Iterator[Note]:
    """Yield what recipes refuse when they start, or divide badly."""
    offloading, checkpointing = "enable_activation_offloading", "enable_activation_checkpointing"
    if (
        config.get(offloading) is True
        and config.get(checkpointing) is False
        and {offloading, checkpointing} & set(touched)
    ):
        yield Note(
            (offloading,),
            "activation offloading needs activation checkpointing; "
            "set enable_activation_checkpointing: true",
        )
    steps = _whole(config, "gradient_accumulation_steps")
    if config.get("optimizer_in_bwd") is True:
        if steps > 1:
            yield Note(
                ("gradient_accumulation_steps",),
                f"found {steps}; with optimizer_in_bwd: true only 1 is possible. "
                "Set optimizer_in_bwd: false, or raise batch_size instead",
            )
        if config.get("clip_grad_norm") is not None:
            yield Note(
                ("clip_grad_norm",),
                "gradients cannot be clipped with optimizer_in_bwd: true; "
                "set optimizer_in_bwd: false, or clip_grad_norm: null",
            )
    for whole, part in (
        ("batch_size", "forward_batch_size"),
        ("batch_size", "ppo_batch_size"),
        ("ppo_batch_size", "gradient_accumulation_steps"),
    ):
        total, share = _whole(config, whole), _whole(config, part)
        is_meant = "ppo_batch_size" in config and {whole, part} & set(touched)
        if is_meant and share > 0 and total % share:
            yield Note((part,), f"{whole} ({total}) must be a multiple of {part} ({share})")


def _whole(config: Mapping[str, Any], key: str) -> int:
    """Return a whole number of a config; 0 where it is something else."""
    value = config.get(key)
    return value if isinstance(value, int) else 0


def _logger_traps(config: Mapping[str, Any]) -> Iterator[Note]:
    """Yield where `olmix sweep results` will not find what runs log."""
    logger = config.get("metric_logger")
    if not isinstance(logger, Mapping):
        return
    name = str(logger.get(COMPONENT)).rpartition(".")[2]
    if name in _LOGGERS_ELSEWHERE:
        yield Note(
            ("metric_logger",),
            f"`olmix sweep results` cannot read what {name} logs; it reads DiskLogger, "
            "TensorBoardLogger, and StdoutLogger under the array script",
            "notice",
        )


def folder_traps(config: Mapping[str, Any], root: Path | None = None) -> Iterator[Note]:
    """Yield checkpointers that would write where they read, which they refuse.

    Args:
        config: of a run.
        root: folder that relative paths are relative to; `None` where it is not known yet, so that
            links are not followed and a relative path is only compared with a relative one.
    """
    folders = find_folders(config)
    for key, node in config.items():
        source = node.get("checkpoint_dir") if isinstance(node, Mapping) else None
        path = (key, "output_dir")
        if not isinstance(source, str) or path not in folders:
            continue
        read, written = Path(resolve_folder(config, source)), Path(folders[path])
        if root is not None:
            read, written = (root / read).resolve(), (root / written).resolve()
        if read in (written, *written.parents):
            yield Note(
                path,
                f"{written} is in {key}.checkpoint_dir, {read}, which torchtune refuses; choose "
                "another folder",
            )


def _refuses_fp16(base: Base) -> bool:
    source = read_registry().recipes.get(base.recipe or "")
    if source is None or not source.is_file():
        return False
    return "fp16 precision is not supported" in source.read_text(encoding="utf-8")
