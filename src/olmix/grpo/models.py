"""Tunix's models: built from sizes, read from a folder, given LoRA updates, and read out again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.grpo.architecture import Architecture
from olmix.grpo.hf_config import read_architecture
from olmix.grpo.model_config import ModelConfig

__all__ = ["frequencies", "load_model", "random_model", "read_state", "trained_model"]

Array = np.ndarray[Any, Any]


def _model_class(architecture: Architecture, dtype: str) -> tuple[Any, Any]:
    """Return Tunix's class and configuration for sizes."""
    import jax.numpy as jnp

    shared: dict[str, Any] = {
        "num_layers": architecture.num_layers,
        "embed_dim": architecture.embed_dim,
        "hidden_dim": architecture.hidden_dim,
        "num_heads": architecture.num_heads,
        "num_kv_heads": architecture.num_kv_heads,
        "head_dim": architecture.head_dim,
    }
    if architecture.family == "gemma3":
        return _gemma3(architecture, shared, dtype)
    shared |= {
        "vocab_size": architecture.vocab_size,
        "rope_theta": architecture.rope_theta,
        "norm_eps": architecture.norm_eps,
    }
    if architecture.family == "qwen3":
        from tunix.models.qwen3 import model as qwen

        _replace_rope(qwen, architecture)
        kind = jnp.dtype(dtype)
        tied = {"use_tied_embedding": architecture.tied}
        return qwen.Qwen3, qwen.ModelConfig(**shared, **tied, dtype=kind, param_dtype=kind)
    from tunix.models.llama3 import model as llama

    _replace_rope(llama, architecture)
    return llama.Llama3, llama.ModelConfig(**shared, weight_tying=architecture.tied)


def _gemma3(architecture: Architecture, shared: Mapping[str, Any], dtype: str) -> tuple[Any, Any]:
    import jax.numpy as jnp
    from tunix.models.gemma3 import model as gemma

    norms, scaling = gemma.QueryPreAttentionNormalisation, architecture.rope_scaling
    return gemma.Gemma3, gemma.ModelConfig(
        **shared,
        num_embed=architecture.vocab_size,
        sliding_window_size=architecture.sliding_window,
        local_base_frequency=10_000,
        global_base_frequency=architecture.rope_theta,
        global_scale_factor=1.0 if scaling is None else scaling.factor,
        query_pre_attn_norm=(
            norms.BY_ONE_OVER_SQRT_HEAD_DIM
            if architecture.query_scalar is None
            else norms.BY_ONE_OVER_SQRT_EMBED_DIM_DIV_NUM_HEADS
        ),
        param_dtype=jnp.dtype(dtype),
    )


def _replace_rope(module: Any, architecture: Architecture) -> None:
    """Let the models of one of Tunix's modules turn positions as the architecture says.

    Tunix 0.1.7 reads `rope_theta` and never uses it: its attention calls a function of the module
    with a base of 1,000,000, and knows no scaling of Llama 3. A process has one model, so the
    function can stand in the module.
    """
    import jax.numpy as jnp

    waves = jnp.asarray(frequencies(architecture), jnp.float32)

    def apply_rope(inputs: Any, positions: Any, head_dim: int) -> Any:
        del head_dim
        angles = (positions[..., None] * waves)[..., None, :]
        sin, cos = (part(angles).astype(inputs.dtype) for part in (jnp.sin, jnp.cos))
        first, second = jnp.split(inputs, 2, axis=-1)
        return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    module.apply_rope = apply_rope


