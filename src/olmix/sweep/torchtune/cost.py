"""The size of a torchtune run: batch, steps and tokens, as far as the config tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from olmix.sweep.data_files import count_rows
from olmix.sweep.framework import RunCost
from olmix.sweep.scalars import kind_of

__all__ = ["estimate"]


def estimate(config: Mapping[str, Any], processes: int) -> RunCost:
    """Return what a run takes.

    Steps need `max_steps_per_epoch`, or a local JSON file whose rows can be counted; the smaller of
    the two counts. Tokens are an upper bound: full sequences of `max_seq_len`.
    """
    if "ppo_batch_size" in config:
        return _estimate_ppo(config, processes)
    batch, accumulation = config.get("batch_size"), config.get("gradient_accumulation_steps", 1)
    epochs, limit = config.get("epochs"), config.get("max_steps_per_epoch")
    if kind_of(batch) != "int" or kind_of(accumulation) != "int":
        return RunCost(processes=processes)
    effective = int(batch or 0) * int(accumulation) * processes
    if effective <= 0 or kind_of(epochs) != "int":
        return RunCost(processes=processes)
    rows = _rows(config.get("dataset"))
    # The last, incomplete batch is dropped, and so is an incomplete accumulation.
    steps = None if rows is None else rows // (int(batch or 1) * processes) // int(accumulation)
    if isinstance(limit, int):
        steps = limit if steps is None else min(steps, limit)
    total = None if steps is None else steps * int(epochs or 0)
    tokenizer = config.get("tokenizer")
    length = tokenizer.get("max_seq_len") if isinstance(tokenizer, Mapping) else None
    tokens = total * effective * length if total is not None and isinstance(length, int) else None
    return RunCost(effective, total, tokens, processes)


def _estimate_ppo(config: Mapping[str, Any], processes: int) -> RunCost:
    """Return what PPO takes: it learns from each batch of answers in several smaller ones."""
    keys = ("num_steps", "batch_size", "ppo_epochs", "ppo_batch_size")
    values = [value for key in keys if isinstance(value := config.get(key), int) and value > 0]
    if len(values) < len(keys):
        return RunCost(processes=processes)
    total, batch, epochs, part = values
    steps = (total // batch) * epochs * (batch // part)
    return RunCost(effective_batch=part, steps=steps, processes=processes)


def _rows(dataset: Any) -> int | None:
    """Return the rows of a dataset of one local JSON file that is not packed, or of a list."""
    if isinstance(dataset, list):
        counts = [_rows(entry) for entry in dataset]
        return None if None in counts else sum(filter(None, counts))
    if not isinstance(dataset, Mapping) or dataset.get("packed") is True:
        return None
    files = dataset.get("data_files")
    if dataset.get("source") != "json" or not isinstance(files, str) or "*" in files:
        return None
    if dataset.get("split", "train") != "train" or dataset.get("field") is not None:
        return None
    return count_rows(files)
