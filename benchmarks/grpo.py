"""Time a step of GRPO at the shapes of Gemma 3 270M, random weights, on the device that is there.

    python benchmarks/grpo.py                                    4 answers of 512 tokens to a prompt
    python benchmarks/grpo.py training.batch_size=4              overrides as for `olmix grpo train`
    python benchmarks/grpo.py model=gemma3_tiny generation.max_prompt_length=48 \
        generation.max_new_tokens=40                             a check of this script on a CPU

Random weights hardly ever end an answer, so that each step samples as many tokens as there is
room for. The first two steps compile and are not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.devices import describe_devices
from olmix.grpo.run import run_training
from olmix.records.run import RunFolder

WARM_UP = 2
SHAPES = (
    "model=gemma3_270m",
    "model.source=random",
    "training.num_batches=7",
    "training.batch_size=1",
    "grpo.num_generations=4",
    "generation.max_prompt_length=256",
    "generation.max_new_tokens=512",
    "evaluation.at_end=false",
)


def main(overrides: list[str]) -> None:
    """Train a few steps and print what they took, as JSON."""
    # The prompt of Gemma is long in letters; that of the built-in tokenizer is short.
    words = [*SHAPES, "model.prompt_template=plain", *overrides]
    config = RunConfig.from_dict(compose(words))
    with tempfile.TemporaryDirectory() as folder:
        summary = run_training(config, Path(folder))
        rows = list(RunFolder(folder).read_metrics())[WARM_UP:]
    devices = describe_devices()
    report = {
        "device": devices["devices"][0]["kind"],
        "devices": len(devices["devices"]),
        "jax": devices["jax"],
        "answers_per_step": config.training.batch_size * config.grpo.num_generations,
        "tokens_per_step": statistics.median(row["tokens"] for row in rows),
        "rollout_s": statistics.median(row["rollout_s"] for row in rows),
        "update_s": statistics.median(row["update_s"] for row in rows),
        "tokens_per_second": statistics.median(row["tokens_per_second"] for row in rows),
        "steps": len(rows),
        "peak_host_memory_bytes": summary["peak_memory_bytes"],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
