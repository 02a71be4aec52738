"""Tunix's models: built from sizes, read from a folder, given LoRA updates, and read out again."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError
from olmix.grpo.architecture import Architecture
from olmix.grpo.model_config import ModelConfig
from olmix.grpo.weights import read_architecture

__all__ = ["load_model", "random_model", "read_state", "trained_model"]

Array = np.ndarray[Any, Any]


def _model_class(architecture: Architecture, dtype: str) -> tuple[Any, Any]:
    """Return Tunix's class and configuration for sizes."""
    import jax.numpy as jnp

    shared = {
        "num_layers": architecture.num_layers,
        "embed_dim": architecture.embed_dim,
        "hidden_dim": architecture.hidden_dim,
        "num_heads": architecture.num_heads,
        "num_kv_heads": architecture.num_kv_heads,
        "head_dim": architecture.head_dim,
    }
    if architecture.family == "gemma3":
        from tunix.models.gemma3 import model as gemma

        return gemma.Gemma3, gemma.ModelConfig(
            **shared,
            num_embed=architecture.vocab_size,
            sliding_window_size=architecture.sliding_window,
            local_base_frequency=10_000,
            global_base_frequency=architecture.rope_theta,
            param_dtype=jnp.dtype(dtype),
        )
    from tunix.models.llama3 import model as llama

    # Tunix 0.1.7 reads `rope_theta` and never uses it: its attention calls this function of the
    # module with a base of 1,000,000. A process has one model, so its base can stand here.
    original = getattr(llama.apply_rope, "func", llama.apply_rope)
    llama.apply_rope = functools.partial(original, rope_theta=architecture.rope_theta)
    return llama.Llama3, llama.ModelConfig(
        **shared,
        vocab_size=architecture.vocab_size,
        rope_theta=architecture.rope_theta,
        norm_eps=architecture.norm_eps,
        weight_tying=True,
    )


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
