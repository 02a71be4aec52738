"""A swarm of runs that train in a moment, for benchmarks that launch it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from olmix.text.yaml import write_yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from byte_tokens import EOS, byte_tokenizer


def write_swarm(folder: Path, num_runs: int, **training: object) -> Path:
    """Write data, a base and variants; returns the folder of the variants."""
    rng = np.random.default_rng(0)
    for name in "abc":
        shares = rng.dirichlet(np.full(EOS, 0.05))
        for suffix, length in (("bin", 400_000), ("val.bin", 1_000)):
            tokens = rng.choice(EOS, length, p=shares).astype(np.uint16)
            tokens[99::100] = EOS
            tokens.tofile(folder / f"{name}.{suffix}")
    (folder / "tokenizer.json").write_text(json.dumps(byte_tokenizer()))
    model = {"d_model": 32, "num_heads": 2, "context_length": 32, "batch_size": 4}
    base = {
        "name": "tiny",
        "training": {
            "trainer": "proxy",
            "max_tokens": 300_000,
            "checkpoint_interval_s": 0.5,
            **model,
            **training,
        },
        "data": {
            "dtype": "uint16",
            "tokenizer": str(folder / "tokenizer.json"),
            "sources": [{"name": n, "paths": [str(folder / f"{n}.bin")]} for n in "abc"],
        },
        "eval": {
            "type": "validation",
            "paths": {n: [str(folder / f"{n}.val.bin")] for n in "abc"},
        },
    }
    write_yaml(folder / "launch.yaml", base)
    for index in range(num_runs):
        weights = rng.dirichlet(np.ones(3)).round(4)
        mix = {n: {"weight": float(w)} for n, w in zip("abc", weights / weights.sum(), strict=True)}
        name = f"tiny-{index:04d}"
        write_yaml(folder / f"variants/{name}.yaml", {"name": name, "mix": mix})
    return folder / "variants"
