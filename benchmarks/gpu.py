"""What a GPU gives: swarms of proxies side by side against one at a time, and a step of GRPO.

    python benchmarks/gpu.py                                      all of it, for an H100
    python benchmarks/gpu.py --part swarm --lanes 4 --seconds 1   a check of this script on a CPU

It prints Markdown for docs/benchmarks.md. Lanes are runs of the embedded trainer that `vmap` trains
at once; the model is the default one over a vocabulary of 1024, optimizer included, compilation
left out. With bfloat16 the model computes in it, and weights and optimizer stay in float32. The
losses of the first runs must be those of the same runs trained alone in float32, or it fails.

The roofline is the time that the device needs at its peak for what no program can avoid: the
products of the model (three times those of the forward pass), or reading and writing weights and
moments once a step, whichever takes longer. Memory is what the compiled program asks for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

VOCAB_SIZE = 1024
LANES = (1, 8, 64, 256)
COMPARED = 4
"""Runs of a swarm that are trained alone too."""
TOLERANCE = {"float32": 5e-3, "bfloat16": 3e-2}
"""Largest relative difference of a loss; on GPUs JAX multiplies float32 as TF32."""


@dataclass(frozen=True)
class Peak:
    """What a device can do by its data sheet, without sparsity.

    Attributes:
        flops: operations per second, by type.
        bandwidth: bytes of memory per second.
    """

    flops: dict[str, float]
    bandwidth: float


PEAKS = {
    "NVIDIA H100 PCIe": Peak({"float32": 378e12, "bfloat16": 756e12}, 2.0e12),
    "NVIDIA H100": Peak({"float32": 495e12, "bfloat16": 989e12}, 3.35e12),
    "NVIDIA H200": Peak({"float32": 495e12, "bfloat16": 989e12}, 4.8e12),
    "NVIDIA A100": Peak({"float32": 156e12, "bfloat16": 312e12}, 1.555e12),
}
"""By the beginning of the name of a device; the first that fits counts."""


@dataclass(frozen=True)
class Result:
    """A swarm that was trained.

    Attributes:
        lanes: runs at once; 0 for one run by the program that has no axis for them.
        dtype: what the model computes in.
        tokens_per_second: of all runs together.
        roofline_share: of the time taken; None for a device that is not listed.
        memory_bytes: of the compiled program.
        loss_error: largest relative difference from the runs trained alone in float32.
    """

    lanes: int
    dtype: str
    tokens_per_second: float
    roofline_share: float | None
    memory_bytes: int
    loss_error: float


class Bench:
    """The programs of a proxy, and data that it can learn from.

    Args:
        training: keys of the training section that are not the default.
    """

    def __init__(self, **training: int) -> None:
        from olmix.config import ProxyTraining
        from olmix.train.proxy.model import ModelShape

        self.training = ProxyTraining.from_dict({"trainer": "proxy", **training})
        self.shape = ModelShape.of(self.training, VOCAB_SIZE)
        self._alone: list[Any] = []

    def run(self, lanes: int, dtype: str, seconds: float) -> Result:
        """Train a swarm for about `seconds`, and compare its losses."""
        import jax
        import numpy as np

        from olmix.train.proxy.loop import CHUNK

        compiled, state, rest = self._program(lanes, dtype)
        state, log = compiled(state, *rest)
        if not lanes:
            self._keep_alone(compiled, np.asarray(log))
        losses = np.asarray(log).reshape(max(1, lanes), CHUNK, 2)[:COMPARED, :, 0]
        error = max(
            float(np.abs(own / alone - 1).max())
            for own, alone in zip(losses, self._alone, strict=False)
        )
        times: list[float] = []
        while not times or sum(times) < seconds:
            started = time.perf_counter()
            state, log = compiled(state, *rest)
            jax.block_until_ready(log)
            times.append(time.perf_counter() - started)
        per_call = statistics.median(times)
        tokens = max(1, lanes) * CHUNK * self.training.batch_size * self.training.context_length
        least = self._least_seconds(dtype)
        share = None if least is None else max(1, lanes) * CHUNK * least / per_call
        used = compiled.memory_analysis()
        memory = used.argument_size_in_bytes + used.temp_size_in_bytes + used.output_size_in_bytes
        memory -= used.alias_size_in_bytes
        return Result(lanes, dtype, tokens / per_call, share, memory, error)

    def _program(self, lanes: int, dtype: str) -> tuple[Any, Any, tuple[Any, ...]]:
        """Return the compiled program, the state of a swarm, and the other arguments."""
        import jax
        import numpy as np

        from olmix.train.proxy.loop import CHUNK, initial_state, train_steps
        from olmix.train.proxy.optimizer import Hyper

        runs = range(max(1, lanes))
        train = partial(train_steps, shape=self.shape, loss=_loss_in(dtype))
        states = [initial_state(run, self.shape) for run in runs]
        trees = states, [Hyper.of(self.training)] * len(runs), [self._tokens(run) for run in runs]
        if lanes:
            train = jax.vmap(train, in_axes=(0, 0, 0, None))
            made = [jax.tree.map(lambda *leaves: np.stack(leaves), *tree) for tree in trees]
        else:
            made = [tree[0] for tree in trees]
        state, hyper, tokens = jax.device_put(made)
        count = np.int32(CHUNK)
        compiled = jax.jit(train, donate_argnums=0).lower(state, hyper, tokens, count).compile()
        return compiled, state, (hyper, tokens, count)

    def _tokens(self, run: int) -> Any:
        import numpy as np

        from olmix.train.proxy.loop import CHUNK

        shares = 1 / np.arange(1, VOCAB_SIZE + 1)
        size = CHUNK, self.training.batch_size, self.training.context_length + 1
        rng = np.random.default_rng(run)
        return rng.choice(VOCAB_SIZE, size, p=shares / shares.sum()).astype(np.int32)

    def _keep_alone(self, compiled: Any, log: Any) -> None:
        """Train the runs that swarms are compared with, by the program of one run."""
        import jax
        import numpy as np

        from olmix.train.proxy.loop import CHUNK, initial_state
        from olmix.train.proxy.optimizer import Hyper

        self._alone = [log[:, 0]]
        for run in range(1, COMPARED):
            state = jax.device_put(initial_state(run, self.shape))
            _, log = compiled(state, Hyper.of(self.training), self._tokens(run), np.int32(CHUNK))
            self._alone.append(np.asarray(log)[:, 0])

    def _least_seconds(self, dtype: str) -> float | None:
        """Return the time of one step of one run on the roofline of this device."""
        import jax

        kind = jax.devices()[0].device_kind
        peak = next((peak for name, peak in PEAKS.items() if kind.startswith(name)), None)
        if peak is None:
            return None
        shape, context = self.shape, self.training.context_length
        blocks = shape.num_layers * (4 * shape.d_model**2 + 3 * shape.d_model * shape.hidden)
        table = VOCAB_SIZE * shape.d_model
        attention = 2 * shape.num_layers * context * shape.d_model
        flops = 6 * (blocks + table + attention) * self.training.batch_size * context
        # Weights and two moments, float32, read and written.
        moved = 6 * 4 * (blocks + table)
        return max(flops / peak.flops[dtype], moved / peak.bandwidth)


def _loss_in(dtype: str) -> Callable[..., Any]:
    """Return the loss of the trainer, computed in a type."""
    import jax
    import jax.numpy as jnp

    from olmix.train.proxy import model

    def loss(params: Any, tokens: Any, shape: Any) -> Any:
        cast = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
        return model.token_nats(cast, tokens, shape).astype(jnp.float32).mean()

    return model.loss if dtype == "float32" else loss


def measure_swarms(bench: Bench, lanes: tuple[int, ...], seconds: float) -> list[Result]:
    """Return one run at a time as it is trained today, and every size of a swarm in both types."""
    alone = bench.run(0, "float32", seconds)
    return [alone, *(bench.run(size, dtype, seconds) for dtype in TOLERANCE for size in lanes)]


def swarm_table(results: list[Result]) -> str:
    """Render results, one run at a time first, as Markdown."""
    lines = [
        "| proxies at once | type | tokens/s | times one at a time | share of roofline | memory "
        "| loss differs by |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        share = "?" if result.roofline_share is None else f"{result.roofline_share:.1%}"
        lines.append(
            f"| {result.lanes or 'one at a time'} | {result.dtype} "
            f"| {result.tokens_per_second:,.0f} "
            f"| {result.tokens_per_second / results[0].tokens_per_second:.2f} | {share} "
            f"| {result.memory_bytes / 1e6:,.0f} MB | {result.loss_error:.1e} |"
        )
    return "\n".join(lines)


def measure_grpo() -> str:
    """Return a line about `benchmarks/grpo.py`, run in a process of its own."""
    script = Path(__file__).with_name("grpo.py")
    done = subprocess.run(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout[done.stdout.index("{") :])
    return (
        f"GRPO, Gemma 3 270M, {found['answers_per_step']} answers a step: "
        f"{found['tokens_per_second']:,.0f} tokens/s (rollout {found['rollout_s']:.1f} s, "
        f"update {found['update_s']:.1f} s, {found['steps']} steps)"
    )


def main(words: list[str] | None = None) -> int:
    """Print what was measured; returns 1 where the losses of a swarm are not those of its runs."""
    parser = argparse.ArgumentParser(description="Swarms of proxies and GRPO on a GPU.")
    parser.add_argument("--part", choices=("swarm", "grpo"), help="one of the two alone")
    parser.add_argument("--lanes", type=int, nargs="+", default=LANES, help="proxies at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each line")
    options = parser.parse_args(words)
    # Before this process takes most of the GPU's memory.
    grpo = measure_grpo() if options.part != "swarm" else ""
    wrong = []
    if options.part != "grpo":
        import jax

        results = measure_swarms(Bench(), tuple(options.lanes), options.seconds)
        wrong = [result for result in results if not result.loss_error < TOLERANCE[result.dtype]]
        print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}\n\n{swarm_table(results)}\n")
    print(grpo)
    for result in wrong:
        sys.stderr.write(f"error: {result} differs by more than {TOLERANCE[result.dtype]}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
