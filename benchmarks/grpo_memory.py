"""How far the memory estimate of a dry run is from what XLA's compiler counts for an update.

    python benchmarks/grpo_memory.py                 six small models, about two minutes on one core

Compiles the gradient of a policy's loss by Tunix's own functions, runs nothing, and compares the
arrays that XLA says it needs at once with `activation_bytes` and `logits_bytes`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from olmix.grpo.architecture import PRESETS, Architecture
from olmix.grpo.models import _model_class

GEMMA, LLAMA, QWEN = PRESETS["gemma3", "tiny"], PRESETS["llama", "3.2_1b"], PRESETS["qwen3", "0.6b"]
WIDE = {"hidden_size": 256, "intermediate_size": 1024, "num_layers": 4, "num_heads": 8,
        "num_kv_heads": 2, "head_dim": 32}  # fmt: skip
LARGE = {"hidden_size": 128, "intermediate_size": 512, "head_dim": 32, "vocab_size": 16_000}
CASES = [
    ("gemma3 tiny", GEMMA.replace(vocab_size=260), 16, 48, 40, "float32"),
    ("gemma3 wide", GEMMA.replace(**WIDE, vocab_size=260), 4, 128, 256, "float32"),
    ("gemma3 vocabulary", GEMMA.replace(**LARGE), 8, 64, 128, "float32"),
    ("llama wide", LLAMA.replace(**WIDE, vocab_size=2000), 4, 128, 128, "float32"),
    ("qwen3 wide", QWEN.replace(**WIDE, vocab_size=2000), 4, 128, 128, "float32"),
    ("gemma3 wide", GEMMA.replace(**WIDE, vocab_size=260), 4, 128, 128, "bfloat16"),
]


def main() -> None:
    """Print a line for each case: estimated and counted megabytes, and their ratio."""
    for name, architecture, sequences, prompt, answer, dtype in CASES:
        length, size = prompt + answer, 4 if dtype == "float32" else 2
        estimated = architecture.activation_bytes(sequences, length, size)
        estimated += architecture.logits_bytes(sequences, length, answer, architecture.vocab_size)
        counted = compiled_bytes(architecture, sequences, prompt, answer, dtype)
        print(
            f"{name:18} {sequences} x ({prompt} + {answer}) {dtype:9}"
            f"{estimated / 1e6:7.0f} MB estimated, {counted / 1e6:.0f} counted, "
            f"{estimated / counted - 1:+.0%}"
        )


def compiled_bytes(
    architecture: Architecture, sequences: int, prompt: int, answer: int, dtype: str
) -> int:
    """Return the bytes of the arrays that live at once in an update, weights left out."""
    from tunix.rl import common

    model_class, config = _model_class(architecture, dtype)
    graph, state = nnx.split(nnx.eval_shape(lambda: model_class(config, rngs=nnx.Rngs(0))))

    def loss(weights, prompts, answers, advantages):
        found, logits = common.compute_per_token_logps(
            graph, weights, prompt_tokens=prompts, completion_tokens=answers, pad_id=0, eos_id=1,
            stop_gradient=False, return_logits=True,
        )  # fmt: skip
        entropy = -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), -1)
        ratio = jnp.exp(found - jax.lax.stop_gradient(found))
        return -(ratio * advantages[:, None]).mean(), jax.lax.stop_gradient(entropy.mean())

    arrays = (
        jax.ShapeDtypeStruct((sequences, prompt), jnp.int32),
        jax.ShapeDtypeStruct((sequences, answer), jnp.int32),
        jax.ShapeDtypeStruct((sequences,), jnp.float32),
    )
    compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(state, *arrays).compile()
    return int(compiled.memory_analysis().temp_size_in_bytes)


if __name__ == "__main__":
    main()
