"""A tiny model of the family that a config trains, with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmix.sweep.torchtune.assets import MAX_SEQ_LEN, VOCABULARY
from olmix.sweep.torchtune.signature import parameters_of

__all__ = ["tiny_model", "write_weights"]

_HEADS = 2
_WIDTH = 32
_SIZES: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "num_layers": 2,
    "num_heads": _HEADS,
    "num_kv_heads": _HEADS,
    "max_seq_len": MAX_SEQ_LEN,
    "hidden_capping_value": 50.0,
    "final_capping_value": 30.0,
    "sliding_window_size": 64,
}
_BUILT_BY: Mapping[str, str] = {
    "code_llama2": "llama2",
    "llama3_3": "llama3_1",
    "qwen2_5": "qwen2",
    "phi4": "phi3",
}
"""Families that are only sizes of another one, which has the builder."""


def tiny_model(node: Mapping[str, Any], width: int = _WIDTH) -> dict[str, Any] | None:
    """Return a two-layer model of the family that a model node builds; LoRA settings stay.

    Args:
        node: the model of a config.
        width: size of its embeddings; a multiple of 2.

    Returns:
        The node of the tiny model; `None` where the family has no builder that takes sizes.
    """
    package, _, name = str(node.get("_component_", "")).rpartition(".")
    package = package.removesuffix("._component_builders")
    family = package.rpartition(".")[2]
    family = _BUILT_BY.get(family, family)
    prefix = "lora_" if name.startswith(("lora_", "qlora_")) else ""
    suffix = "_classifier" if "reward" in name or "classifier" in name else ""
    builder = f"torchtune.models.{family}.{prefix}{family}{suffix}"
    parameters = parameters_of(builder)
    if parameters is None:
        return None
    wanted = dict(_SIZES) | {
        "embed_dim": width,
        "head_dim": width // _HEADS,
        "intermediate_dim": 2 * width,
    }
    sizes = {key: value for key, value in wanted.items() if key in parameters.kinds}
    kept = {
        key: value
        for key, value in node.items()
        if key in parameters.kinds and key not in sizes and key != "quantize_base"
    }
    if suffix:
        kept.setdefault("num_classes", 1)
    tiny = {"_component_": builder} | kept | sizes
    return None if parameters.required - set(tiny) else tiny


def write_weights(model: Mapping[str, Any], path: Path) -> None:
    """Write random weights for a model, without its adapters."""
    import torch
    from omegaconf import OmegaConf
    from torchtune import config as torchtune_config

    package, _, name = str(model["_component_"]).rpartition(".")
    base = f"{package}.{name.removeprefix('lora_')}"
    parameters = parameters_of(base)
    kinds = parameters.kinds if parameters is not None else {}
    node = {key: value for key, value in model.items() if key in kinds}
    torch.manual_seed(0)
    built: Any = torchtune_config.instantiate(OmegaConf.create({"_component_": base} | node))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(built.state_dict(), path)
