"""Tokens per second and core of the embedded trainer, beside plainer ways of running its model.

    python benchmarks/trainer.py [--seconds 3] [--json]

Every variant runs in this one process, on one core, in turns, so that other work on the machine
touches all of them alike; the medians are printed. The model is the default one over a vocabulary
of 1024, optimizer included, compilation left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from olmix.train.environment import pin, use_one_thread

VOCAB_SIZE = 1024
SWARM = 4


def jax_variants() -> dict[str, tuple[Callable[[], Any], int]]:
    """Return for each variant a function that trains, and the tokens that one call takes."""
    import jax
    import numpy as np

    from olmix.config import ProxyTraining
    from olmix.train.proxy.lanes import Lanes
    from olmix.train.proxy.loop import CHUNK, Geometry, initial_state, train_step
    from olmix.train.proxy.model import ModelShape
    from olmix.train.proxy.optimizer import Hyper

    training = ProxyTraining()
    shape, hyper = ModelShape.of(training, VOCAB_SIZE), Hyper.of(training)
    size = (CHUNK, training.batch_size, training.context_length + 1)
    tokens = np.random.default_rng(0).integers(VOCAB_SIZE, size=size, dtype=np.int32)
    geometry = Geometry(shape, training.batch_size, training.context_length)
    states = [initial_state(seed, shape) for seed in range(SWARM)]
    one = Lanes(geometry, states[:1], [hyper])
    four = Lanes(Geometry(*_fields(geometry), SWARM), states, [hyper] * SWARM)
    step = jax.jit(partial(train_step, shape=shape), donate_argnums=0)
    held = {"steps": jax.device_put(states[0]), "eager": jax.device_put(states[0])}

    def single_steps() -> None:
        for batch in tokens:
            held["steps"], log = step(held["steps"], hyper, batch)
            np.asarray(log)

    def eager() -> None:
        with jax.disable_jit():
            held["eager"], log = train_step(
                held["eager"], hyper, jax.numpy.asarray(tokens[0]), shape
            )
            np.asarray(log)

    per_step = training.batch_size * training.context_length
    return {
        "olmix: chunks of 32 steps": (lambda: one.train([tokens]), CHUNK * per_step),
        "jax: one jitted step a call": (single_steps, CHUNK * per_step),
        "jax: eager, op by op": (eager, per_step),
        f"olmix: {SWARM} runs by vmap": (
            lambda: four.train([tokens] * SWARM),
            SWARM * CHUNK * per_step,
        ),
    }


def _fields(geometry: Any) -> tuple[Any, ...]:
    return geometry.shape, geometry.batch_size, geometry.context_length


def torch_variant() -> dict[str, tuple[Callable[[], Any], int]]:
    """Return the same model in eager PyTorch, where it is installed."""
    try:
        import torch
    except ImportError:
        return {}
    from torch.nn import functional

    torch.set_num_threads(1)
    width, heads, hidden, batch, length = 64, 4, 176, 8, 64
    rng = torch.Generator().manual_seed(0)

    def matrix(rows: int, columns: int) -> Any:
        return (torch.randn(rows, columns, generator=rng) * rows**-0.5).requires_grad_()

    table = (torch.randn(VOCAB_SIZE, width, generator=rng) * width**-0.5).requires_grad_()
    qkv, out = matrix(width, 3 * width), matrix(width, width)
    gate_up, down = matrix(width, 2 * hidden), matrix(hidden, width)
    gains = [torch.ones(width, requires_grad=True) for _ in range(3)]
    optimizer = torch.optim.AdamW(
        [{"params": [qkv, out, gate_up, down]}, {"params": [table, *gains], "weight_decay": 0.0}],
        lr=8e-3,
        betas=(0.9, 0.98),
        weight_decay=0.1,
    )
    half = width // heads // 2
    angles = torch.arange(length)[:, None] * 10_000.0 ** (-torch.arange(half) / half)
    cos, sin = angles.cos()[None, None], angles.sin()[None, None]
    tokens = torch.randint(VOCAB_SIZE, (batch, length + 1), generator=rng)

    def rotate(x: Any) -> Any:
        first, second = x[..., :half], x[..., half:]
        return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)

    def norm(x: Any, gain: Any) -> Any:
        return functional.rms_norm(x, (width,), gain, 1e-6)

    def train() -> None:
        x = table[tokens[:, :-1]]
        mixed = (norm(x, gains[0]) @ qkv).view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            rotate(mixed[0]), rotate(mixed[1]), mixed[2], is_causal=True
        )
        x = x + attended.transpose(1, 2).reshape(batch, length, width) @ out
        gate, up = (norm(x, gains[1]) @ gate_up).chunk(2, -1)
        x = x + (functional.silu(gate) * up) @ down
        logits = norm(x, gains[2]) @ table.T
        loss = functional.cross_entropy(logits.view(-1, VOCAB_SIZE), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([table, qkv, out, gate_up, down, *gains], 1.0)
        optimizer.step()
        loss.item()

    return {"torch: eager": (train, batch * length)}


def compare(variants: dict[str, tuple[Callable[[], Any], int]], seconds: float) -> dict[str, float]:
    """Return the median tokens per second of each variant, measured in turns."""
    calls = {}
    for name, (train, _) in variants.items():
        train()
        started = time.perf_counter()
        train()
        # Turns of about a tenth of the time each variant has.
        calls[name] = max(1, int(seconds / 10 / (time.perf_counter() - started)))
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(10):
        for name, (train, tokens) in variants.items():
            started = time.perf_counter()
            for _ in range(calls[name]):
                train()
            rates[name].append(calls[name] * tokens / (time.perf_counter() - started))
    return {name: statistics.median(found) for name, found in rates.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Tokens per second and core of the trainer.")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each variant")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    use_one_thread()
    if hasattr(os, "sched_getaffinity"):
        pin(max(os.sched_getaffinity(0)))
    rates = compare({**jax_variants(), **torch_variant()}, options.seconds)
    first = next(iter(rates.values()))
    if options.json:
        print(json.dumps(rates))
        return
    print(f"{'variant':30s} {'tokens/s/core':>14s} {'ratio':>7s}")
    for name, rate in rates.items():
        print(f"{name:30s} {rate:14,.0f} {rate / first:7.2f}")
    if not any(name.startswith("torch") for name in rates):
        print("(torch is not installed: left out)", file=sys.stderr)


if __name__ == "__main__":
    main()
