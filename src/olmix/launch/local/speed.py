"""How fast the embedded trainer is on this machine, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from olmix.config import LaunchConfig, ProxyTraining
from olmix.errors import LaunchError, NotAvailableError
from olmix.launch.local.workers import Slot, available_cores
from olmix.records.tokens import byte_lengths

__all__ = ["measure_speed"]

_TIMEOUT_S = 120
_MOST_CORES = 8
"""Cores that are measured at once; more would start as many processes for the same answer."""


def measure_speed(config: LaunchConfig) -> float:
    """Train on random tokens for about two seconds; returns tokens per second of one core.

    All cores train at once, up to `_MOST_CORES`, as those of a launch do: they share memory and
    clock, and what else runs on the machine slows them.

    Raises:
        NotAvailableError: the config uses another trainer.
        LaunchError: the trainer cannot be started.
    """
    if not isinstance(config.training, ProxyTraining) or config.data.tokenizer is None:
        raise NotAvailableError("only the embedded trainer (training.trainer: proxy) is measured")
    request = {
        "training": config.training.to_plain(),
        "vocab_size": len(byte_lengths(config.data.tokenizer)),
    }
    number = min(len(available_cores()), _MOST_CORES)
    with ThreadPoolExecutor(number) as pool:
        speeds = list(pool.map(_measured, [json.dumps(request)] * number))
    return sum(speeds) / number


def _measured(request: str) -> float:
    """Return tokens per second of one process."""
    done = subprocess.run(
        [sys.executable, "-m", "olmix.train.proxy.measure"],
        input=request,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        env={**os.environ, **Slot().environment},
        check=False,
    )
    if done.returncode:
        raise LaunchError(f"the trainer cannot be measured: {done.stderr.strip()[-500:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["tokens_per_second"])
