"""Weights between Tunix's modules and the Hugging Face layout, LoRA merged on the way.

Reading that layout is Tunix's own work (`params_safetensors`); writing it is here, because Tunix
can only add updates to a folder of one file it has read before. Shapes: D width, N heads, K heads
of keys and values, H width of a head, r rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.grpo.architecture import Architecture
from olmix.grpo.hf_config import write_hf_config
from olmix.text.files import atomic_path

__all__ = ["merge_lora", "to_hf_names", "write_hf_folder"]

Array = np.ndarray[Any, Any]

_GEMMA_NORMS = {
    "pre_attention_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "pre_ffw_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "attn/_query_norm": "self_attn.q_norm",
    "attn/_key_norm": "self_attn.k_norm",
}


def merge_lora(state: Mapping[str, Array], *, rank: int, alpha: float) -> dict[str, Array]:
    """Return the weights with each update A B * alpha / rank added to its own.

    Args:
        state: path such as ``layers/0/attn/q_einsum/w`` to array; updates are its neighbours
            ``w_lora_a`` (inputs x r) and ``w_lora_b`` (r x outputs).
        rank: r.
        alpha: scale of the updates.
    """
    merged: dict[str, Array] = {}
    for name, value in state.items():
        if name.endswith(("_lora_a", "_lora_b")):
            continue
        a, b = state.get(f"{name}_lora_a"), state.get(f"{name}_lora_b")
        if a is not None and b is not None:
            delta = _delta(name, a.astype(np.float32), b.astype(np.float32)) * (alpha / rank)
            value = (value.astype(np.float32) + delta).astype(value.dtype)
        merged[name] = value
    return merged


def _delta(name: str, a: Array, b: Array) -> Array:
    """Return A B in the layout of the weight it is added to."""
    if name.endswith("attn/q_einsum/w"):
        delta: Array = np.einsum("dr,rnh->ndh", a, b)
    elif name.endswith("attn/kv_einsum/w"):
        delta = np.einsum("dr,rckh->ckdh", a, b)
    else:  # inputs first, outputs last
        delta = np.tensordot(a, b, axes=1)
    return delta


def to_hf_names(state: Mapping[str, Array], architecture: Architecture) -> dict[str, Array]:
    """Return weights by their Hugging Face names, matrices as (outputs, inputs).

    Raises:
        DataError: a weight has no place in that layout.
    """
    convert = _gemma if architecture.family == "gemma3" else _llama
    named: dict[str, Array] = {}
    for path, value in state.items():
        if path == "embedder/input_embedding":
            named["model.embed_tokens.weight"] = value
        elif path in ("final_norm/scale", "final_norm/w"):
            named["model.norm.weight"] = value
        elif path == "lm_head/w":
            named["lm_head.weight"] = value.T
        elif path.startswith("layers/"):
            _, layer, rest = path.split("/", 2)
            for name, array in convert(rest, value):
                named[f"model.layers.{layer}.{name}.weight"] = array
        else:
            raise DataError(f"the weight {path} has no place in the Hugging Face layout")
    return {name: np.ascontiguousarray(array) for name, array in named.items()}


def _gemma(path: str, value: Array) -> Iterator[tuple[str, Array]]:
    module, _, _ = path.rpartition("/")
    if module in _GEMMA_NORMS:
        yield _GEMMA_NORMS[module], value
    elif module == "attn/q_einsum":  # N D H
        yield "self_attn.q_proj", _rows(value)
    elif module == "attn/kv_einsum":  # 2 K D H
        yield "self_attn.k_proj", _rows(value[0])
        yield "self_attn.v_proj", _rows(value[1])
    elif module == "attn/attn_vec_einsum":  # N H D
        yield "self_attn.o_proj", value.reshape(-1, value.shape[-1]).T
    elif module.startswith("mlp/"):  # inputs, outputs
        yield module.replace("/", "."), value.T
    else:
        raise DataError(f"the weight {path} of Gemma 3 has no place in the Hugging Face layout")


def _rows(value: Array) -> Array:
    """Return (heads, D, H) as (heads H, D)."""
    heads, width, head_dim = value.shape
    return value.transpose(0, 2, 1).reshape(heads * head_dim, width)


def _llama(path: str, value: Array) -> Iterator[tuple[str, Array]]:
    """Yield a weight of Llama or Qwen 3 by its name in the other layout."""
    module, _, _ = path.rpartition("/")
    if module in ("input_layernorm", "post_attention_layernorm"):
        yield module, value
    elif module in ("attn/q_norm", "attn/k_norm"):  # Qwen 3
        yield module.replace("attn/", "self_attn."), value
    elif module in ("attn/q_proj", "attn/k_proj", "attn/v_proj"):  # D N H
        yield module.replace("attn/", "self_attn."), value.reshape(value.shape[0], -1).T
    elif module == "attn/o_proj":  # N H D
        yield "self_attn.o_proj", value.reshape(-1, value.shape[-1]).T
    elif module.startswith("mlp/"):
        yield module.replace("/", "."), value.T
    else:
        raise DataError(f"the weight {path} has no place in the Hugging Face layout")


def write_hf_folder(
    folder: Path, state: Mapping[str, Array], architecture: Architecture, dtype: str, tokenizer: Any
) -> None:
    """Write `config.json`, `model.safetensors` and the tokenizer; weights as `to_hf_names`."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder)
    write_hf_config(folder, architecture, dtype)
    # Last, because a folder with weights is taken to be complete.
    with atomic_path(folder / "model.safetensors") as beside:
        save_file(to_hf_names(state, architecture), beside, metadata={"format": "pt"})
