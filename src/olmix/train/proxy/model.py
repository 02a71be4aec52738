"""The proxy model: a decoder-only transformer as pure functions of a tree of arrays.

Pre-norm blocks with RMSNorm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), causal
attention, SwiGLU (Shazeer 2020), and one table for input and output embeddings (Press and Wolf
2017). No biases. float32 throughout.

Legend: ``B`` sequences, ``T`` tokens of one, ``V`` vocabulary, ``C`` width, ``H`` heads, ``K``
width of a head, ``F`` width of the SwiGLU layer, ``L`` blocks.

Measured on one core with d = 64 and a vocabulary of 1024, and not done because it was slower (share
of the speed of this module): the embedding's gradient as a product with one-hot rows 0.69, targets
picked by a one-hot mask 0.76, a hand-written gradient of the cross-entropy 0.73 to 0.77, `lax.scan`
over the blocks 0.83 (and twice the compilation), a hand-written AdamW 0.98. Layouts of the heads
made no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from olmix.config import ProxyTraining

__all__ = ["ModelShape", "Params", "init", "loss", "token_nats"]

Params = dict[str, Any]

ROPE_BASE = 10_000.0
NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a model.

    Attributes:
        vocab_size: tokens of the vocabulary.
        d_model: width of the residual stream.
        num_layers: blocks.
        num_heads: attention heads; `d_model / num_heads` is even.
        hidden: width of the SwiGLU layer.
    """

    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    hidden: int

    @classmethod
    def of(cls, training: ProxyTraining, vocab_size: int) -> ModelShape:
        """Return the sizes that a training section asks for."""
        return cls(
            vocab_size, training.d_model, training.num_layers, training.num_heads, training.hidden
        )


def init(rng: np.random.Generator, shape: ModelShape) -> Params:
    """Draw initial parameters, on the host: compiling it would take longer than a short run.

    Matrices are normal with variance 1 / inputs; those that write into the residual stream are
    smaller by sqrt(2L), so that its variance does not grow with depth (GPT-2). The embeddings have
    variance 1 / C, so that the first logits have variance 1.

    Returns:
        float32 arrays: ``embedding`` (V, C); ``norm`` (C,); and ``blocks``, a list of L trees with
        ``attention_norm`` (C,), ``qkv`` (C, 3C), ``out`` (C, C), ``mlp_norm`` (C,), ``gate_up``
        (C, 2F), ``down`` (F, C).
    """
    width, hidden = shape.d_model, shape.hidden
    shrink = (2 * shape.num_layers) ** -0.5

    def normal(rows: int, columns: int, scale: float) -> NDArray[np.float32]:
        return rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(scale)

    def block() -> Params:
        return {
            "attention_norm": np.ones(width, np.float32),
            "qkv": normal(width, 3 * width, width**-0.5),
            "out": normal(width, width, shrink * width**-0.5),
            "mlp_norm": np.ones(width, np.float32),
            "gate_up": normal(width, 2 * hidden, width**-0.5),
            "down": normal(hidden, width, shrink * hidden**-0.5),
        }

    return {
        "embedding": normal(shape.vocab_size, width, width**-0.5),
        "blocks": [block() for _ in range(shape.num_layers)],
        "norm": np.ones(width, np.float32),
    }


def _rms_norm(x: jax.Array, gain: jax.Array) -> jax.Array:
    mean_square = jnp.mean(x * x, axis=-1, keepdims=True)
    scale: jax.Array = jax.lax.rsqrt(mean_square + NORM_EPSILON)
    return x * scale * gain


def _rotate(x: jax.Array) -> jax.Array:
    """Turn the two halves of each head, (B, T, H, K), by its position."""
    half = x.shape[-1] // 2
    frequencies = ROPE_BASE ** (-np.arange(half) / half)
    angles = np.arange(x.shape[1])[:, None] * frequencies
    cos = jnp.asarray(np.cos(angles)[:, None, :], x.dtype)
    sin = jnp.asarray(np.sin(angles)[:, None, :], x.dtype)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def _attention(x: jax.Array, qkv: jax.Array, out: jax.Array, num_heads: int) -> jax.Array:
    """Causal attention over (B, T, C)."""
    batch, length, width = x.shape
    heads = (x @ qkv).reshape(batch, length, 3, num_heads, width // num_heads)
    query, key, value = _rotate(heads[:, :, 0]), _rotate(heads[:, :, 1]), heads[:, :, 2]
    scores = jnp.einsum("bqhk,bshk->bhqs", query, key) * (width // num_heads) ** -0.5
    causal = np.tril(np.ones((length, length), dtype=bool))
    weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
    mixed = jnp.einsum("bhqs,bshk->bqhk", weights, value)
    return mixed.reshape(batch, length, width) @ out


def _swiglu(x: jax.Array, gate_up: jax.Array, down: jax.Array) -> jax.Array:
    gate, up = jnp.split(x @ gate_up, 2, axis=-1)
    return (jax.nn.silu(gate) * up) @ down


def token_nats(params: Params, tokens: jax.Array, shape: ModelShape) -> jax.Array:
    """Return the surprise at each target, in nats.

    Args:
        params: as `init` makes them.
        tokens: (B, T + 1) ids; inputs are all but the last, targets all but the first.
        shape: sizes of the model.

    Returns:
        (B, T).
    """
    x = params["embedding"][tokens[:, :-1]]
    for block in params["blocks"]:
        x = x + _attention(
            _rms_norm(x, block["attention_norm"]), block["qkv"], block["out"], shape.num_heads
        )
        x = x + _swiglu(_rms_norm(x, block["mlp_norm"]), block["gate_up"], block["down"])
    logits = _rms_norm(x, params["norm"]) @ params["embedding"].T
    target = jnp.take_along_axis(logits, tokens[:, 1:, None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - target


def loss(params: Params, tokens: jax.Array, shape: ModelShape) -> jax.Array:
    """Return the mean surprise over (B, T + 1) tokens, in nats per token."""
    return token_nats(params, tokens, shape).mean()
