"""Time the generation and the checks of a large sweep: `python benchmarks/sweep.py`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from olmix.sweep import generate_configs

EXPERIMENT = {
    "experiment_name": "benchmark",
    "base_config": "llama3_2/1B_lora_single_device",
    "variables": {
        "lora_rank": list(range(1, 11)),
        "learning_rate": [n * 1e-4 for n in range(1, 11)],
        "seed": list(range(10)),
    },
    "controls": {"lora_alpha": "${mul:2,${lora_rank}}", "epochs": 3},
}


def main() -> None:
    """Print seconds for 1,000 configs, and milliseconds for the check of one."""
    with tempfile.TemporaryDirectory() as name:
        started = time.perf_counter()
        result = generate_configs(EXPERIMENT, Path(name, "out"), validator="none")
        print(f"{len(result.runs)} configs: {time.perf_counter() - started:.2f} s")
        framework = result.plan.framework
        started = time.perf_counter()
        framework.validate(result.configs[:1], "inprocess")
        print(f"import of torchtune and the first check: {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        verdicts = framework.validate(result.configs, "inprocess")
        took = time.perf_counter() - started
        assert not any(verdict.errors for verdict in verdicts)
        print(f"check of a config after that: {1000 * took / len(verdicts):.1f} ms")


if __name__ == "__main__":
    main()
