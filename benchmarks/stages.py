"""Time every stage of the demo on this machine: `python benchmarks/stages.py [SEED]`.

The loop runs twice in a temporary folder: from nothing, and again with everything finished.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def loop(folder: Path, seed: str) -> tuple[dict[str, float], float]:
    """Run quickstart; returns the seconds of each command and of the whole process."""
    words = [sys.executable, "-m", "olmix", "-q", "quickstart", "-o", str(folder), "--seed", seed]
    started = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return json.loads((folder / "seconds.json").read_text()), seconds


def main() -> None:
    """Print the table."""
    seed = sys.argv[1] if len(sys.argv) > 1 else "0"
    with tempfile.TemporaryDirectory() as folder:
        first, whole = loop(Path(folder), seed)
        again, second = loop(Path(folder), seed)
    print(f"{os.cpu_count()} cores, seed {seed}; wall-clock seconds")
    print(f"{'stage':<20}{'first':>8}{'again':>8}")
    for name, seconds in first.items():
        print(f"{name:<20}{seconds:>8.2f}{again[name]:>8.2f}")
    print(f"{'whole process':<20}{whole:>8.2f}{second:>8.2f}")


if __name__ == "__main__":
    main()
