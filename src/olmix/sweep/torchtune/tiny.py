"""A tiny model of the family that a config trains, with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmix.sweep.component_source import parameters_of
from olmix.sweep.torchtune.assets import MAX_SEQ_LEN, VOCABULARY
from olmix.sweep.torchtune.library import import_torchtune

__all__ = ["tiny_model", "write_trained_weights", "write_weights"]

_HEADS = 2
_WIDTH = 32
_EMBEDDING_SD = 0.02
_RATE = 1e-2
_BATCH = 8
_STEPS = 60
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


def tiny_model(node: Mapping[str, object], width: int = _WIDTH) -> dict[str, object] | None:
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

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(_without_adapters(model).state_dict(), path)


def write_trained_weights(
    model: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    path: Path,
) -> None:
    """Write weights for a model, without its adapters, that have learned to answer rows.

    Args:
        model: the model of a config.
        tokenizer: its tokenizer.
        rows: instruction, input and output each, as `alpaca_dataset` reads them.
        path: the file; its folder must be there.
    """
    import torch

    built = _without_adapters(model)
    from torchtune.data import AlpacaToMessages, padded_collate_sft

    encode, read = _instantiate(tokenizer), AlpacaToMessages(train_on_input=False)
    samples = [encode(read(row)) for row in rows]
    for sample in samples:
        mask, tokens = torch.tensor(sample["mask"]), torch.tensor(sample["tokens"])
        sample["labels"] = torch.where(mask, -100, tokens).tolist()
    with torch.no_grad():
        built.tok_embeddings.weight.mul_(_EMBEDDING_SD)  # so that it starts by guessing
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them cost more than they give at this size
    optimizer = torch.optim.AdamW(built.parameters(), lr=_RATE)
    for step in range(_STEPS):
        first = step * _BATCH % len(samples)
        batch = padded_collate_sft(samples[first : first + _BATCH], padding_idx=encode.pad_id)
        guesses = built(batch["tokens"])[:, :-1].flatten(0, 1).float()
        loss: Any = torch.nn.functional.cross_entropy(guesses, batch["labels"][:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    torch.save(built.state_dict(), path)


def _without_adapters(model: Mapping[str, Any]) -> Any:
    """Return a new model, random and the same each time."""
    import torch

    package, _, name = str(model["_component_"]).rpartition(".")
    base = f"{package}.{name.removeprefix('lora_')}"
    parameters = parameters_of(base)
    kinds = parameters.kinds if parameters is not None else {}
    node = {key: value for key, value in model.items() if key in kinds}
    torch.manual_seed(0)
    return _instantiate({"_component_": base} | node)


def _instantiate(node: Mapping[str, Any]) -> Any:
    omegaconf, torchtune_config = import_torchtune()
    return torchtune_config.instantiate(omegaconf.create(node))