def frequencies(architecture: Architecture) -> Array:
    """Return the angle by which each pair of a head turns from one position to the next.

    Llama 3.1's scaling: Grattafiori et al. 2024 (arXiv:2407.21783), as transformers computes it.
    """
    pairs = np.arange(0, architecture.head_dim, 2) / architecture.head_dim
    waves: Array = 1.0 / architecture.rope_theta**pairs
    scaling = architecture.rope_scaling
    if scaling is None:
        return waves
    if scaling.bands is None:
        return waves / scaling.factor
    low, high = scaling.bands
    turns = scaling.original * waves / (2 * np.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return waves * (kept + (1.0 - kept) / scaling.factor)


def random_model(architecture: Architecture, dtype: str, seed: int) -> Any:
    """Return a model with matrices of deviation 1 / sqrt(inputs), embeddings 0.02 and norms at 1.

    Tunix's own start has feed-forward blocks of zeros, which no gradient reaches.
    """
    import jax
    from flax import nnx

    kind, config = _model_class(architecture, dtype)
    model = kind(config, rngs=nnx.Rngs(seed))
    graph, state = nnx.split(model)
    flat = nnx.to_flat_state(state)
    keys = jax.random.split(jax.random.key(seed), len(flat))
    drawn = []
    for key, (path, variable) in zip(keys, flat, strict=True):
        value = variable.get_value()
        if value.ndim > 1:
            deviation = 0.02 if "input_embedding" in path else _inputs(path, value.shape) ** -0.5
            value = deviation * jax.random.normal(key, value.shape, value.dtype)
        drawn.append((path, variable.replace(value)))
    return nnx.merge(graph, nnx.from_flat_state(drawn))


def _inputs(path: tuple[Any, ...], shape: tuple[int, ...]) -> int:
    """Return the number of inputs of a matrix: all but the last axis, or D in N D H and 2 K D H."""
    if path[-2] in ("q_einsum", "kv_einsum"):
        return shape[-2]
    if path[-2] in ("q_proj", "k_proj", "v_proj"):
        return shape[0]
    return int(np.prod(shape[:-1]))


def load_model(folder: Path, model: ModelConfig, mesh: object) -> tuple[object, Architecture]:
    """Read a folder in the Hugging Face layout onto a mesh with Tunix's own loader.

    Raises:
        DataError: files are missing, of another model, or not those of its config.json.
    """
    import jax.numpy as jnp

    if model.model_family == "gemma3":
        from tunix.models.gemma3 import params_safetensors as reader
    elif model.model_family == "qwen3":
        from tunix.models.qwen3 import params as reader
    else:
        from tunix.models.llama3 import params as reader
    architecture = read_architecture(folder, model.model_family)
    if not any(folder.glob("*.safetensors")):
        raise DataError(f"{folder}: there are no weights (*.safetensors)")
    _, config = _model_class(architecture, model.dtype)
    try:
        loaded = reader.create_model_from_safe_tensors(
            str(folder), config, mesh, dtype=jnp.dtype(model.dtype)
        )
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{folder}: the weights do not fit config.json: {error}") from error
    return loaded, architecture


def trained_model(base: object, model: ModelConfig, mesh: object, seed: int) -> object:
    """Return the model that is trained: with LoRA, or where `model.lora_rank` is none a copy.

    Raises:
        DataError: `model.lora_module_path` matches no module.
    """
    if model.trains_lora:
        return _add_lora(base, model, mesh, seed)
    import jax
    from flax import nnx

    graph, state = nnx.split(base)
    # The base model stays the reference, so the two may share no array.
    return nnx.merge(graph, jax.tree.map(lambda array: array.copy(), state))


def _add_lora(base: Any, model: ModelConfig, mesh: Any, seed: int) -> Any:
    """Return the model with updates of rank `model.lora_rank`; it shares the weights of `base`.

    Raises:
        DataError: `model.lora_module_path` matches no module.
    """
    import qwix
    from flax import nnx

    provider = qwix.LoraProvider(
        module_path=model.lora_module_path, rank=model.lora_rank, alpha=model.lora_alpha
    )
    with mesh:
        # Without `rngs` every update would start from the same default key.
        lora = qwix.apply_lora_to_model(
            base, provider, **base.get_model_input(), rngs=nnx.Rngs(seed)
        )
    added = nnx.state(lora, nnx.LoRAParam)
    if not nnx.to_flat_state(added):
        raise DataError(f"model.lora_module_path = {model.lora_module_path} matches no module")
    nnx.update(lora, _place(added, mesh))
    return lora


def _place(state: Any, mesh: Any) -> Any:
    """Return a state with each array on the mesh, whole on every device where nothing is said."""
    import jax
    from flax import nnx

    specs = nnx.get_partition_spec(state)
    shardings = jax.tree.map(lambda spec: jax.sharding.NamedSharding(mesh, spec), specs)
    return jax.device_put(state, shardings)


def read_state(model: object) -> Mapping[str, Array]:
    """Return all weights of a model by their paths, as arrays of NumPy."""
    import jax
    from flax import nnx

    flat = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {
        "/".join(map(str, path)): np.asarray(jax.device_get(value.get_value()))
        for path, value in flat
    }
