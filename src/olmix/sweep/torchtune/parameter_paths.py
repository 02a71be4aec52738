"""Where torchtune's parameters live."""

from __future__ import annotations

from collections.abc import Mapping

from olmix.sweep.framework import Path_

__all__ = ["PLACES"]

PLACES: Mapping[str, Path_] = {
    "learning_rate": ("optimizer", "lr"),
    "lr": ("optimizer", "lr"),
    "weight_decay": ("optimizer", "weight_decay"),
    "lora_rank": ("model", "lora_rank"),
    "lora_alpha": ("model", "lora_alpha"),
    "lora_dropout": ("model", "lora_dropout"),
    "use_dora": ("model", "use_dora"),
    "num_warmup_steps": ("lr_scheduler", "num_warmup_steps"),
    "max_seq_len": ("tokenizer", "max_seq_len"),
    "packed": ("dataset", "packed"),
}
"""Where parameters live that are not at the top of a config."""
