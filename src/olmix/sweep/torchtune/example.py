"""A study that trains on a CPU in a few minutes; tiny model, tokenizer and data come with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from olmix.errors import DataError
from olmix.sweep.torchtune.assets import build_assets
from olmix.sweep.torchtune.tiny import tiny_model, write_trained_weights
from olmix.text.yaml import write_yaml

__all__ = ["write_example"]

_BASE = "llama3_2/1B_lora_single_device"
_MODEL: Mapping[str, object] = {
    "_component_": "torchtune.models.llama3_2.lora_llama3_2_1b",
    "lora_attn_modules": ["q_proj", "v_proj", "output_proj"],
    "apply_lora_to_mlp": True,
    "lora_rank": 8,
    "lora_alpha": 16,
}
_WEIGHTS = "tiny.pt"
_MAX_SEQ_LEN = 256
"""Room for a prompt with its answer, in tokens."""


def write_example(folder: Path) -> Path:
    """Write the assets and the experiment of the study; return the experiment's path.

    Raises:
        DataError: the folder is there already.
        MissingPackageError: torchtune is not installed.
    """
    if folder.exists():
        raise DataError(f"{folder}: this folder exists; choose a new one")
    root = folder.resolve()
    slurm: dict[str, object] = {"gpus": 0, "time": "00:10:00", "array_limit": 2}
    if sys.prefix != sys.base_prefix:
        slurm["venv"] = sys.prefix
    content = {
        "experiment": {
            "name": "rank_and_rate",
            "framework": "torchtune",
            "question": "Does a larger LoRA rank need a smaller learning rate?",
        },
        "framework_config": {"base_config": _BASE},
        "variables": {"lora_rank": [2, 8], "learning_rate": [0.003, 0.03]},
        "controls": _controls(root),
        "slurm": slurm,
    }
    file = root / "experiment.yaml"
    write_yaml(file, content, "Four runs of 16 steps on a CPU; everything they need is beside.")
    return file


def _controls(root: Path) -> dict[str, object]:
    """Write a tiny model, tokenizer and data; return the controls that train on them."""
    base = root / "model"
    assets = build_assets(base)
    model = tiny_model(_MODEL)
    if model is None:
        raise ValueError(f"torchtune has no builder for {_MODEL['_component_']}")
    model["max_seq_len"] = _MAX_SEQ_LEN
    tokenizer = assets.tokenizer_node() | {"max_seq_len": _MAX_SEQ_LEN}
    # It has learned to give the first half of each answer; the runs teach it the second one.
    rows = json.loads(assets.data.read_text(encoding="utf-8"))
    for row in rows:
        row["output"] = row["output"].partition(" and ")[0]
    write_trained_weights(model, tokenizer, rows, base / _WEIGHTS)
    return {
        "lora_alpha": "${mul:2,${lora_rank}}",
        "model": {k: v for k, v in model.items() if k not in ("lora_rank", "lora_alpha")},
        "tokenizer": tokenizer,
        "dataset": assets.dataset_node() | {"train_on_input": False},
        "checkpointer": {
            "_component_": "torchtune.training.FullModelTorchTuneCheckpointer",
            "checkpoint_dir": str(base),
            "checkpoint_files": [_WEIGHTS],
        },
        "num_warmup_steps": 1,
        "max_steps_per_epoch": 16,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "device": "cpu",
        "dtype": "fp32",
        "seed": 1,
        "output_dir": "runs",
    }
