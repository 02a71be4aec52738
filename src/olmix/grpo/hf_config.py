"""A model's `config.json`, as transformers writes and reads it, and the sizes that it says.

Tunix computes some things in one way only. A model that wants them otherwise is refused: it would
be loaded without an error and answer nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from olmix.errors import DataError
from olmix.grpo.architecture import Architecture, Family, RopeScaling
from olmix.text.files import write_json

__all__ = ["from_hf_config", "hf_config", "read_architecture", "write_hf_config"]

_FAMILIES: dict[str, Family] = {
    "gemma3_text": "gemma3",
    "gemma3": "gemma3",
    "llama": "llama",
    "qwen3": "qwen3",
}
_CLASSES = {"llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}
_GLOBAL_EVERY = 6
"""Gemma 3: one layer in so many sees the whole text."""
_GEMMA_DEFAULTS = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 262_208,
    "sliding_window": 4_096,
    "query_pre_attn_scalar": 256,
    "rope_theta": 1_000_000,
    "tie_word_embeddings": True,
}
"""What the files of Gemma 3 4B and larger leave out: the defaults of transformers."""
_ONLY: dict[str, tuple[object, ...]] = {
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "attn_logit_softcapping": (None, 0),
    "final_logit_softcapping": (None, 0),
    "use_bidirectional_attention": (None, False),
    "hidden_act": (None, "silu", "gelu_pytorch_tanh"),
    "hidden_activation": (None, "gelu_pytorch_tanh"),
    "rope_local_base_freq": (None, 10_000),
}
"""What Tunix 0.1.7 computes, whatever the file says."""


def hf_config(architecture: Architecture, dtype: str) -> dict[str, object]:
    """Return the `config.json` of a model, as transformers reads it."""
    scaling = architecture.rope_scaling
    config: dict[str, Any] = {
        "vocab_size": architecture.vocab_size,
        "hidden_size": architecture.embed_dim,
        "intermediate_size": architecture.hidden_dim,
        "num_hidden_layers": architecture.num_layers,
        "num_attention_heads": architecture.num_heads,
        "num_key_value_heads": architecture.num_kv_heads,
        "head_dim": architecture.head_dim,
        "rms_norm_eps": architecture.norm_eps,
        "rope_theta": architecture.rope_theta,
        "max_position_embeddings": _positions(architecture),
        "tie_word_embeddings": architecture.tied,
        "torch_dtype": dtype,
    }
    if scaling is not None:
        config["rope_scaling"] = _scaling_of(scaling)
    if architecture.family == "gemma3":
        return {
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": "gemma3_text",
            **config,
            "sliding_window": architecture.sliding_window,
            "layer_types": _layer_types(architecture.num_layers),
            "rope_local_base_freq": 10_000,
            "query_pre_attn_scalar": architecture.query_scalar or architecture.head_dim,
            # Tunix 0.1.7 computes Flax's GELU, the tanh approximation, as Gemma does.
            "hidden_activation": "gelu_pytorch_tanh",
        }
    family = architecture.family
    return {"architectures": [_CLASSES[family]], "model_type": family, **config}


def write_hf_config(folder: Path, architecture: Architecture, dtype: str) -> None:
    """Write `config.json` into a folder."""
    write_json(folder / "config.json", hf_config(architecture, dtype))


def _positions(architecture: Architecture) -> int:
    """Return the longest text that the model was made for."""
    if architecture.rope_scaling is not None:
        return 131_072
    return 8_192 if architecture.family == "llama" else 32_768


def _layer_types(num_layers: int) -> list[str]:
    return [
        "sliding_attention" if (index + 1) % _GLOBAL_EVERY else "full_attention"
        for index in range(num_layers)
    ]


def _scaling_of(scaling: RopeScaling) -> dict[str, object]:
    if scaling.bands is None:
        return {"rope_type": "linear", "factor": scaling.factor}
    low, high = scaling.bands
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": scaling.original,
    }


def from_hf_config(config: Mapping[str, Any], where: str) -> Architecture:
    """Return the sizes that a `config.json` says.

    Raises:
        DataError: the model is of another family, a size is missing, or Tunix computes something
            in another way than this model wants it.
    """
    kind = str(config.get("model_type"))
    family = _FAMILIES.get(kind)
    if family is None:
        raise DataError(f"{where}: model_type is {kind}; allowed: {', '.join(sorted(_FAMILIES))}")
    config = {**config, **config.get("text_config", {})}
    if family == "gemma3":
        config = {**_GEMMA_DEFAULTS, **config}
    problems = list(_unlike_tunix(config, family))
    if problems:
        raise DataError("\n".join(f"{where}: {what}" for what in problems))
    rope = _rope(config)
    try:
        sizes = {
            "num_layers": int(config["num_hidden_layers"]),
            "embed_dim": int(config["hidden_size"]),
            "hidden_dim": int(config["intermediate_size"]),
            "num_heads": int(config["num_attention_heads"]),
            "num_kv_heads": int(config["num_key_value_heads"]),
            "vocab_size": int(config["vocab_size"]),
        }
    except KeyError as error:
        raise DataError(f"{where}: the key {error} is missing") from None
    head_dim = int(config.get("head_dim") or sizes["embed_dim"] // sizes["num_heads"])
    scalar = int(config.get("query_pre_attn_scalar", head_dim))
    return Architecture(
        family,
        **sizes,
        head_dim=head_dim,
        sliding_window=int(config.get("sliding_window") or 512),
        rope_theta=int(config.get("rope_theta") or rope.get("rope_theta") or 10_000),
        norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        tied=bool(config.get("tie_word_embeddings", False)),
        rope_scaling=_read_scaling(rope),
        query_scalar=None if scalar == head_dim else scalar,
    )


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is said about rotary positions, by the newer key or the older one."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    found: Mapping[str, Any] = rope.get("full_attention", rope)
    return found


def _rope_type(rope: Mapping[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _read_scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
    kind = _rope_type(rope)
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling(float(rope["factor"]))
    return RopeScaling(
        float(rope["factor"]),
        (float(rope["low_freq_factor"]), float(rope["high_freq_factor"])),
        int(rope["original_max_position_embeddings"]),
    )


def _unlike_tunix(config: Mapping[str, Any], family: Family) -> Iterator[str]:
    """Yield what Tunix would compute in another way than the model wants it."""
    for key, allowed in _ONLY.items():
        if config.get(key) not in allowed:
            known = " or ".join(str(each) for each in allowed[1:])
            yield f"{key} is {config[key]}; Tunix computes {family} with {known} only"
    kinds = {
        "gemma3": ("default", "linear"),
        "llama": ("default", "linear", "llama3"),
        "qwen3": ("default",),
    }[family]
    kind = _rope_type(_rope(config))
    if kind not in kinds:
        yield f"rope_type is {kind}; Tunix computes {family} with {' or '.join(kinds)} only"
    if family != "gemma3":
        if config.get("use_sliding_window"):
            yield "use_sliding_window is true; Tunix lets every layer see the whole text"
        return
    layers = config.get("layer_types")
    if layers is not None and list(layers) != _layer_types(len(layers)):
        yield f"layer_types: Tunix lets one layer in {_GLOBAL_EVERY} see the whole text"
    width, heads = config.get("hidden_size", 0), config["num_attention_heads"]
    if config["query_pre_attn_scalar"] not in (config["head_dim"], width // heads):
        yield (
            f"query_pre_attn_scalar is {config['query_pre_attn_scalar']}; Tunix takes head_dim = "
            f"{config['head_dim']} or hidden_size / num_attention_heads = {width // heads}"
        )


def read_architecture(folder: Path, family: str) -> Architecture:
    """Return the sizes of the model in a folder.

    Raises:
        DataError: there is no readable `config.json`, it is another family's, or Tunix does not
            compute such a model.
    """
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    found = from_hf_config(config, str(file))
    if found.family != family:
        raise DataError(
            f"{file}: this is a {found.family} model, but model.model_family is {family}; "
            f"families: {', '.join(get_args(Family))}"
        )
    return found
