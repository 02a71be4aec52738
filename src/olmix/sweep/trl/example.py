"""A study that trains on a CPU in a few minutes; model, tokenizer and data come with it."""

from __future__ import annotations

import sys
from pathlib import Path

from olmix.errors import DataError
from olmix.sweep.trl.tiny import rows_for, write_model, write_rows
from olmix.text.yaml import write_yaml

__all__ = ["write_example"]


def write_example(folder: Path) -> Path:
    """Write the assets and the experiment of the study; return the experiment's path.

    Raises:
        DataError: the folder is there already.
        MissingPackageError: TRL is not installed.
    """
    if folder.exists():
        raise DataError(f"{folder}: this folder exists; choose a new one")
    root = folder.resolve()
    model = write_model(root / "model")
    data = write_rows(root / "train.jsonl", rows_for("sft"))
    slurm: dict[str, object] = {"gpus": 0, "time": "00:10:00", "array_limit": 2}
    if sys.prefix != sys.base_prefix:
        slurm["venv"] = sys.prefix
    content = {
        "experiment": {
            "name": "rate_and_decay",
            "framework": "trl",
            "question": "Which learning rate learns fastest, and does a larger batch change that?",
        },
        "framework_config": {"recipe": "sft"},
        "variables": {
            "learning_rate": [0.003, 0.03],
            "per_device_train_batch_size": [2, 8],
        },
        "controls": {
            "model_name_or_path": str(model),
            "datasets": [{"data_files": str(data)}],
            "max_steps": 20,
            "max_length": 128,
            "logging_steps": 1,
            "use_cpu": True,
            "bf16": False,
            "output_dir": "runs",
        },
        "slurm": slurm,
    }
    file = root / "experiment.yaml"
    write_yaml(file, content, "Four runs of 20 steps on a CPU; everything they need is beside.")
    return file
