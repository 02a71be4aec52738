"""A config made small: tiny models and data, one process, a CPU, two steps.

What a run needs from the outside is replaced; everything else is as the config says.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.errors import NotAvailableError
from olmix.sweep.torchtune.assets import Assets, Kind
from olmix.sweep.torchtune.tiny import tiny_model
from olmix.text.files import digest

__all__ = ["Shrunk", "data_of", "shrink"]

_DATA: Mapping[str, Kind] = {
    "full_finetune_single_device": "alpaca",
    "full_finetune_distributed": "alpaca",
    "lora_finetune_single_device": "alpaca",
    "lora_finetune_distributed": "alpaca",
    "knowledge_distillation_single_device": "alpaca",
    "knowledge_distillation_distributed": "alpaca",
    "qat_distributed": "alpaca",
    "qat_lora_finetune_distributed": "alpaca",
    "lora_dpo_single_device": "preference",
    "lora_dpo_distributed": "preference",
    "full_dpo_distributed": "preference",
    "ppo_full_finetune_single_device": "prompts",
}
"""Recipes that can be trained on something tiny, and the kind of data that each takes."""
_WEIGHTS_OF: Mapping[str, tuple[str, ...]] = {
    "checkpointer": ("model", "policy_model"),
    "ref_checkpointer": ("model",),
    "teacher_checkpointer": ("teacher_model",),
    "ref_policy_checkpointer": ("policy_model",),
    "value_checkpointer": ("reward_and_value_model",),
    "reward_checkpointer": ("reward_and_value_model",),
}
"""Whose weights each checkpointer loads: the first of these models that the config has."""
_ELSEWHERE = (
    *("fsdp_cpu_offload", "data_parallel_shard_dim", "data_parallel_replicate_dim"),
    *("tensor_parallel_dim", "tensor_parallel_plan", "profiler"),
)
"""Keys that mean nothing to a single process on a CPU."""
_STEPS = 2
_BATCH = 2
_LENGTH: Mapping[str, object] = {
    "epochs": 1,
    "max_steps_per_epoch": _STEPS,
    "batch_size": _BATCH,
    "gradient_accumulation_steps": 1,
}
# In PPO a step is a batch of answers that the policy generates first.
_LENGTH_OF_PPO: Mapping[str, object] = {
    "num_steps": _STEPS * _BATCH,
    "batch_size": _BATCH,
    "forward_batch_size": _BATCH,
    "ppo_batch_size": _BATCH,
    "ppo_epochs": 1,
    "gradient_accumulation_steps": 1,
    "max_generated_tokens": 8,
}


@dataclass(frozen=True)
class Shrunk:
    """A config that trains in seconds.

    Attributes:
        config: its values; `output_dir` is left empty.
        weights: the model whose random weights each file of `folder/weights` must hold.
    """

    config: dict[str, Any]
    weights: Mapping[str, dict[str, Any]]


def data_of(recipe: str | None) -> Kind:
    """Return the kind of data that a recipe trains on.

    Raises:
        NotAvailableError: the recipe trains nothing, or nothing tiny stands in for what it needs.
    """
    if recipe is not None and recipe in _DATA:
        return _DATA[recipe]
    why = "it trains nothing"
    if recipe is None:
        why = "it is not known; name it in framework_config.recipe"
    elif "finetune" in recipe:
        why = "it needs data of its own"
    raise NotAvailableError(
        f"--smoke is not available for the recipe {recipe}: {why}. It is for: {', '.join(_DATA)}"
    )


def shrink(config: Mapping[str, object], kind: Kind, assets: Assets, folder: Path) -> Shrunk:
    """Return a config with tiny models, tokenizer and data, for two steps on the CPU.

    Args:
        config: a whole config.
        kind: the kind of data that its recipe trains on.
        assets: the tiny data and tokenizer.
        folder: where the ``weights`` of tiny models are.

    Raises:
        NotAvailableError: the family of a model has no builder that takes sizes.
    """
    small = copy.deepcopy(dict(config))
    width = _width(small)
    models = {key: _tiny(node, width) for key, node in small.items() if key.endswith("model")}
    weights: dict[str, dict[str, Any]] = {}
    for key, owners in _WEIGHTS_OF.items():
        model = next((models[owner] for owner in owners if owner in models), None)
        if key in small and model is not None:
            file = f"{digest(model, 12)}.pt"
            weights[file] = model
            small[key] = _checkpointer(small[key], folder / "weights", file)
    dataset = small.get("dataset")
    packed = isinstance(dataset, Mapping) and dataset.get("packed") is True
    small |= models
    small |= {
        "tokenizer": assets.tokenizer_node(),
        "dataset": assets.dataset_node(kind, packed=packed),
        "metric_logger": {
            "_component_": "torchtune.training.metric_logging.DiskLogger",
            "log_dir": "${output_dir}/logs",
        },
        "device": "cpu",
        "dtype": "fp32",
        "compile": False,
        "resume_from_checkpoint": False,
        "enable_activation_offloading": False,
        "output_dir": "",
    }
    small |= _LENGTH_OF_PPO if kind == "prompts" else _LENGTH
    for key in _ELSEWHERE:
        small.pop(key, None)
    for key in ("optimizer_in_bwd", "save_adapter_weights_only"):
        small.setdefault(key, False)
    optimizer = small.get("optimizer")
    if isinstance(optimizer, dict) and str(optimizer.get("_component_")).startswith(
        "bitsandbytes."
    ):
        optimizer["_component_"] = "torch.optim.AdamW"
    return Shrunk(small, weights)


def _width(config: Mapping[str, object]) -> int:
    """Return a width of the model that the groups of a quantizer divide."""
    quantizer = config.get("quantizer")
    size = quantizer.get("groupsize") if isinstance(quantizer, Mapping) else None
    return max(32, size) if isinstance(size, int) else 32


def _tiny(node: object, width: int) -> dict[str, object]:
    found = tiny_model(node, width) if isinstance(node, Mapping) else None
    if found is None:
        component = node.get("_component_") if isinstance(node, Mapping) else node
        raise NotAvailableError(
            f"--smoke is not available for the model {component}: "
            "torchtune has no builder of its family that takes sizes"
        )
    return found


def _checkpointer(node: object, folder: Path, file: str) -> dict[str, object]:
    old = node if isinstance(node, Mapping) else {}
    return {
        "_component_": "torchtune.training.FullModelTorchTuneCheckpointer",
        "checkpoint_dir": str(folder),
        "checkpoint_files": [file],
        "recipe_checkpoint": None,
        "output_dir": old.get("output_dir", "${output_dir}"),
        "model_type": old.get("model_type", "LLAMA3"),
    }
