"""What launching costs beside training: `python benchmarks/launch.py [RUNS]`.

RUNS variants (1,000 if left out) of 24 domains are previewed, launched on this machine with a
command that does next to nothing, and looked at. The launch is set against a loop that starts the
same commands one after another: what it takes longer is the scheduling, with every file of a run
folder. Whole processes are timed, start included; of previews and status the best of three counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from olmix.config import LaunchConfig
from olmix.text.yaml import write_yaml

NUM_RUNS = 1000
NUM_DOMAINS = 24
COMMAND = 'bash -c \'echo "{{\\"step\\": 1, \\"loss\\": 2}}" >> {run_dir}/metrics.jsonl\''


def write_group(folder: Path, num_runs: int) -> None:
    """Write a base, bare variants and whole launch configs."""
    rng = np.random.default_rng(0)
    names = [f"domain{index:02}" for index in range(NUM_DOMAINS)]
    base = {
        "name": "launch",
        "infra": {"backend": "local", "workers": 1},
        "training": {"trainer": "command", "command": COMMAND, "max_tokens": 10**6},
        "data": {"sources": [{"name": n, "paths": [f"data/{n}.bin"]} for n in names]},
        "eval": {"type": "validation", "paths": {n: [f"data/{n}.val.bin"] for n in names}},
    }
    write_yaml(folder / "launch.yaml", base)
    whole = LaunchConfig.from_yaml(folder / "launch.yaml").to_plain()
    for index, weights in enumerate(rng.dirichlet(np.ones(NUM_DOMAINS), num_runs).round(6)):
        weights[0] += 1 - weights.sum()
        mix = {n: {"weight": abs(float(w))} for n, w in zip(names, weights, strict=True)}
        name = f"launch-{index:04}"
        write_yaml(folder / f"bare/{name}.yaml", {"name": name, "mix": mix})
        write_yaml(folder / f"whole/{name}.yaml", {**whole, "name": name, "mix": mix})


def seconds(folder: Path, *words: str) -> float:
    """Time an `olmix` command."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "olmix", "-q", *words], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - started


def loop(folder: Path, num_runs: int) -> float:
    """Time the commands alone, started one after another."""
    log = folder / "metrics.jsonl"
    words = ["bash", "-c", f'echo "{{\\"step\\": 1, \\"loss\\": 2}}" >> {log}']
    started = time.perf_counter()
    for _ in range(num_runs):
        subprocess.run(words, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print a table."""
    num_runs = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_RUNS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_group(folder, num_runs)
        group = ("-c", "launch.yaml", "-g", "group")
        help_s = min(seconds(folder, "launch", "--help") for _ in range(3))
        print(f"{num_runs} runs, {NUM_DOMAINS} domains; `olmix launch --help` {help_s:.2f} s")
        for kind in ("bare", "whole"):
            words = ("launch", "preview", "-v", kind, *group)
            print(
                f"preview, {kind} variants: {min(seconds(folder, *words) for _ in range(3)):.2f} s"
            )
        alone = loop(folder, num_runs)
        launched = seconds(folder, "launch", "run", "-v", "bare", *group, "--yes")
        alone = (alone + loop(folder, num_runs)) / 2
        print(
            f"launch: {launched:.1f} s, the commands alone {alone:.1f} s "
            f"({launched / alone:.1f} times): {1000 * (launched - alone) / num_runs:.1f} ms a run"
        )
        again = seconds(folder, "launch", "run", "-v", "bare", *group, "--yes")
        print(f"launch again, nothing to do: {again:.2f} s")
        shown = min(seconds(folder, "launch", "status", "-g", "group") for _ in range(3))
        print(f"status: {shown:.2f} s")


if __name__ == "__main__":
    main()
