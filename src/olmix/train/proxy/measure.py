"""How fast this machine trains: ``python -m olmix.train.proxy.measure``.

It reads one JSON object on standard input, and answers with one on standard output:

    {"training": {"d_model": 64}, "vocab_size": 1024, "seconds": 2.0}
    {"tokens_per_second": 148000.0, "device": "cpu"}

`vocab_size` and `seconds` may be left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from olmix.errors import OlmixError
from olmix.train.environment import use_compilation_cache, use_one_thread

if TYPE_CHECKING:
    from olmix.config import ProxyTraining

__all__ = ["main", "measure"]


def measure(training: ProxyTraining, vocab_size: int, seconds: float = 2.0) -> float:
    """Return the tokens per second of training on random tokens, optimizer included.

    The compilation is left out; other work on the machine slows it.

    Args:
        training: sizes of the model and of a batch.
        vocab_size: tokens of the vocabulary.
        seconds: how long to measure, about.
    """
    import numpy as np

    from olmix.train.environment import compile_lock
    from olmix.train.proxy.lanes import Lanes
    from olmix.train.proxy.loop import CHUNK, Geometry, initial_state, programs
    from olmix.train.proxy.model import ModelShape
    from olmix.train.proxy.optimizer import Hyper

    geometry = Geometry(
        ModelShape.of(training, vocab_size), training.batch_size, training.context_length
    )
    size = (CHUNK, training.batch_size, training.context_length + 1)
    tokens = np.random.default_rng(0).integers(vocab_size, size=size, dtype=np.int32)
    with compile_lock():
        programs(geometry)
    swarm = Lanes(geometry, [initial_state(0, geometry.shape)], [Hyper.of(training)])
    swarm.train([tokens[:1]])
    num_steps, started, ends = 0, time.perf_counter(), time.perf_counter() + seconds
    count = 1
    while num_steps == 0 or time.perf_counter() < ends:
        swarm.train([tokens[:count]])
        num_steps += count
        count = min(CHUNK, 2 * count)
    elapsed = time.perf_counter() - started
    return num_steps * training.batch_size * training.context_length / elapsed


def _answer(request: object) -> Mapping[str, object]:
    from olmix.config import ProxyTraining
    from olmix.errors import ConfigError, Problem

    if not isinstance(request, dict) or not isinstance(request.get("training"), dict):
        raise ConfigError([Problem("training", "this key is required and missing")], "stdin")
    training = ProxyTraining.from_dict(request["training"], "stdin")
    device = use_compilation_cache()
    rate = measure(training, int(request.get("vocab_size", 1024)), request.get("seconds", 2.0))
    return {"tokens_per_second": rate, "device": device}


def main() -> int:
    """Answer the one request on standard input."""
    use_one_thread()
    try:
        answer = _answer(json.load(sys.stdin))
    except (OlmixError, json.JSONDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
