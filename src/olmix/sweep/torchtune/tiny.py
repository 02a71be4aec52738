"""A tiny model, tokenizer and data set, made on the spot, on which any config trains in seconds.

64 rows in the format of Alpaca, a sentencepiece model of 320 pieces trained on them, and a model of
two layers with random weights. Nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix.errors import MissingPackageError
from olmix.sweep.torchtune.signature import parameters_of

__all__ = ["Assets", "build_assets", "tiny_model", "write_weights"]

VOCABULARY = 320
MAX_SEQ_LEN = 128
_SIZES: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "num_layers": 2,
    "num_heads": 2,
    "num_kv_heads": 2,
    "embed_dim": 32,
    "head_dim": 16,
    "intermediate_dim": 64,
    "max_seq_len": MAX_SEQ_LEN,
    "hidden_capping_value": 50.0,
    "final_capping_value": 30.0,
    "sliding_window_size": 64,
}
_WORDS = (
    "add",
    "subtract",
    "double",
    "halve",
    "square",
    "name",
    "sort",
    "count",
    "repeat",
    "spell",
)
_THINGS = ("apples", "rivers", "letters", "clouds", "stones", "songs", "wheels", "birds")


@dataclass(frozen=True)
class Assets:
    """Files of the tiny set.

    Attributes:
        data: 64 rows with instruction, input and output.
        tokenizer: a sentencepiece model.
    """

    data: Path
    tokenizer: Path

    def tokenizer_node(self) -> dict[str, Any]:
        """Return the tokenizer of a config; every family trains with the same one."""
        return {
            "_component_": "torchtune.models.llama2.llama2_tokenizer",
            "path": str(self.tokenizer),
            "max_seq_len": MAX_SEQ_LEN,
        }

    def dataset_node(self, *, packed: bool) -> dict[str, Any]:
        """Return the data set of a config."""
        return {
            "_component_": "torchtune.datasets.alpaca_dataset",
            "source": "json",
            "data_files": str(self.data),
            "packed": packed,
        }


def build_assets(folder: Path) -> Assets:
    """Write the data and train the tokenizer.

    Raises:
        MissingPackageError: sentencepiece is not installed; torchtune brings it.
    """
    try:
        import sentencepiece
    except ImportError:
        raise MissingPackageError("sentencepiece", "torchtune", "Training a tiny model") from None
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "instruction": f"{_WORDS[n % len(_WORDS)]} the {_THINGS[n % len(_THINGS)]} number {n}",
            "input": " ".join(str(n * k) for k in range(1, 4)) if n % 2 else "",
            "output": f"there are {n * 7 % 23} {_THINGS[(n * 3) % len(_THINGS)]} and {n} more",
        }
        for n in range(64)
    ]
    data = folder / "alpaca.json"
    data.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    text = [value for row in rows for value in row.values() if value]
    model = io.BytesIO()
    # The trainer writes its progress to the process's own standard error.
    with contextlib.redirect_stderr(io.StringIO()):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text * 4),
            model_writer=model,
            vocab_size=VOCABULARY,
            model_type="bpe",
            byte_fallback=True,
            hard_vocab_limit=False,
            pad_id=3,
            minloglevel=2,
        )
    tokenizer = folder / "tokenizer.model"
    tokenizer.write_bytes(model.getvalue())
    return Assets(data, tokenizer)


def tiny_model(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a two-layer model of the family that a model node builds.

    LoRA settings stay. `None` where the family has no builder that takes sizes.
    """
    component = str(node.get("_component_", ""))
    package, _, name = component.rpartition(".")
    family = package.rpartition(".")[2]
    prefix = "lora_" if name.startswith(("lora_", "qlora_")) else ""
    builder = f"{package}.{prefix}{family}"
    parameters = parameters_of(builder)
    if parameters is None and family == "llama3_3":
        # This family is only a size of the one before it.
        package = package.replace("llama3_3", "llama3_1")
        builder = f"{package}.{prefix}llama3_1"
        parameters = parameters_of(builder)
    if parameters is None and family == "qwen2_5":
        builder = f"torchtune.models.qwen2.{prefix}qwen2"
        parameters = parameters_of(builder)
    if parameters is None and family == "phi4":
        builder = f"torchtune.models.phi3.{prefix}phi3"
        parameters = parameters_of(builder)
    if parameters is None:
        return None
    sizes = {key: value for key, value in _SIZES.items() if key in parameters.kinds}
    kept = {
        key: value
        for key, value in node.items()
        if key in parameters.kinds and key not in sizes and key != "quantize_base"
    }
    tiny = {"_component_": builder} | kept | sizes
    return None if parameters.required - set(tiny) else tiny


def write_weights(model: Mapping[str, Any], path: Path) -> None:
    """Write random weights for a model, without its adapters."""
    import torch
    from torchtune import config as torchtune_config

    package, _, name = str(model["_component_"]).rpartition(".")
    base = f"{package}.{name.removeprefix('lora_')}"
    parameters = parameters_of(base)
    kinds = parameters.kinds if parameters is not None else {}
    node = {key: value for key, value in model.items() if key in kinds}
    torch.manual_seed(0)
    from omegaconf import OmegaConf

    built: Any = torchtune_config.instantiate(OmegaConf.create({"_component_": base} | node))
    torch.save(built.state_dict(), path)
