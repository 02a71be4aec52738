"""Sizes of the models, how many parameters they have, and how many LoRA adds.

The sizes are those of Tunix 0.1.7 (`ModelConfig.gemma3_270m`, `qwen3_0p6b`, ...), as released;
SmolLM2's are those of its `config.json`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["PRESETS", "Architecture", "Family", "RopeScaling"]

Family = Literal["gemma3", "llama", "qwen3"]

_XLA_TAKES: Mapping[Family, float] = {"gemma3": 1.6, "qwen3": 1.4, "llama": 1.2}
"""What an update takes for each byte that it must keep (`benchmarks/grpo_memory.py`)."""
_NAMES = {"hidden_size": "embed_dim", "intermediate_size": "hidden_dim"}
"""Names in `model.custom_params` that differ from the fields below."""


@dataclass(frozen=True)
class RopeScaling:
    """How rotary positions are stretched for texts longer than a model first learned from.

    Attributes:
        factor: by which positions are divided, where there are no bands.
        bands: Llama 3's lowest and highest number of turns within `original` tokens: slower waves
            are divided by the factor, faster ones left alone, and those between mixed.
        original: tokens of the texts that the model first learned from.
    """

    factor: float
    bands: tuple[float, float] | None = None
    original: int = 8_192


@dataclass(frozen=True)
class Architecture:
    """Sizes of a decoder.

    Attributes:
        family: which of Tunix's models.
        num_layers: blocks.
        embed_dim: width of the residual stream.
        hidden_dim: width inside a feed-forward block.
        num_heads: attention heads.
        num_kv_heads: heads of keys and values.
        head_dim: width of a head.
        vocab_size: entries of the embedding; 0 for those of the built-in tokenizer.
        sliding_window: tokens that a local layer of Gemma 3 sees.
        rope_theta: base of the rotary positions; of Gemma 3's global layers.
        norm_eps: added to the variance in a norm.
        tied: whether the embedding also gives the logits.
        rope_scaling: of the rotary positions; of Gemma 3's global layers.
        query_scalar: whose root divides Gemma 3's attention scores; `head_dim` where it is `None`.
    """

    family: Family
    num_layers: int
    embed_dim: int
    hidden_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    sliding_window: int = 512
    rope_theta: int = 1_000_000
    norm_eps: float = 1e-6
    tied: bool = True
    rope_scaling: RopeScaling | None = None
    query_scalar: int | None = None

    def replace(self, **sizes: Any) -> Architecture:
        """Return the architecture with sizes by the names of `model.custom_params`."""
        named = {_NAMES.get(name, name): size for name, size in sizes.items()}
        return dataclasses.replace(self, **named)

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if self.num_heads % self.num_kv_heads:
            yield (
                f"num_heads = {self.num_heads} must be a multiple of "
                f"num_kv_heads = {self.num_kv_heads}"
            )
        if self.family == "gemma3" and self.num_heads == self.num_kv_heads:
            yield (
                "Gemma 3 shares keys and values between heads: num_kv_heads must be below "
                f"num_heads = {self.num_heads}"
            )

    def modules(self) -> Mapping[str, tuple[int, int]]:
        """Return each linear module of a block: (inputs, outputs)."""
        d, q = self.embed_dim, self.num_heads * self.head_dim
        kv = self.num_kv_heads * self.head_dim
        mlp = {
            "mlp.gate_proj": (d, self.hidden_dim),
            "mlp.up_proj": (d, self.hidden_dim),
            "mlp.down_proj": (self.hidden_dim, d),
        }
        if self.family == "gemma3":
            attention = {
                "attn.q_einsum": (d, q),
                "attn.kv_einsum": (d, 2 * kv),
                "attn.attn_vec_einsum": (q, d),
            }
        else:
            attention = {
                "attn.q_proj": (d, q),
                "attn.k_proj": (d, kv),
                "attn.v_proj": (d, kv),
                "attn.o_proj": (q, d),
            }
        return {**attention, **mlp}

    def num_parameters(self, vocab_size: int | None = None) -> int:
        """Return the number of parameters, a tied embedding once."""
        norms = {
            "gemma3": 4 * self.embed_dim + 2 * self.head_dim,
            "llama": 2 * self.embed_dim,
            "qwen3": 2 * self.embed_dim + 2 * self.head_dim,
        }[self.family]
        block = norms + sum(into * out for into, out in self.modules().values())
        embedding = (vocab_size or self.vocab_size) * self.embed_dim * (1 if self.tied else 2)
        return embedding + self.num_layers * block + self.embed_dim

    def num_lora_parameters(self, rank: int, module_path: str) -> int:
        """Return the number of parameters of the updates to modules that match."""
        pattern = re.compile(module_path)
        return self.num_layers * sum(
            rank * (into + out)
            for name, (into, out) in self.modules().items()
            if pattern.fullmatch(f"layers/0/{name.replace('.', '/')}")
        )

    def activation_bytes(self, sequences: int, length: int, bytes_per_value: int) -> int:
        """Return about what a forward pass keeps for the gradient, the logits left out.

        What enters each linear module, norm and activation, and the attention's scores before and
        after the softmax, times what XLA's compiler for CPUs was seen to take beside that;
        nothing is computed again.
        """
        q, kv = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        per_token = 6 * self.embed_dim + 2 * q + 4 * kv + 4 * self.hidden_dim
        scores = 2 * self.num_heads * length
        kept = self.num_layers * sequences * length * (per_token + scores) * bytes_per_value
        return round(_XLA_TAKES[self.family] * kept)

    def logits_bytes(self, sequences: int, length: int, answer: int, vocab_size: int) -> int:
        """Return what the logits of an update take, in 32 bits.

        Tunix computes them for whole sequences and their gradient too; the entropy takes two more
        arrays of the answers' tokens alone.
        """
        return 4 * sequences * (2 * length + 2 * answer) * vocab_size

    def cache_bytes(self, batch: int, length: int, bytes_per_value: int) -> int:
        """Return the size of the keys and values of a batch of sequences."""
        per_token = 2 * self.num_kv_heads * self.head_dim * bytes_per_value
        return self.num_layers * batch * length * per_token


def _larger_gemma(
    num_layers: int, embed_dim: int, hidden_dim: int, num_heads: int, head_dim: int,
    query_scalar: int | None = None,
) -> Architecture:  # fmt: skip
    sizes = (num_layers, embed_dim, hidden_dim, num_heads, num_heads // 2, head_dim, 262_208)
    return Architecture(
        "gemma3", *sizes, sliding_window=1_024, rope_scaling=RopeScaling(8.0),
        query_scalar=query_scalar,
    )  # fmt: skip


def _qwen3(
    num_layers: int, embed_dim: int, hidden_dim: int, num_heads: int, *, tied: bool
) -> Architecture:
    sizes = (num_layers, embed_dim, hidden_dim, num_heads, 8, 128, 151_936)
    return Architecture("qwen3", *sizes, tied=tied)


def _llama3(
    num_layers: int, embed_dim: int, hidden_dim: int, num_heads: int, head_dim: int, *,
    factor: float, tied: bool,
) -> Architecture:  # fmt: skip
    return Architecture(
        "llama", num_layers, embed_dim, hidden_dim, num_heads, 8, head_dim, 128_256,
        rope_theta=500_000, norm_eps=1e-5, tied=tied,
        rope_scaling=RopeScaling(factor, bands=(1.0, 4.0)),
    )  # fmt: skip


PRESETS = {
    ("gemma3", "270m"): Architecture("gemma3", 18, 640, 2048, 4, 1, 256, 262_144),
    ("gemma3", "1b"): Architecture("gemma3", 26, 1152, 6912, 4, 1, 256, 262_144),
    ("gemma3", "4b"): _larger_gemma(34, 2560, 10_240, 8, 256),
    ("gemma3", "12b"): _larger_gemma(48, 3840, 15_360, 16, 256),
    ("gemma3", "27b"): _larger_gemma(62, 5376, 21_504, 32, 128, query_scalar=168),
    ("gemma3", "tiny"): Architecture("gemma3", 2, 64, 128, 4, 1, 16, 0, 64, 10_000),
    ("llama", "smollm2_135m"): Architecture(
        "llama", 30, 576, 1536, 9, 3, 64, 49_152, rope_theta=100_000, norm_eps=1e-5
    ),
    ("llama", "3.2_1b"): _llama3(16, 2048, 8192, 32, 64, factor=32.0, tied=True),
    ("llama", "3.2_3b"): _llama3(28, 3072, 8192, 24, 128, factor=32.0, tied=True),
    ("llama", "3.1_8b"): _llama3(32, 4096, 14_336, 32, 128, factor=8.0, tied=False),
    ("qwen3", "0.6b"): _qwen3(28, 1024, 3072, 16, tied=True),
    ("qwen3", "1.7b"): _qwen3(28, 2048, 6144, 16, tied=True),
    ("qwen3", "4b"): _qwen3(36, 2560, 9728, 32, tied=True),
    ("qwen3", "8b"): _qwen3(36, 4096, 12_288, 32, tied=False),
    ("qwen3", "14b"): _qwen3(40, 5120, 17_408, 40, tied=False),
}
"""(family, size) to sizes."""
